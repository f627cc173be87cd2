"""HSTU's layers against equations 1 to 3 of Zhai et al. 2024, written as plain loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.models.sequences.attention import unstack
from matinee.models.sequences.hstu import initial_layers, serve_layers, train_layers
from matinee.training.run import Run

DIM, LONGEST, N_ITEMS = 6, 9, 15
Layers = dict[str, torch.Tensor]


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def layer_norm(x: list[float], scale: list[float], shift: list[float]) -> list[float]:
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in x) / len(x) + 1e-5)
    return [(value - mean) / deviation * a + b for value, a, b in zip(x, scale, shift, strict=True)]


def product(x: list[float], matrix: list[list[float]]) -> list[float]:
    return [sum(x[row] * matrix[row][column] for row in range(len(x))) for column in range(len(matrix[0]))]


def layer_by_loop(x: list[list[float]], layer: dict[str, np.ndarray], heads: int) -> list[list[float]]:
    """One layer over a sequence without padding."""
    uqkv, out_proj, norms, bias = (layer[name].tolist() for name in ("uqkv", "out_proj", "norms", "distance_bias"))
    dim, depth = len(x[0]), len(x[0]) // heads
    projected = [[silu(value) for value in product(layer_norm(row, *norms[0]), uqkv)] for row in x]
    u, q, k, v = ([row[part * dim : (part + 1) * dim] for row in projected] for part in range(4))
    outputs = []
    for t in range(len(x)):
        attended = [0.0] * dim
        for head in range(heads):
            own = range(head * depth, (head + 1) * depth)
            for s in range(t + 1):
                score = sum(q[t][d] * k[s][d] for d in own) + bias[head][t - s]
                for d in own:
                    attended[d] += silu(score) / LONGEST * v[s][d]
        gated = [one * other for one, other in zip(layer_norm(attended, *norms[1]), u[t], strict=True)]
        outputs.append([one + other for one, other in zip(x[t], product(gated, out_proj), strict=True)])
    return outputs


@pytest.fixture(params=[1, 2])
def heads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def layers(heads: int) -> Layers:
    generator = torch.Generator().manual_seed(4)
    weights = initial_layers(2, DIM, heads, LONGEST, generator)
    for name in ("norms", "distance_bias"):
        weights[name].add_(torch.randn(weights[name].shape, generator=generator) * 0.4)
    return weights


def test_layers_are_those_of_the_paper_in_torch_and_in_numpy(layers: Layers, heads: int) -> None:
    rng = np.random.default_rng(5)
    lengths = np.array([7, 4, 1])
    values = rng.standard_normal((3, 7, DIM))
    trained = train_layers(torch.from_numpy(values).float(), layers, heads, 0.0, torch.Generator())
    unstacked = unstack({name: value.numpy() for name, value in layers.items()})
    served = serve_layers(values, lengths, unstacked, heads)
    for row, length in enumerate(lengths.tolist()):
        expected = values[row, :length].tolist()
        for layer in unstacked:
            expected = layer_by_loop(expected, layer, heads)
        np.testing.assert_allclose(served[row], expected[-1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(trained[row, :length].numpy(), expected, rtol=1e-3, atol=1e-4)


def test_gradients_of_the_bias_are_those_of_small_changes(layers: Layers, heads: int) -> None:
    values = torch.randn(2, 5, DIM, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    weights = {name: value.double().requires_grad_() for name, value in layers.items()}

    def loss(bias: torch.Tensor) -> torch.Tensor:
        outputs = train_layers(values, weights | {"distance_bias": bias}, heads, 0.0, torch.Generator())
        return (outputs * torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)).sum()

    bias = weights["distance_bias"]
    loss(bias).backward()
    for place in ((0, 0, 0), (1, heads - 1, 1), (0, 0, 4)):
        step = torch.zeros_like(bias)
        step[place] = 1e-5
        with torch.no_grad():
            slope = (loss(bias + step) - loss(bias - step)) / 2e-5
        assert float(bias.grad[place]) == pytest.approx(float(slope), rel=1e-5, abs=1e-8)


def test_low_precision_is_close_and_no_later_step_is_seen(layers: Layers, heads: int) -> None:
    values = torch.randn(3, 6, DIM, generator=torch.Generator().manual_seed(5))
    whole = train_layers(values, layers, heads, 0.0, torch.Generator())
    changed = values.clone()
    changed[:, 4:] += 1
    with torch.autocast("cpu", torch.bfloat16):
        low_precision, other = (train_layers(each, layers, heads, 0.0, torch.Generator()) for each in (values, changed))
    assert float((low_precision.float() - whole).norm() / whole.norm()) < 0.03
    assert torch.equal(low_precision[:, :4], other[:, :4])
    assert not torch.equal(low_precision[:, 4:], other[:, 4:])


@pytest.fixture(scope="module")
def model() -> Recommender:
    rng = np.random.default_rng(7)
    past = Histories.of([rng.integers(N_ITEMS, size=size).tolist() for size in rng.integers(1, 14, 40)])
    settings = {"dim": 8, "heads": 2, "epochs": 2, "learning_rate": 0.03, "max_length": 6}
    return create("sasrec", block="hstu", **settings).fit(TrainingData(past, N_ITEMS), Run.seeded(1))


def test_scores_alone_and_in_a_batch_are_equal(model: Recommender) -> None:
    histories = Histories.of([[1, 2, 3], [], [4], [5, 6, 7, 8, 9, 10, 11, 12], [2, 2], [7, 8, 9, 10, 11, 12]])
    states = model.fold_in(histories)
    for row in range(6):
        np.testing.assert_allclose(model.fold_in(histories.take(np.array([row])))[0], states[row], atol=1e-6)
    np.testing.assert_allclose(states[3], states[5], atol=1e-6)  # the last six count


def test_scores_without_each_event_are_those_of_the_shorter_histories(model: Recommender) -> None:
    histories = Histories.of([[0, 2, 4], [7], [], [1, 3, 0, 5, 6, 8, 11, 2]])
    weights = np.array([1, 1, -1, 1, 1, 0.5, 1, 1, -1, 2, 1, 1], dtype=np.float32)
    histories = replace(histories, mapped=weights)
    rows = np.arange(N_ITEMS)[None].repeat(4, axis=0)
    found = model.scores_without_each(histories, np.arange(12), rows)
    rest = model.score(model.fold_in(histories.without_each(np.arange(12))))
    np.testing.assert_allclose(found, rest, rtol=1e-4, atol=2e-5)


def test_a_norm_that_its_layers_do_not_have_is_refused() -> None:
    with pytest.raises(MatineeError, match=r"^model sasrec: norm = post goes with block = transformer; leave it out"):
        create("sasrec", block="hstu", norm="post")

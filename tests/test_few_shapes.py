"""Products in bfloat16 in few shapes: the rows that are added change nothing."""

import numpy as np
import pytest
import torch

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.sequences.batches import Subsequences, pad
from matinee.nn.few_shapes import RowProducts, of_few, with_few_rows
from matinee.training.run import Run


def test_sizes_are_few_and_hardly_larger() -> None:
    sizes = np.arange(1, 4_097)
    rounded = np.array([of_few(int(size)) for size in sizes])
    assert (rounded[:16] == sizes[:16]).all()
    assert (rounded >= sizes).all()
    assert (rounded <= sizes * 1.125).all()
    assert len(np.unique(rounded)) == 16 + 8 * 8
    assert [of_few(int(size)) for size in np.unique(rounded)] == np.unique(rounded).tolist()


@pytest.mark.parametrize("has_bias", [True, False])
def test_products_of_few_shapes_are_those_of_the_rows(has_bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn((12, 7), generator=generator).bfloat16()
    bias = torch.randn(7, generator=generator).bfloat16() if has_bias else None
    products = RowProducts(weights, 40, bias)
    for n in (40, 1, 33, 17, 40):  # what is left of larger products is not seen
        rows = torch.randn((n, 12), generator=generator)
        expected = rows.bfloat16().double() @ weights.double() + (0 if bias is None else bias.double())
        np.testing.assert_allclose(products(rows), expected, rtol=2**-7, atol=2**-7)
    exact = RowProducts(weights.float(), 40, None if bias is None else bias.float())
    assert exact(rows).dtype == torch.float32
    np.testing.assert_allclose(
        exact(rows), rows @ weights.float() + (0 if bias is None else bias), rtol=1e-5, atol=1e-5
    )


def test_rows_that_are_added_are_zero() -> None:
    rows = torch.ones((33, 2))
    assert with_few_rows(rows).tolist() == [[1.0, 1.0]] * 33 + [[0.0, 0.0]] * 3
    assert with_few_rows(rows[:32]) is not None
    assert len(with_few_rows(torch.ones(17))) == 18


def test_padding_in_few_shapes_has_the_same_transitions() -> None:
    rng = np.random.default_rng(0)
    lengths = -np.sort(-rng.integers(1, 38, 35))
    batch = Subsequences(np.cumsum(lengths) - lengths, lengths)
    transitions, present = pad(batch)
    more, there = pad(batch, 37)
    assert transitions.shape == (35, lengths[0])
    assert more.shape == there.shape == (36, min(of_few(int(lengths[0])), 37))
    assert (more[there] == transitions[present]).all()
    assert (more >= 0).all()
    assert not there[35].any()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sasrec", {}),
        ("sasrec", {"block": "hstu"}),
        ("sasrec", {"loss": "softmax"}),
        ("gru4rec", {}),
        ("gru4rec", {"attention": 1}),
        ("linear-gru", {}),
    ],
)
def test_models_learn_in_bfloat16_what_they_learn_in_float32(name: str, settings: dict[str, object]) -> None:
    rng = np.random.default_rng(7)
    histories = [rng.integers(60, size=size).tolist() for size in rng.integers(2, 45, 40)]
    train = TrainingData(Histories.of(histories), 60)
    common = {"epochs": 2, "dim": 8, "dropout": 0.0, "max_length": 37, "learning_rate": 1e-3, **settings}
    found = [create(name, **common, precision=each).fit(train, Run.seeded(1)) for each in ("float32", "bfloat16")]
    visitors = Histories.of(histories[:10])
    exact, rough = (model.score(model.state_of(visitors)) for model in found)
    assert not np.array_equal(exact, rough)
    assert np.corrcoef(exact.ravel(), rough.ravel())[0, 1] > 0.99

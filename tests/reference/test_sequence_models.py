"""Sequence models against torch's own layers, plain loops over sessions, and losses written out."""

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn import functional

from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.sequences.attention import BLOCK_ARRAYS, initial_blocks, serve_blocks, train_blocks, unstack
from matinee.models.sequences.batches import (
    batches_by_length,
    fill_lanes,
    pack,
    pad,
    random_restarts,
    split_histories,
)
from matinee.models.sequences.config import SequenceConfig
from matinee.models.sequences.gru import Cell, serve_states, train_states
from matinee.models.sequences.gru4rec import GRU4Rec, GRU4RecConfig, GRUNetwork
from matinee.models.sequences.losses import SequenceLoss, bpr_max, gbce, top1_max
from matinee.models.sequences.sasrec import SASRecConfig
from matinee.training.run import Run
from matinee.training.torch_trainer import fast_dropout

N_ITEMS = 17


@pytest.fixture(scope="module")
def sequences() -> list[list[int]]:
    rng = np.random.default_rng(3)
    return [rng.integers(N_ITEMS, size=size).tolist() for size in (5, 1, 9, 2, 30, 0, 3, 12, 2, 7)]


@pytest.fixture(scope="module")
def train(sequences: list[list[int]]) -> TrainingData:
    return TrainingData(Histories.of(sequences), N_ITEMS)


def transitions_by_loop(sequences: list[list[int]]) -> Counter[int]:
    """Indices of all events but each sequence's last, each once."""
    transitions: Counter[int] = Counter()
    start = 0
    for items in sequences:
        transitions.update(range(start, start + max(len(items) - 1, 0)))
        start += len(items)
    return transitions


@pytest.mark.parametrize("max_length", [1, 4, 7, 100])
def test_packed_and_padded_batches_hold_every_transition_once(
    max_length: int, sequences: list[list[int]], train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    expected = transitions_by_loop(sequences)
    for _ in range(5):
        subsequences = split_histories(train.histories.starts, max_length, rng)
        assert subsequences.lengths.max() <= max_length
        assert subsequences.lengths.min() >= 1
        monkeypatch.setattr("matinee.models.sequences.batches.MIN_STEPS", 1)
        batches = list(batches_by_length(subsequences, 10, rng))
        assert sum(len(batch) for batch in batches) == len(subsequences)
        assert Counter(index for batch in batches for index in pack(batch)[0].tolist()) == expected
        padded = [pad(batch) for batch in batches]
        assert Counter(index for indices, present in padded for index in indices[present].tolist()) == expected
        for batch in batches:
            assert len(batch) == 1 or batch.lengths.sum() <= 10 + batch.lengths.max()


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_random_restarts_keep_every_transition_once(
    probability: float, sequences: list[list[int]], train: TrainingData
) -> None:
    rng = np.random.default_rng(1)
    subsequences = split_histories(train.histories.starts, 100, rng)
    counts = []
    for _ in range(200):
        shorter = random_restarts(subsequences, probability, rng)
        indices = [first + step for first, n in zip(shorter.begins, shorter.lengths, strict=True) for step in range(n)]
        assert Counter(indices) == transitions_by_loop(sequences)
        assert shorter.lengths.min() >= 1
        counts.append(len(shorter))
    n = sum(transitions_by_loop(sequences).values())
    # in half of the subsequences every transition but the first starts a new one with the probability
    expected = len(subsequences) + (n - len(subsequences)) * probability / 2
    assert np.mean(counts) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("max_length", [4, 100])
@pytest.mark.parametrize("n_lanes", [1, 3, 50])
def test_lanes_hold_every_transition_once_and_subsequences_without_gaps(
    n_lanes: int, max_length: int, sequences: list[list[int]], train: TrainingData
) -> None:
    rng = np.random.default_rng(1)
    subsequences = split_histories(train.histories.starts, max_length, rng)
    lanes = fill_lanes(subsequences, n_lanes, rng)
    assert lanes.transitions.shape[1] <= n_lanes
    assert Counter(lanes.transitions[lanes.transitions >= 0].tolist()) == transitions_by_loop(sequences)
    starts = set(subsequences.begins.tolist())
    assert starts >= {start for start, n in zip(train.histories.starts, train.histories.lengths, strict=False) if n > 1}
    for lane in range(lanes.transitions.shape[1]):
        column, resets = lanes.transitions[:, lane], lanes.resets[:, lane]
        for step, index in enumerate(column.tolist()):
            if index < 0:
                assert (column[step:] == -1).all()  # nothing follows the end of a lane
                break
            assert resets[step] == (index in starts)
            assert resets[step] or index == column[step - 1] + 1


def test_lanes_end_together() -> None:
    """One sequence is fifty times as long as the others; if it came last, it would run alone for many steps."""
    lengths = np.array([100, *[3] * 400])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for seed in range(10):
        subsequences = split_histories(starts, 100, np.random.default_rng(1))
        lanes = fill_lanes(subsequences, 10, np.random.default_rng(seed))
        assert (lanes.transitions >= 0).sum() == (lengths - 1).sum()
        assert len(lanes.transitions) <= 100  # 90 if all lanes ended at the same step


def torch_gru(network: GRUNetwork) -> torch.nn.GRU:
    """Torch's GRU with the network's weights."""
    config, weights = network.config, network.parameters
    gru = torch.nn.GRU(config.dim, config.hidden, config.layers, batch_first=True)
    with torch.no_grad():
        for layer in range(config.layers):
            weights_ih = weights["first_weights_ih"] if layer == 0 else weights["weights_ih"][layer - 1]
            getattr(gru, f"weight_ih_l{layer}").copy_(weights_ih.T)
            getattr(gru, f"weight_hh_l{layer}").copy_(weights["weights_hh"][layer].T)
            getattr(gru, f"bias_ih_l{layer}").copy_(weights["biases"][layer, 0])
            getattr(gru, f"bias_hh_l{layer}").copy_(weights["biases"][layer, 1])
    return gru


def states_by_session(network: GRUNetwork, sequences: list[list[int]]) -> dict[int, torch.Tensor]:
    """The state at each transition, session by session through torch's GRU."""
    gru, found, start = torch_gru(network), {}, 0
    for items in sequences:
        if len(items) > 1:
            states, _ = gru(network.parameters["items"][torch.tensor(items[:-1])][None])
            found |= {start + step: states[0, step] for step in range(len(items) - 1)}
        start += len(items)
    return found


@pytest.mark.parametrize(("batches", "lane_steps"), [("packed", 1), ("session-parallel", 1), ("session-parallel", 4)])
def test_packed_and_session_parallel_states_are_those_of_single_sessions(
    batches: str, lane_steps: int, sequences: list[list[int]], train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GRU4RecConfig(
        dim=4, hidden=6, layers=2, dropout=0.0, batches=batches, lane_steps=lane_steps, batch_size=12
    )
    network = GRUNetwork(config, train, Run.seeded(1))
    with torch.no_grad():
        network.parameters["biases"].normal_(generator=torch.Generator().manual_seed(1))
    expected = states_by_session(network, sequences)
    compared: Counter[int] = Counter()

    def compare(states: torch.Tensor, transitions: np.ndarray) -> torch.Tensor:
        compared.update(transitions.tolist())
        for state, index in zip(states, transitions.tolist(), strict=True):
            torch.testing.assert_close(state, expected[index], atol=2e-6, rtol=1e-5)
        return states.sum()

    monkeypatch.setattr(network, "_loss", compare)
    for _ in network.losses():
        pass
    assert compared == transitions_by_loop(sequences)


def test_the_gru_has_the_gradients_of_a_loop_of_cells() -> None:
    generator = torch.Generator().manual_seed(2)
    width, batch_sizes = 4, [3, 3, 2, 2, 1]
    inputs, weights, bias, initial = (
        torch.randn(shape, generator=generator) for shape in ((11, 12), (4, 12), (12,), (3, 4))
    )
    resets = torch.zeros(11, dtype=torch.bool)
    resets[[3, 7]] = True
    outer = torch.randn(11, width, generator=generator)

    def by_loop(inputs: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        state, start, states = initial, 0, []
        for size in batch_sizes:
            before = state[:size] * ~resets[start : start + size, None]
            recurrent, own = before @ weights + bias, inputs[start : start + size]
            reset, update = (
                torch.sigmoid(own[:, part] + recurrent[:, part]) for part in (slice(0, width), slice(width, 2 * width))
            )
            new = torch.tanh(own[:, 2 * width :] + reset * recurrent[:, 2 * width :])
            state = (1 - update) * new + update * before
            states.append(state)
            start += size
        return torch.cat(states)

    ours = [tensor.clone().requires_grad_() for tensor in (inputs, weights, bias)]
    theirs = [tensor.clone().requires_grad_() for tensor in (inputs, weights, bias)]
    states = train_states(*ours, batch_sizes, initial=initial, resets=resets)
    (states * outer).sum().backward()
    expected = by_loop(*theirs)
    (expected * outer).sum().backward()
    torch.testing.assert_close(states, expected)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)


def test_the_gru_in_numpy_is_the_gru_in_torch() -> None:
    rng = np.random.default_rng(7)
    lengths, width = np.array([6, 4, 1]), 3
    inputs, weights, bias = rng.normal(size=(3, 6, 9)), rng.normal(size=(3, 9)), rng.normal(size=9)
    served = serve_states(inputs, lengths, Cell.of(weights, bias))
    batch_sizes = [(lengths > step).sum() for step in range(6)]
    packed = np.concatenate([inputs[:size, step] for step, size in enumerate(batch_sizes)])
    trained = train_states(*(torch.from_numpy(array).float() for array in (packed, weights, bias)), batch_sizes)
    start = 0
    for step, size in enumerate(batch_sizes):
        np.testing.assert_allclose(served[:size, step], trained[start : start + size], atol=1e-6)
        np.testing.assert_array_equal(served[size:, step], served[size:, max(step - 1, 0)])  # kept after the end
        start += size
    assert served.shape == (3, 6, width)


def encoder_layer(weights: dict[str, torch.Tensor], block: int, n_heads: int, norm: str) -> torch.nn.Module:
    """Torch's own layer of attention and feed-forward with the weights of a block."""
    dim = weights["out_proj"].shape[1]
    layer = torch.nn.TransformerEncoderLayer(dim, n_heads, dim, 0.0, batch_first=True, norm_first=norm == "pre")
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(weights["qkv"][block].T)
        layer.self_attn.out_proj.weight.copy_(weights["out_proj"][block].T)
        layer.linear1.weight.copy_(weights["ffn_in"][block].T)
        layer.linear2.weight.copy_(weights["ffn_out"][block].T)
        for part, linear in enumerate((layer.linear1, layer.linear2)):
            linear.bias.copy_(weights["ffn_bias"][block, part])
        for part, normed in enumerate((layer.norm1, layer.norm2)):
            normed.weight.copy_(weights["norms"][block, part, 0])
            normed.bias.copy_(weights["norms"][block, part, 1])
        layer.self_attn.in_proj_bias.zero_()
        layer.self_attn.out_proj.bias.zero_()
    return layer


@pytest.fixture(scope="module")
def blocks() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    weights = initial_blocks(2, 8, generator)
    weights["ffn_bias"].normal_(generator=generator)
    weights["norms"].add_(torch.randn(weights["norms"].shape, generator=generator) * 0.3)
    return weights


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("n_heads", [1, 2])
def test_attention_blocks_equal_torch_layers_in_torch_and_in_numpy(
    norm: str, n_heads: int, blocks: dict[str, torch.Tensor]
) -> None:
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(3, 6, 8, generator=generator)
    expected = values
    later = torch.ones(6, 6, dtype=torch.bool).triu(1)
    for block in range(2):
        expected = encoder_layer(blocks, block, n_heads, norm)(expected, src_mask=later)
    found = train_blocks(values, blocks, n_heads, norm, 0.0, generator)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    if norm == "pre":  # see test_pre_norm_blocks
        return
    lengths = np.array([6, 4, 1])
    weights = unstack({name: blocks[name].numpy() for name in BLOCK_ARRAYS})
    state = serve_blocks(values.double().numpy(), lengths, weights, n_heads)
    for row, length in enumerate(lengths.tolist()):
        np.testing.assert_allclose(state[row], expected[row, length - 1].detach().numpy(), atol=1e-5)


def test_attention_in_bfloat16_is_close_and_causal(blocks: dict[str, torch.Tensor]) -> None:
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(3, 6, 8, generator=generator)
    whole = train_blocks(values, blocks, 2, "pre", 0.0, generator)
    with torch.autocast("cpu", torch.bfloat16):
        low_precision = train_blocks(values, blocks, 2, "pre", 0.0, generator)
        changed = values.clone()
        changed[:, 4:] += 1
        other = train_blocks(changed, blocks, 2, "pre", 0.0, generator)
    assert float((low_precision.float() - whole).norm() / whole.norm()) < 0.02
    assert torch.equal(low_precision[:, :4], other[:, :4])


@pytest.mark.parametrize(
    ("name", "settings"),
    [("sasrec", {}), ("sasrec", {"norm": "post"}), ("gru4rec", {}), ("gru4rec", {"attention": 2, "layers": 2})],
)
def test_no_later_event_changes_an_earlier_prediction(name: str, settings: dict[str, object]) -> None:
    """Prefixes folded in one by one give what training saw at each step of the whole sequence."""
    rng = np.random.default_rng(6)
    train = TrainingData(Histories.of([rng.integers(N_ITEMS, size=9).tolist() for _ in range(20)]), N_ITEMS)
    sizes = {"dim": 8, "epochs": 2, "dropout": 0.0, "max_length": 20} | settings
    model = create(name, **sizes).fit(train, Run.seeded(1))
    items = rng.integers(N_ITEMS, size=7).tolist()
    changed = [*items[:4], *((item + 1) % N_ITEMS for item in items[4:])]
    prefixes = [items[: n + 1] for n in range(7)]
    if name == "gru4rec":
        before, after = (every_state(model, one) for one in (items, changed))
        assert torch.equal(before[:4], after[:4])
        assert not torch.allclose(before[4:], after[4:])
        folded = model.fold_in(Histories.of(prefixes))
        np.testing.assert_allclose(folded[:, :-1], before.numpy() @ model.projection, atol=2e-5)
    else:
        # positions count backwards, so what is compared is the blocks themselves
        weights = {block: torch.from_numpy(getattr(model, block)) for block in BLOCK_ARRAYS}
        values = torch.from_numpy(model.items[[items, changed]])
        states = train_blocks(values, weights, 1, model.config.norm, 0.0, torch.Generator())
        assert torch.equal(states[0, :4], states[1, :4])
        assert not torch.allclose(states[0, 4:], states[1, 4:])


def every_state(model: GRU4Rec, items: list[int]) -> torch.Tensor:
    """The state after each event, by torch. [T, H]."""
    values = torch.from_numpy(model.items[items])
    inputs = [model.first_weights_ih, *model.weights_ih]
    for weights_ih, weights_hh, bias in zip(inputs, model.weights_hh, model.biases, strict=True):
        projected = values @ torch.from_numpy(weights_ih) + torch.from_numpy(bias[0])
        values = train_states(projected, torch.from_numpy(weights_hh), torch.from_numpy(bias[1]), [1] * len(items))
    weights = {block: torch.from_numpy(getattr(model, block)) for block in BLOCK_ARRAYS}
    return train_blocks(values[None], weights, 1, "post", 0.0, torch.Generator())[0]


def test_sasrec_positions_count_from_the_last_event() -> None:
    train = TrainingData(Histories.of([[1, 2, 3, 4], [5, 6, 7, 8, 9]] * 8), N_ITEMS)
    model = create("sasrec", dim=8, epochs=1, max_length=5, layers=1).fit(train, Run.seeded(1))
    values = torch.from_numpy(model.items[[1, 2, 3]] * math.sqrt(8) + model.position_embeddings[[2, 1, 0]])[None]
    weights = {block: torch.from_numpy(getattr(model, block)) for block in BLOCK_ARRAYS}
    state = train_blocks(values, weights, 1, "pre", 0.0, torch.Generator())[0, -1]
    expected = functional.layer_norm(state, (8,), *torch.from_numpy(model.last_norm), 1e-5)
    np.testing.assert_allclose(model.fold_in(Histories.of([[1, 2, 3]]))[0], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_only_the_last_events_count(name: str, train: TrainingData) -> None:
    model = create(name, dim=8, epochs=1, max_length=6).fit(train, Run.seeded(1))
    long, short = list(range(15)), list(range(9, 15))
    states = model.fold_in(Histories.of([long, short, [], [3]]))
    np.testing.assert_array_equal(states[0], states[1])
    assert not states[2, :8].any()


def states_and_table() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    states = torch.randn(40, 6, generator=generator)
    table = torch.randn(N_ITEMS, 6, generator=generator)
    return states, table


@pytest.fixture(scope="module")
def transitions(sequences: list[list[int]]) -> np.ndarray:
    """40 transitions of `train`, some of them twice."""
    return np.random.default_rng(8).choice(sorted(transitions_by_loop(sequences)), 40)


def softmax_by_loop(
    states: torch.Tensor,
    table: torch.Tensor,
    past: Histories,
    transitions: np.ndarray,
    candidates: dict[int, float],
    config: SequenceConfig,
) -> torch.Tensor:
    """The loss by a loop over transitions; candidates: the offset of each item row's score."""
    n = np.maximum(past.lengths - 1, 0)
    mean = (np.maximum(n, 1.0) ** -config.user_power * n).sum() / n.sum()
    total = torch.zeros(())
    for state, index in zip(states, transitions.tolist(), strict=True):
        owner = int(np.searchsorted(past.starts, index, "right")) - 1
        target = int(past.items[index + 1])
        seen = set(past.items[past.starts[owner] : index + 1].tolist()) if config.mask_seen else set()
        rest = [row for row in candidates if row != target and row not in seen]
        scores = torch.stack([state @ table[target], *(state @ table[row] + candidates[row] for row in rest)])
        loss = torch.logsumexp(scores, 0) - scores[0]
        total = total + loss * float(n[owner]) ** -config.user_power / mean
    return total / len(transitions)


def with_gradients(loss: torch.Tensor, *tensors: torch.Tensor) -> list[torch.Tensor]:
    return [loss, *torch.autograd.grad(loss, tensors)]


@pytest.mark.parametrize("block", [20, 10**6])
def test_softmax_is_cross_entropy_over_the_catalogue(
    block: int, train: TrainingData, transitions: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.models.sequences.losses.BLOCK_SCORES", block)
    states, table = states_and_table()
    states.requires_grad_()
    table.requires_grad_()
    loss = SequenceLoss(SequenceConfig(loss="softmax"), train, np.random.default_rng(1))
    found = with_gradients(loss(states, table, transitions), states, table)
    plain = functional.cross_entropy(states @ table.T, torch.from_numpy(train.histories.items[transitions + 1]).long())
    for mine, other in zip(found, with_gradients(plain, states, table), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)
    low_precision = SequenceLoss(SequenceConfig(loss="softmax", precision="bfloat16"), train, np.random.default_rng(1))
    rough = with_gradients(low_precision(states, table, transitions), states, table)
    for mine, other in zip(rough, found, strict=True):
        assert float((mine - other).detach().norm() / other.detach().norm()) < 0.03


@pytest.mark.parametrize("block", [20, 10**6])
@pytest.mark.parametrize("settings", [{"mask_seen": True}, {"user_power": 0.7}, {"mask_seen": True, "user_power": 1}])
def test_softmax_with_masked_items_and_weights_equals_a_loop(
    settings: dict[str, float],
    block: int,
    train: TrainingData,
    transitions: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("matinee.models.sequences.losses.BLOCK_SCORES", block)
    states, table = states_and_table()
    states.requires_grad_()
    table.requires_grad_()
    config = SequenceConfig(loss="softmax", **settings)
    found = with_gradients(
        SequenceLoss(config, train, np.random.default_rng(1))(states, table, transitions), states, table
    )
    plain = softmax_by_loop(states, table, train.histories, transitions, dict.fromkeys(range(N_ITEMS), 0.0), config)
    for mine, other in zip(found, with_gradients(plain, states, table), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mask_seen", [False, True])
@pytest.mark.parametrize("in_batch", [False, True])
def test_sampled_softmax_equals_a_loop(
    in_batch: bool, mask_seen: bool, train: TrainingData, transitions: np.ndarray
) -> None:
    states, table = states_and_table()
    states.requires_grad_()
    table.requires_grad_()
    config = SequenceConfig(
        loss="sampled-softmax", n_negatives=9, negative_power=0.5, in_batch=in_batch, mask_seen=mask_seen
    )
    loss = SequenceLoss(config, train, np.random.default_rng(1))
    found = with_gradients(loss(states, table, transitions), states, table)
    rows, offsets = SequenceLoss(config, train, np.random.default_rng(1))._draw(train.histories.items[transitions + 1])
    candidates = dict(zip(rows.tolist(), offsets.tolist(), strict=True))
    plain = softmax_by_loop(states, table, train.histories, transitions, candidates, config)
    for mine, other in zip(found, with_gradients(plain, states, table), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("in_batch", [False, True])
def test_sampled_sums_are_unbiased_estimates_of_the_catalogues(in_batch: bool, train: TrainingData) -> None:
    rng = np.random.default_rng(9)
    config = SequenceConfig(loss="sampled-softmax", n_negatives=5, negative_power=0.7, in_batch=in_batch)
    loss = SequenceLoss(config, train, rng)
    scores = rng.normal(size=N_ITEMS)
    sums = []
    for _ in range(4000):
        rows, offsets = loss._draw(rng.choice(train.histories.items, 6))
        sums.append(np.exp(scores[rows] + offsets).sum())
    drawable = train.popularity > 0
    assert np.mean(sums) == pytest.approx(np.exp(scores[drawable]).sum(), rel=0.03)


def test_the_papers_losses_equal_plain_loops() -> None:
    rng = np.random.default_rng(10)
    positives, negatives = rng.normal(size=5), rng.normal(size=(5, 4))
    excluded = rng.random((5, 4)) < 0.3

    def logistic(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    calibrated, bpr, top1 = [], [], []
    for row in range(5):
        p = positives[row]
        others = [negatives[row, column] for column in range(4) if not excluded[row, column]]
        weights = [math.exp(n) / sum(map(math.exp, others)) for n in others]
        own = math.log(logistic(p) ** 0.3) + sum(math.log(1 - logistic(n)) for n in others)
        calibrated.append(-own / (1 + len(others)))
        each = list(zip(weights, others, strict=True))
        bpr.append(-math.log(sum(s * logistic(p - n) for s, n in each)) + 0.5 * sum(s * n**2 for s, n in each))
        top1.append(sum(s * (logistic(n - p) + logistic(n**2)) for s, n in each))
    arguments = torch.from_numpy(positives), torch.from_numpy(negatives), torch.from_numpy(excluded)
    assert float(gbce(*arguments, 0.3)) == pytest.approx(np.mean(calibrated))
    assert float(bpr_max(*arguments, 0.5)) == pytest.approx(np.mean(bpr))
    assert float(top1_max(*arguments)) == pytest.approx(np.mean(top1))


def test_gbce_exponent_at_its_ends(train: TrainingData) -> None:
    """Without calibration it is bce; with full calibration the exponent is the sampled fraction of the catalogue."""
    plain = SequenceLoss(SequenceConfig(loss="gbce", n_negatives=4, calibration=0), train, np.random.default_rng(1))
    calibrated = SequenceLoss(
        SequenceConfig(loss="gbce", n_negatives=4, calibration=1), train, np.random.default_rng(1)
    )
    assert plain._exponent() == pytest.approx(1)
    assert calibrated._exponent() == pytest.approx(4 / (N_ITEMS - 1))


def test_bce_negatives_are_never_the_users_own(train: TrainingData) -> None:
    states, table = states_and_table()
    start, stop = train.histories.starts[4:6].tolist()  # of the user with 30 events
    own = set(train.histories.items[start:stop].tolist())
    assert 1 < len(own) < N_ITEMS
    loss = SequenceLoss(SequenceConfig(loss="bce", n_negatives=1), train, np.random.default_rng(1))
    loss.sampler.rng = np.random.default_rng(2)
    drawn = np.random.default_rng(2).integers(N_ITEMS, size=(40, 1))[:, 0]
    scores = states @ table.T
    kept = [row for row in range(40) if drawn[row] not in own]
    others = sum(-math.log(1 - 1 / (1 + math.exp(-float(scores[row, drawn[row]])))) for row in kept)
    whole = float(functional.softplus(-scores[:, train.histories.items[start + 1]]).sum()) + others
    assert float(loss(states, table, np.full(40, start))) == pytest.approx(whole / (40 + len(kept)), rel=1e-5)


@pytest.mark.parametrize("kind", ["softmax", "sampled-softmax", "bce", "gbce", "bpr-max", "top1-max"])
@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_every_loss_learns_a_cycle(name: str, kind: str) -> None:
    cycle = [[(user + step) % 12 for step in range(6)] for user in range(48)]
    train = TrainingData(Histories.of(cycle), 12)
    penalty = {"penalty": 0.01} if kind == "bpr-max" else {}
    settings = {"loss": kind, "n_negatives": 8, "dim": 16, "epochs": 15, "learning_rate": 0.01}
    model = create(name, dropout=0.0, max_length=10, **settings, **penalty).fit(train, Run.seeded(1))
    scores = model.score(model.fold_in(train.histories))
    scores[
        train.histories.owners, train.histories.items
    ] = -np.inf  # bce and gbce have no negatives among a user's items
    np.testing.assert_array_equal(scores.argmax(axis=1), [(user + 6) % 12 for user in range(48)])


def test_fast_dropout_has_the_rate_and_keeps_the_mean() -> None:
    values = torch.ones(1001, 101)
    kept = fast_dropout(values, 0.3, torch.Generator().manual_seed(1))
    assert float((kept == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(kept.mean()) == pytest.approx(1, abs=0.01)
    assert float((kept[:, 7::8] == 0).float().mean()) == pytest.approx(
        0.3, abs=0.02
    )  # also of the last byte of each word
    assert fast_dropout(values, 0.0, torch.Generator()) is values


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MatineeError, match=r"^model sasrec: heads = 3 do not divide dim = 64; use heads = 1 or 2$"):
        create("sasrec", heads=3)
    with pytest.raises(MatineeError, match=r"attention needs whole sequences.*use batches = packed"):
        create("gru4rec", attention=1, batches="session-parallel")
    with pytest.raises(
        MatineeError,
        match=r"^model sasrec: mask_seen goes with loss = softmax or sampled-softmax; leave it out with bce$",
    ):
        create("sasrec", loss="bce", mask_seen=True)
    with pytest.raises(MatineeError, match=r"user_power goes with"):
        create("gru4rec", loss="top1-max", user_power=0.5)
    assert SASRecConfig(dim=64, heads=2).heads == 2


@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_serving_needs_no_torch(name: str, tmp_path: object) -> None:
    train = TrainingData(Histories.of([[0, 1, 2, 3], [2, 1, 0]] * 4), 5)
    model = create(name, dim=4, epochs=1).fit(train, Run.seeded(1))
    arrays = {attribute: getattr(model, attribute) for attribute in model.learned}
    np.savez(f"{tmp_path}/arrays.npz", **arrays)
    script = f"""
import sys
import numpy as np
from matinee.histories import Histories
from matinee.models import create
from matinee.ranking.rank import rank
model = create({name!r}, dim=4, epochs=1)
for name, array in np.load({f"{tmp_path}/arrays.npz"!r}).items():
    setattr(model, name, array)
assert rank(model, Histories.of([[0, 1], []]), 3).items.shape == (2, 3)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

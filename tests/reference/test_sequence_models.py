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
from matinee.models.sequences.attention import attend, initial_blocks
from matinee.models.sequences.batches import begun_anew, by_length, cut, grid, lanes, packed
from matinee.models.sequences.config import SequenceConfig
from matinee.models.sequences.gru import recurrence
from matinee.models.sequences.gru4rec import GRU4Rec, GRU4RecConfig
from matinee.models.sequences.inference import attended, blocks_of, gru_states
from matinee.models.sequences.losses import SequenceLoss, bpr_max, gbce, top1_max
from matinee.models.sequences.recurrent import RecurrentNetwork
from matinee.models.sequences.sasrec import BLOCKS, SASRecConfig
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
    """How often each place of the flat array is to be trained: once, but for each sequence's last."""
    places: Counter[int] = Counter()
    start = 0
    for items in sequences:
        places.update(range(start, start + max(len(items) - 1, 0)))
        start += len(items)
    return places


@pytest.mark.parametrize("longest", [1, 4, 7, 100])
def test_pieces_packed_or_in_a_grid_hold_every_transition_once(
    longest: int, sequences: list[list[int]], train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    wanted = transitions_by_loop(sequences)
    for _ in range(5):
        pieces = cut(train.histories.starts, longest, rng)
        assert pieces.lengths.max() <= longest
        assert pieces.lengths.min() >= 1
        monkeypatch.setattr("matinee.models.sequences.batches.LEAST_STEPS", 1)
        batches = list(by_length(pieces, 10, rng))
        assert sum(len(batch) for batch in batches) == len(pieces)
        assert Counter(place for batch in batches for place in packed(batch)[0].tolist()) == wanted
        rows = [grid(batch) for batch in batches]
        assert Counter(place for places, real in rows for place in places[real].tolist()) == wanted
        for batch in batches:
            assert len(batch) == 1 or batch.lengths.sum() <= 10 + batch.lengths.max()


@pytest.mark.parametrize("chance", [0.0, 0.4, 1.0])
def test_pieces_begun_anew_hold_every_transition_once_in_its_place(
    chance: float, sequences: list[list[int]], train: TrainingData
) -> None:
    rng = np.random.default_rng(1)
    pieces = cut(train.histories.starts, 100, rng)
    n_pieces = []
    for _ in range(200):
        shorter = begun_anew(pieces, chance, rng)
        places = [first + step for first, n in zip(shorter.first, shorter.lengths, strict=True) for step in range(n)]
        assert Counter(places) == transitions_by_loop(sequences)
        assert shorter.lengths.min() >= 1
        n_pieces.append(len(shorter))
    n = sum(transitions_by_loop(sequences).values())
    # half of the pieces keep their one beginning, in the others all later transitions begin anew with the chance
    assert np.mean(n_pieces) == pytest.approx(len(pieces) + (n - len(pieces)) * chance / 2, rel=0.05)


@pytest.mark.parametrize("longest", [4, 100])
@pytest.mark.parametrize("n_lanes", [1, 3, 50])
def test_lanes_hold_every_transition_once_and_pieces_in_one_go(
    n_lanes: int, longest: int, sequences: list[list[int]], train: TrainingData
) -> None:
    rng = np.random.default_rng(1)
    pieces = cut(train.histories.starts, longest, rng)
    table = lanes(pieces, n_lanes, rng)
    assert table.places.shape[1] <= n_lanes
    assert Counter(table.places[table.places >= 0].tolist()) == transitions_by_loop(sequences)
    starts = set(pieces.first.tolist())
    assert starts >= {start for start, n in zip(train.histories.starts, train.histories.lengths, strict=False) if n > 1}
    for lane in range(table.places.shape[1]):
        column, begins = table.places[:, lane], table.begins[:, lane]
        for step, place in enumerate(column.tolist()):
            if place < 0:
                assert (column[step:] == -1).all()  # a lane that has ended takes nothing up
                break
            assert begins[step] == (place in starts)
            assert begins[step] or place == column[step - 1] + 1


def test_lanes_end_together() -> None:
    """With one sequence fifty times as long as the rest, drawn last it would stand alone for many steps."""
    lengths = np.array([100, *[3] * 400])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for seed in range(10):
        table = lanes(cut(starts, 100, np.random.default_rng(1)), 10, np.random.default_rng(seed))
        assert (table.places >= 0).sum() == (lengths - 1).sum()
        assert len(table.places) <= 100  # 90 if every lane were full to the end


def torch_gru(network: RecurrentNetwork) -> torch.nn.GRU:
    """Torch's GRU with the network's weights."""
    config, weights = network.config, network.parameters
    gru = torch.nn.GRU(config.dim, config.hidden, config.layers, batch_first=True)
    with torch.no_grad():
        for layer in range(config.layers):
            into = weights["first_input"] if layer == 0 else weights["inputs"][layer - 1]
            getattr(gru, f"weight_ih_l{layer}").copy_(into.T)
            getattr(gru, f"weight_hh_l{layer}").copy_(weights["recurrent"][layer].T)
            getattr(gru, f"bias_ih_l{layer}").copy_(weights["biases"][layer, 0])
            getattr(gru, f"bias_hh_l{layer}").copy_(weights["biases"][layer, 1])
    return gru


def states_by_session(network: RecurrentNetwork, sequences: list[list[int]]) -> dict[int, torch.Tensor]:
    """The state at each transition, session by session through torch's GRU."""
    gru, found, start = torch_gru(network), {}, 0
    for items in sequences:
        if len(items) > 1:
            states, _ = gru(network.parameters["items"][torch.tensor(items[:-1])][None])
            found |= {start + place: states[0, place] for place in range(len(items) - 1)}
        start += len(items)
    return found


@pytest.mark.parametrize(("batches", "lane_steps"), [("packed", 1), ("session-parallel", 1), ("session-parallel", 4)])
def test_packed_and_session_parallel_states_are_those_of_single_sessions(
    batches: str, lane_steps: int, sequences: list[list[int]], train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GRU4RecConfig(
        dim=4, hidden=6, layers=2, dropout=0.0, batches=batches, lane_steps=lane_steps, batch_size=12
    )
    network = RecurrentNetwork(config, train, Run.seeded(1))
    with torch.no_grad():
        network.parameters["biases"].normal_(generator=torch.Generator().manual_seed(1))
    wanted = states_by_session(network, sequences)
    met: Counter[int] = Counter()

    def compare(states: torch.Tensor, places: np.ndarray) -> torch.Tensor:
        met.update(places.tolist())
        for state, place in zip(states, places.tolist(), strict=True):
            torch.testing.assert_close(state, wanted[place], atol=2e-6, rtol=1e-5)
        return states.sum()

    monkeypatch.setattr(network, "_loss", compare)
    for _ in network.losses():
        pass
    assert met == transitions_by_loop(sequences)


def test_recurrence_has_the_gradients_of_a_loop_of_cells() -> None:
    generator = torch.Generator().manual_seed(2)
    width, sizes = 4, [3, 3, 2, 2, 1]
    inputs, weights, bias, first = (
        torch.randn(shape, generator=generator) for shape in ((11, 12), (4, 12), (12,), (3, 4))
    )
    begins = torch.zeros(11, dtype=torch.bool)
    begins[[3, 7]] = True
    wanted = torch.randn(11, width, generator=generator)

    def by_loop(inputs: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        state, start, states = first, 0, []
        for size in sizes:
            before = state[:size] * ~begins[start : start + size, None]
            told, own = before @ weights + bias, inputs[start : start + size]
            reset, update = (
                torch.sigmoid(own[:, part] + told[:, part]) for part in (slice(0, width), slice(width, 2 * width))
            )
            new = torch.tanh(own[:, 2 * width :] + reset * told[:, 2 * width :])
            state = (1 - update) * new + update * before
            states.append(state)
            start += size
        return torch.cat(states)

    ours = [tensor.clone().requires_grad_() for tensor in (inputs, weights, bias)]
    theirs = [tensor.clone().requires_grad_() for tensor in (inputs, weights, bias)]
    states = recurrence(ours[0], ours[1], ours[2], sizes, first=first, begins=begins)
    (states * wanted).sum().backward()
    expected = by_loop(*theirs)
    (expected * wanted).sum().backward()
    torch.testing.assert_close(states, expected)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)


def encoder_layer(weights: dict[str, torch.Tensor], block: int, n_heads: int, norm: str) -> torch.nn.Module:
    """Torch's own layer of attention and feed-forward with the weights of a block."""
    dim = weights["mixed"].shape[1]
    layer = torch.nn.TransformerEncoderLayer(dim, n_heads, dim, 0.0, batch_first=True, norm_first=norm == "pre")
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(weights["qkv"][block].T)
        layer.self_attn.out_proj.weight.copy_(weights["mixed"][block].T)
        layer.linear1.weight.copy_(weights["up"][block].T)
        layer.linear2.weight.copy_(weights["down"][block].T)
        for place, linear in enumerate((layer.linear1, layer.linear2)):
            linear.bias.copy_(weights["shifts"][block, place])
        for place, own in enumerate((layer.norm1, layer.norm2)):
            own.weight.copy_(weights["norms"][block, place, 0])
            own.bias.copy_(weights["norms"][block, place, 1])
        layer.self_attn.in_proj_bias.zero_()
        layer.self_attn.out_proj.bias.zero_()
    return layer


@pytest.fixture(scope="module")
def blocks() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    weights = initial_blocks(2, 8, generator)
    weights["shifts"].normal_(generator=generator)
    weights["norms"].add_(torch.randn(weights["norms"].shape, generator=generator) * 0.3)
    return weights


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("n_heads", [1, 2])
def test_attention_is_that_of_torch_and_of_numpy(norm: str, n_heads: int, blocks: dict[str, torch.Tensor]) -> None:
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(3, 6, 8, generator=generator)
    expected = values
    later = torch.ones(6, 6, dtype=torch.bool).triu(1)
    for block in range(2):
        expected = encoder_layer(blocks, block, n_heads, norm)(expected, src_mask=later)
    found = attend(values, blocks, n_heads, norm, 0.0, generator)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    lengths = np.array([6, 4, 1])
    weights = blocks_of({name: blocks[name].numpy() for name in BLOCKS})
    state = attended(values.double().numpy(), lengths, weights, n_heads, norm)
    for row, length in enumerate(lengths.tolist()):
        np.testing.assert_allclose(state[row], expected[row, length - 1].detach().numpy(), atol=1e-5)


def test_half_precision_attention_stays_near_and_causal(blocks: dict[str, torch.Tensor]) -> None:
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(3, 6, 8, generator=generator)
    whole = attend(values, blocks, 2, "pre", 0.0, generator)
    with torch.autocast("cpu", torch.bfloat16):
        half = attend(values, blocks, 2, "pre", 0.0, generator)
        changed = values.clone()
        changed[:, 4:] += 1
        other = attend(changed, blocks, 2, "pre", 0.0, generator)
    assert float((half.float() - whole).norm() / whole.norm()) < 0.02
    assert torch.equal(half[:, :4], other[:, :4])


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
    prefixes = [items[: place + 1] for place in range(7)]
    if name == "gru4rec":
        before, after = (every_state(model, one) for one in (items, changed))
        assert torch.equal(before[:4], after[:4])
        assert not torch.allclose(before[4:], after[4:])
        folded = model.fold_in(Histories.of(prefixes))
        np.testing.assert_allclose(folded[:, :-1], before.numpy() @ model.turn, atol=2e-5)
    else:
        # positions count backwards, so what is compared is the blocks themselves
        weights = {block: torch.from_numpy(getattr(model, block)) for block in BLOCKS}
        values = torch.from_numpy(model.items[[items, changed]])
        states = attend(values, weights, 1, model.config.norm, 0.0, torch.Generator())
        assert torch.equal(states[0, :4], states[1, :4])
        assert not torch.allclose(states[0, 4:], states[1, 4:])


def every_state(model: GRU4Rec, items: list[int]) -> torch.Tensor:
    """The state after each event, by torch. [T, H]."""
    values = torch.from_numpy(model.items[items])
    for inputs, recurrent, bias in zip([model.first_input, *model.inputs], model.recurrent, model.biases, strict=True):
        told = values @ torch.from_numpy(inputs) + torch.from_numpy(bias[0])
        values = recurrence(told, torch.from_numpy(recurrent), torch.from_numpy(bias[1]), [1] * len(items))
    weights = {block: torch.from_numpy(getattr(model, block)) for block in BLOCKS}
    return attend(values[None], weights, 1, "post", 0.0, torch.Generator())[0]


def test_sasrec_positions_count_from_the_last_event() -> None:
    train = TrainingData(Histories.of([[1, 2, 3, 4], [5, 6, 7, 8, 9]] * 8), N_ITEMS)
    model = create("sasrec", dim=8, epochs=1, max_length=5, layers=1).fit(train, Run.seeded(1))
    values = torch.from_numpy(model.items[[1, 2, 3]] * math.sqrt(8) + model.places[[2, 1, 0]])[None]
    weights = {block: torch.from_numpy(getattr(model, block)) for block in BLOCKS}
    state = attend(values, weights, 1, "pre", 0.0, torch.Generator())[0, -1]
    wanted = functional.layer_norm(state, (8,), *torch.from_numpy(model.last_norm), 1e-5)
    np.testing.assert_allclose(model.fold_in(Histories.of([[1, 2, 3]]))[0], wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_only_the_last_events_count(name: str, train: TrainingData) -> None:
    model = create(name, dim=8, epochs=1, max_length=6).fit(train, Run.seeded(1))
    long, short = list(range(15)), list(range(9, 15))
    states = model.fold_in(Histories.of([long, short, [], [3]]))
    np.testing.assert_array_equal(states[0], states[1])
    assert not states[2, :8].any()


def test_one_click_on_carried_states_is_folding_in_anew(train: TrainingData) -> None:
    model = create("gru4rec", dim=8, hidden=5, layers=2, epochs=1).fit(train, Run.seeded(1))
    assert isinstance(model, GRU4Rec)
    carried = model.carry(Histories.of([[1, 2, 3], [], [4]]))
    for clicks in ([5, 6, 7], [8, 9, 0]):
        carried = model.click(carried, np.array(clicks))
    whole = model.fold_in(Histories.of([[1, 2, 3, 5, 8], [6, 9], [4, 7, 0]]))
    np.testing.assert_allclose(model.carried_state(carried), whole, atol=1e-6)


def test_gru_states_start_where_they_are_told() -> None:
    rng = np.random.default_rng(7)
    inputs, weights, bias = rng.normal(size=(2, 6, 9)), rng.normal(size=(3, 9)), rng.normal(size=9)
    whole = gru_states(inputs, np.array([6, 6]), weights, bias)
    later = gru_states(inputs[:, 4:], np.array([2, 2]), weights, bias, whole[:, 3])
    np.testing.assert_allclose(later, whole[:, 4:], atol=1e-12)


def states_and_table() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    states = torch.randn(40, 6, generator=generator)
    table = torch.randn(N_ITEMS, 6, generator=generator)
    return states, table


@pytest.fixture(scope="module")
def places(sequences: list[list[int]]) -> np.ndarray:
    """40 transitions of `train`, some of them twice."""
    return np.random.default_rng(8).choice(sorted(transitions_by_loop(sequences)), 40)


def loop_of_softmax(
    states: torch.Tensor,
    table: torch.Tensor,
    past: Histories,
    places: np.ndarray,
    candidates: dict[int, float],
    config: SequenceConfig,
) -> torch.Tensor:
    """The loss transition by transition; candidates: what is added to the score of each item row."""
    n = np.maximum(past.lengths - 1, 0)
    mean = (np.maximum(n, 1.0) ** -config.user_power * n).sum() / n.sum()
    total = torch.zeros(())
    for state, place in zip(states, places.tolist(), strict=True):
        owner = int(np.searchsorted(past.starts, place, "right")) - 1
        target = int(past.items[place + 1])
        seen = set(past.items[past.starts[owner] : place + 1].tolist()) if config.mask_seen else set()
        rest = [row for row in candidates if row != target and row not in seen]
        scores = torch.stack([state @ table[target], *(state @ table[row] + candidates[row] for row in rest)])
        loss = torch.logsumexp(scores, 0) - scores[0]
        total = total + loss * float(n[owner]) ** -config.user_power / mean
    return total / len(places)


def with_gradients(loss: torch.Tensor, *tensors: torch.Tensor) -> list[torch.Tensor]:
    return [loss, *torch.autograd.grad(loss, tensors)]


@pytest.mark.parametrize("block", [20, 10**6])
def test_softmax_is_cross_entropy_over_the_catalogue(
    block: int, train: TrainingData, places: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.models.sequences.losses.BLOCK_SCORES", block)
    states, table = states_and_table()
    states.requires_grad_()
    table.requires_grad_()
    loss = SequenceLoss(SequenceConfig(loss="softmax"), train, np.random.default_rng(1))
    found = with_gradients(loss(states, table, places), states, table)
    plain = functional.cross_entropy(states @ table.T, torch.from_numpy(train.histories.items[places + 1]).long())
    for mine, other in zip(found, with_gradients(plain, states, table), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)
    half = SequenceLoss(SequenceConfig(loss="softmax", precision="bfloat16"), train, np.random.default_rng(1))
    rough = with_gradients(half(states, table, places), states, table)
    for mine, other in zip(rough, found, strict=True):
        assert float((mine - other).detach().norm() / other.detach().norm()) < 0.03


@pytest.mark.parametrize("block", [20, 10**6])
@pytest.mark.parametrize("settings", [{"mask_seen": True}, {"user_power": 0.7}, {"mask_seen": True, "user_power": 1}])
def test_softmax_without_what_was_seen_and_with_weights_written_out(
    settings: dict[str, float], block: int, train: TrainingData, places: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.models.sequences.losses.BLOCK_SCORES", block)
    states, table = states_and_table()
    states.requires_grad_()
    table.requires_grad_()
    config = SequenceConfig(loss="softmax", **settings)
    found = with_gradients(SequenceLoss(config, train, np.random.default_rng(1))(states, table, places), states, table)
    plain = loop_of_softmax(states, table, train.histories, places, dict.fromkeys(range(N_ITEMS), 0.0), config)
    for mine, other in zip(found, with_gradients(plain, states, table), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mask_seen", [False, True])
@pytest.mark.parametrize("in_batch", [False, True])
def test_sampled_softmax_written_out(in_batch: bool, mask_seen: bool, train: TrainingData, places: np.ndarray) -> None:
    states, table = states_and_table()
    states.requires_grad_()
    table.requires_grad_()
    config = SequenceConfig(
        loss="sampled-softmax", n_negatives=9, negative_power=0.5, in_batch=in_batch, mask_seen=mask_seen
    )
    loss = SequenceLoss(config, train, np.random.default_rng(1))
    found = with_gradients(loss(states, table, places), states, table)
    rows, offsets = SequenceLoss(config, train, np.random.default_rng(1))._drawn(train.histories.items[places + 1])
    candidates = dict(zip(rows.tolist(), offsets.tolist(), strict=True))
    plain = loop_of_softmax(states, table, train.histories, places, candidates, config)
    for mine, other in zip(found, with_gradients(plain, states, table), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("in_batch", [False, True])
def test_sampled_sums_are_those_of_the_catalogue_on_average(in_batch: bool, train: TrainingData) -> None:
    rng = np.random.default_rng(9)
    config = SequenceConfig(loss="sampled-softmax", n_negatives=5, negative_power=0.7, in_batch=in_batch)
    loss = SequenceLoss(config, train, rng)
    scores = rng.normal(size=N_ITEMS)
    sums = []
    for _ in range(4000):
        rows, offsets = loss._drawn(rng.choice(train.histories.items, 6))
        sums.append(np.exp(scores[rows] + offsets).sum())
    drawable = train.popularity > 0
    assert np.mean(sums) == pytest.approx(np.exp(scores[drawable]).sum(), rel=0.03)


def test_paper_losses_by_plain_loops() -> None:
    rng = np.random.default_rng(10)
    positives, negatives = rng.normal(size=5), rng.normal(size=(5, 4))
    left_out = rng.random((5, 4)) < 0.3

    def logistic(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    calibrated, bpr, top1 = [], [], []
    for place in range(5):
        p = positives[place]
        others = [negatives[place, column] for column in range(4) if not left_out[place, column]]
        weights = [math.exp(n) / sum(map(math.exp, others)) for n in others]
        own = math.log(logistic(p) ** 0.3) + sum(math.log(1 - logistic(n)) for n in others)
        calibrated.append(-own / (1 + len(others)))
        each = list(zip(weights, others, strict=True))
        bpr.append(-math.log(sum(s * logistic(p - n) for s, n in each)) + 0.5 * sum(s * n**2 for s, n in each))
        top1.append(sum(s * (logistic(n - p) + logistic(n**2)) for s, n in each))
    arguments = torch.from_numpy(positives), torch.from_numpy(negatives), torch.from_numpy(left_out)
    assert float(gbce(*arguments, 0.3)) == pytest.approx(np.mean(calibrated))
    assert float(bpr_max(*arguments, 0.5)) == pytest.approx(np.mean(bpr))
    assert float(top1_max(*arguments)) == pytest.approx(np.mean(top1))


def test_gbce_exponent_at_its_ends(train: TrainingData) -> None:
    """Without calibration it is bce; fully calibrated, the exponent is the share of the catalogue that is drawn."""
    plain = SequenceLoss(SequenceConfig(loss="gbce", n_negatives=4, calibration=0), train, np.random.default_rng(1))
    honest = SequenceLoss(SequenceConfig(loss="gbce", n_negatives=4, calibration=1), train, np.random.default_rng(1))
    assert plain._exponent() == pytest.approx(1)
    assert honest._exponent() == pytest.approx(4 / (N_ITEMS - 1))


def test_bce_negatives_are_never_the_users_own(train: TrainingData) -> None:
    states, table = states_and_table()
    start, stop = train.histories.starts[4:6].tolist()  # of who has 30 events
    own = set(train.histories.items[start:stop].tolist())
    assert 1 < len(own) < N_ITEMS
    loss = SequenceLoss(SequenceConfig(loss="bce", n_negatives=1), train, np.random.default_rng(1))
    loss.sampler.rng = np.random.default_rng(2)
    drawn = np.random.default_rng(2).integers(N_ITEMS, size=(40, 1))[:, 0]
    scores = states @ table.T
    kept = [place for place in range(40) if drawn[place] not in own]
    others = sum(-math.log(1 - 1 / (1 + math.exp(-float(scores[place, drawn[place]])))) for place in kept)
    whole = float(functional.softplus(-scores[:, train.histories.items[start + 1]]).sum()) + others
    assert float(loss(states, table, np.full(40, start))) == pytest.approx(whole / (40 + len(kept)), rel=1e-5)


@pytest.mark.parametrize("kind", ["softmax", "sampled-softmax", "bce", "gbce", "bpr-max", "top1-max"])
@pytest.mark.parametrize("name", ["sasrec", "gru4rec"])
def test_every_loss_learns_the_circle(name: str, kind: str) -> None:
    circle = [[(user + step) % 12 for step in range(6)] for user in range(48)]
    train = TrainingData(Histories.of(circle), 12)
    penalty = {"penalty": 0.01} if kind == "bpr-max" else {}
    settings = {"loss": kind, "n_negatives": 8, "dim": 16, "epochs": 15, "learning_rate": 0.01}
    model = create(name, dropout=0.0, max_length=10, **settings, **penalty).fit(train, Run.seeded(1))
    scores = model.score(model.fold_in(train.histories))
    scores[train.histories.owners, train.histories.items] = -np.inf  # bce and gbce never lower what a user has
    np.testing.assert_array_equal(scores.argmax(axis=1), [(user + 6) % 12 for user in range(48)])


def test_dropout_by_bytes_zeroes_its_share_and_keeps_the_mean() -> None:
    values = torch.ones(1001, 101)
    kept = fast_dropout(values, 0.3, torch.Generator().manual_seed(1))
    assert float((kept == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(kept.mean()) == pytest.approx(1, abs=0.01)
    assert float((kept[:, 7::8] == 0).float().mean()) == pytest.approx(0.3, abs=0.02)  # each byte of a word alike
    assert fast_dropout(values, 0.0, torch.Generator()) is values


def test_settings_that_cannot_be_are_said() -> None:
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
    model = create("gru4rec", attention=1, dim=2, hidden=4, epochs=1)
    model.fit(TrainingData(Histories.of([[0, 1, 2], [2, 1]]), 3), Run.seeded(1))
    assert isinstance(model, GRU4Rec)
    with pytest.raises(MatineeError, match="attention looks back at every state"):
        model.carry(Histories.of([[0]]))
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

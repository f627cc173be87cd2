"""LinearGRU: its linear scores against loops, its loss and gradients against torch, its scores against its parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import HasItemVectors
from matinee.models.sequences.batches import Subsequences, pack
from matinee.models.sequences.linear_gru import LinearGRU
from matinee.models.sequences.losses import SeenCandidates
from matinee.models.sequences.residual import OutOfFoldScores, residual_softmax
from matinee.nn.gradients import loss_with_gradients
from matinee.training.run import Run

N_ITEMS, FOLDS = 12, 3
SMALL = {"dim": 6, "hidden": 5, "epochs": 3}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def train() -> TrainingData:
    rng = np.random.default_rng(4)
    return TrainingData(Histories.of([rng.integers(N_ITEMS, size=n).tolist() for n in range(2, 17)]), N_ITEMS)


@pytest.mark.parametrize("min_events", [0, 9])
def test_training_scores_are_those_of_a_fit_without_the_fold(train: TrainingData, min_events: int) -> None:
    """By a loop over the events before each transition, in a batch of parts of histories, and whole ones."""
    settings, past = {"l2": 5.0, "min_events": min_events}, train.histories
    linear = create("linear-next", **settings)
    scores = OutOfFoldScores(linear, FOLDS, train, Run.seeded(3), CPU)
    fold_of = Run.seeded(3).rng.permutation(len(past)) % FOLDS
    decays = linear.config.decays
    weights = []
    for fold in range(FOLDS):
        others = [past.items[past.starts[user] : past.starts[user + 1]] for user in np.flatnonzero(fold_of != fold)]
        fitted = create("linear-next", **settings).fit(TrainingData(Histories.of(others), N_ITEMS), Run.seeded(1))
        weights.append(fitted.weights.reshape(len(decays), N_ITEMS, N_ITEMS))
    begins = np.array([past.starts[14], past.starts[9] + 3, past.starts[12] + 11, past.starts[2]])
    transitions, batch_sizes = pack(Subsequences(begins, np.array([15, 7, 2, 1])))
    expected = np.zeros((len(transitions), N_ITEMS))
    for row, transition in enumerate(transitions):
        user = past.owners[transition]
        for event in range(past.starts[user], transition + 1):
            for decay, of_decay in zip(decays, weights[fold_of[user]], strict=True):
                expected[row] += decay ** (transition - event) * of_decay[past.items[event]]
    np.testing.assert_allclose(scores(transitions, batch_sizes).numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_the_softmax_of_the_sum_and_its_gradients_are_those_of_torch(masked: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    vectors, outputs, linear = (
        torch.randn(shape, generator=generator) for shape in ((40, 5), (N_ITEMS, 5), (40, N_ITEMS))
    )
    factor, weights = torch.tensor(0.7), torch.rand(40, generator=generator)
    rng = np.random.default_rng(2)
    targets, seen = rng.integers(N_ITEMS, size=40), None
    excluded = np.zeros((40, N_ITEMS), dtype=bool)
    if masked:
        columns = [rng.choice(N_ITEMS, 3, replace=False) for _ in range(40)]
        seen = SeenCandidates(np.arange(0, 121, 3), np.concatenate(columns))
        for row, each in enumerate(columns):
            excluded[row, each] = True
        excluded[np.arange(40), targets] = False  # a target that was seen before is a candidate all the same
    inputs = [tensor.clone().requires_grad_() for tensor in (vectors, outputs, factor)]
    loss = loss_with_gradients(residual_softmax, *inputs, linear, targets, seen, weights, False)
    loss.backward()
    plain = [tensor.clone().double().requires_grad_() for tensor in (vectors, outputs, factor)]
    scores = plain[0] @ plain[1].T + plain[2] * linear.double()
    scores = scores.masked_fill(torch.from_numpy(excluded), -torch.inf)
    losses = functional.cross_entropy(scores, torch.from_numpy(targets), reduction="none")
    expected = (losses * weights).mean()
    expected.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for one, other in zip(inputs, plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad.float(), rtol=1e-4, atol=1e-6)
    ends = [
        residual_softmax(vectors, outputs, factor + step, linear, targets, seen, weights, False)[0]
        for step in (-0.01, 0.01)
    ]
    assert float(inputs[2].grad) == pytest.approx(float(ends[1] - ends[0]) / 0.02, rel=1e-2)


def test_its_scores_are_the_sum_of_its_parts(train: TrainingData) -> None:
    model = create("linear-gru", **SMALL).fit(train, Run.seeded(1))
    linear = create("linear-next").fit(train, Run.seeded(1))
    gru = create("gru4rec", dim=6, hidden=5)
    for name in gru.learned:
        setattr(gru, name, getattr(model, name))
    histories = Histories.of([[3, 1, 4], [], [5, 9]])
    expected = gru.score(gru.fold_in(histories)) + model.factor * linear.score(linear.fold_in(histories))
    np.testing.assert_allclose(model.score(model.fold_in(histories)), expected, rtol=1e-4, atol=1e-5)
    assert not isinstance(model, HasItemVectors), "its scores are no products of vectors"


def test_what_a_user_dislikes_is_not_read_and_other_events_count_alike(train: TrainingData) -> None:
    model = create("linear-gru", **SMALL).fit(train, Run.seeded(1))
    weighed = replace(Histories.of([[3, 7, 1, 4]]), mapped=np.array([0.2, -1.0, 1.7, 1.0], dtype=np.float32))
    found, expected = (model.score(model.fold_in(each)) for each in (weighed, Histories.of([[3, 1, 4]])))
    np.testing.assert_array_equal(found, expected)


def test_a_bad_setting_is_refused_in_a_line() -> None:
    with pytest.raises(MatineeError, match=r"^model linear-gru: folds"):
        create("linear-gru", folds=1)
    with pytest.raises(MatineeError, match=r"^model linear-gru: unknown key 'loss'"):
        create("linear-gru", loss="bce")


def test_it_says_before_it_starts_that_it_does_not_fit(train: TrainingData) -> None:
    wide = TrainingData(Histories.of([list(range(40_000)) * 3]), 40_000)
    assert LinearGRU().least_memory(wide) > 4 * (1 + FOLDS) * 2 * 40_000**2
    with pytest.raises(MatineeError, match=r"not enough memory: linear-gru with 40,000 items .* use gru4rec"):
        create("linear-gru").fit(wide, replace(Run.seeded(1), memory=10**9))

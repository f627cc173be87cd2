"""Factor and embedding models against plain loops, textbook algebra in float64, and pairs written out."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.factors import least_squares
from matinee.models.factors.bpr import BPR, PROJECTION_L2
from matinee.models.factors.pairwise import BINS, PairwiseLoss, mean_over_negatives
from matinee.training.run import Run
from model_fixtures import random_histories

N_USERS, N_ITEMS = 30, 14


@pytest.fixture(scope="module")
def watched() -> list[list[int]]:
    return random_histories(8, N_USERS, N_ITEMS, longest=8)


@pytest.fixture(scope="module")
def train(watched: list[list[int]]) -> TrainingData:
    return TrainingData(Histories.of(watched), N_ITEMS)


def objective(matrix: np.ndarray, users: np.ndarray, items: np.ndarray, a: float, l2: float) -> float:
    scores = users @ items.T
    loss = (matrix * (scores - 1) ** 2).sum() + a * (scores**2).sum()
    loss += l2 * ((matrix.sum(1) + a * len(items)) * (users**2).sum(1)).sum()
    return loss + l2 * ((matrix.sum(0) + a * len(users)) * (items**2).sum(1)).sum()


def test_ials_reaches_the_objective_of_exact_half_steps(train: TrainingData) -> None:
    matrix, a, l2, dim = train.matrix().toarray().astype(np.float64), 0.2, 0.05, 5
    model = create("ials", dim=dim, unobserved=a, l2=l2, epochs=60).fit(train, Run.seeded(0))
    rng = np.random.default_rng(0)
    items, users = rng.normal(0, 0.1, (N_ITEMS, dim)), np.zeros((N_USERS, dim))
    for _ in range(200):
        for counts, moving, fixed in ((matrix, users, items), (matrix.T, items, users)):
            for row in range(len(moving)):
                seen = np.flatnonzero(counts[row])
                left = a * fixed.T @ fixed + fixed[seen].T @ fixed[seen]
                left += l2 * (len(seen) + a * len(fixed)) * np.eye(dim)
                moving[row] = np.linalg.solve(left, fixed[seen].sum(axis=0))
    theirs = objective(matrix, users, items, a, l2)
    ours = objective(matrix, model.fold_in(train.histories).astype(np.float64), model.items, a, l2)
    assert ours == pytest.approx(theirs, rel=2e-3)
    assert model.curves[-1]["loss"] == pytest.approx(ours / matrix.sum(), rel=1e-3)
    losses = [row["loss"] for row in model.curves]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(losses[1:]))


def test_ials_folds_in_exactly(train: TrainingData) -> None:
    model = create("ials", dim=6, epochs=5).fit(train, Run.seeded(0))
    items, config = model.items.astype(np.float64), model.config
    seen = [2, 0, 7]
    left = config.unobserved * items.T @ items + items[seen].T @ items[seen]
    left += config.l2 * (3 + config.unobserved * N_ITEMS) ** config.l2_power * np.eye(6)
    expected = np.linalg.solve(left, items[seen].sum(axis=0))
    np.testing.assert_allclose(model.fold_in(Histories.of([seen]))[0], expected, rtol=1e-4)


def test_an_item_without_events_has_no_vector_in_ials(watched: list[list[int]]) -> None:
    with_two_more = TrainingData(Histories.of(watched), N_ITEMS + 2)
    model = create("ials", dim=6, epochs=3).fit(with_two_more, Run.seeded(0))
    assert not model.items[N_ITEMS:].any()
    assert model.items[:N_ITEMS].any(axis=1).all()


def test_bpr_loss_equals_a_plain_loop(
    train: TrainingData, watched: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = create("bpr", dim=5, batch_size=100, negatives="uniform", n_negatives=3, l2=0.1).config
    network = PairwiseLoss(config, train, Run.seeded(0))
    drawn = np.random.default_rng(1).integers(N_ITEMS, size=(N_USERS, 3))
    monkeypatch.setattr(network, "draw_negatives", lambda positives, n_users: drawn)
    users, items, bias = (network.parameters[name].detach().numpy() for name in ("users", "items", "bias"))
    loss, ridge, n = 0.0, 0.0, sum(map(len, watched))
    for user, seen in enumerate(watched):
        valid = [item for item in drawn[user] if item not in seen]
        for item in seen:
            ridge += (users[user] ** 2).sum() + (items[item] ** 2).sum() + bias[item] ** 2
            ridge += (items**2).sum(axis=1).mean() + (bias**2).mean()
            for other in valid:
                gap = users[user] @ (items[item] - items[other]) + bias[item] - bias[other]
                loss += math.log1p(math.exp(-gap)) / len(valid)
    found = next(network.losses())
    assert found.item() == pytest.approx((loss + 0.05 * ridge) / n, rel=1e-5)


def test_the_loss_over_all_negatives_and_its_slopes_equal_a_plain_loop() -> None:
    scores = torch.randn(5, 40, generator=torch.Generator().manual_seed(0), requires_grad=True)
    watched = [[0, 3, 7], [1], [], list(range(40)), [39, 2]]  # one has nothing, one everything
    owners = torch.tensor([row for row, seen in enumerate(watched) for _ in seen])
    positives = torch.tensor([item for seen in watched for item in seen])
    found = mean_over_negatives(scores, owners, positives)
    (found / 2).backward()

    values = scores.detach().double().numpy()
    loss, slopes = 0.0, np.zeros_like(values)
    for row, seen in enumerate(watched):
        others = [item for item in range(40) if item not in seen]
        for item in seen:
            for other in others:
                gap = values[row, other] - values[row, item]
                loss += math.log1p(math.exp(gap)) / len(others)
                slope = 1 / (1 + math.exp(-gap)) / len(others)
                slopes[row, other] += slope / 2
                slopes[row, item] -= slope / 2
    assert scores.grad is not None
    width = (values.max() - values.min()) / (BINS - 1)
    assert found.item() == pytest.approx(loss, rel=5e-3)
    np.testing.assert_allclose(scores.grad.numpy(), slopes, atol=width / 8)  # half a bin, by the steepest slope, 1/4
    assert np.abs(scores.grad.numpy() - slopes).mean() < width / 50


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e38])
def test_the_loss_over_all_negatives_of_scores_that_diverged_is_no_number(value: float) -> None:
    scores = torch.tensor([[0.0, value, -1.0], [1.0, -value, 0.0]])
    found = mean_over_negatives(scores, torch.tensor([0, 1]), torch.tensor([0, 0]))
    assert not found.isfinite() or found > 1e30


def test_equal_scores_lose_ln_2_over_all_negatives() -> None:
    scores = torch.zeros(2, 6, requires_grad=True)
    found = mean_over_negatives(scores, torch.tensor([0, 1, 1]), torch.tensor([4, 0, 1]))
    assert found.item() == pytest.approx(3 * math.log(2))


def test_a_count_of_negatives_that_nobody_draws_is_refused() -> None:
    with pytest.raises(MatineeError, match="n_negatives has no effect with negatives = all; leave it out"):
        create("bpr", n_negatives=8)
    assert create("bpr", n_negatives=8, negatives="uniform").config.n_negatives == 8


def test_bpr_folds_in_by_a_ridge_regression_projected_onto_the_trained_users(train: TrainingData) -> None:
    model = create("bpr", dim=4, epochs=15, fold_in_l2=2.0, fold_in_unobserved=0.3).fit(train, Run.seeded(0))
    items, users = model.items.astype(np.float64), model.users.astype(np.float64)

    def solution(seen: list[int]) -> np.ndarray:
        left = 0.3 * items.T @ items + items[seen].T @ items[seen] + 2.0 * np.eye(4)
        return np.linalg.solve(left, items[seen].sum(axis=0))

    past = np.split(train.histories.items, train.histories.starts[1:-1])
    solutions = np.stack([solution(seen.tolist()) for seen in past])
    # the ridge of the projection as extra rows of a least squares problem
    size = math.sqrt(1e-3 * (solutions**2).sum() / 4)
    projection = np.linalg.lstsq(np.vstack([solutions, size * np.eye(4)]), np.vstack([users, np.zeros((4, 4))]))[0]
    folded = model.fold_in(Histories.of([[3, 0, 9]]))[0]
    np.testing.assert_allclose(folded[:4], solution([3, 0, 9]) @ projection, rtol=2e-3, atol=1e-4)
    scores = model.score(folded[None])[0]
    np.testing.assert_allclose(scores, items @ folded[:4] + model.bias, rtol=1e-4, atol=1e-5)


def test_bpr_folds_in_the_mean_of_the_history_projected_onto_the_trained_users(
    train: TrainingData, watched: list[list[int]]
) -> None:
    model = create("bpr", dim=4, epochs=15).fit(train, Run.seeded(0))
    items, users = model.items.astype(np.float64), model.users.astype(np.float64)
    means = np.stack([items[seen].mean(axis=0) for seen in watched])
    size = math.sqrt(PROJECTION_L2["mean"] * (means**2).sum() / 4)
    projection = np.linalg.lstsq(np.vstack([means, size * np.eye(4)]), np.vstack([users, np.zeros((4, 4))]))[0]
    weighed = Histories.of([[3, 0, 9]])
    weighed = replace(weighed, mapped=np.array([1.0, 0.5, -1.0], dtype=np.float32))
    expected = (items[3] + 0.5 * items[0] - items[9]) / 2.5 @ projection
    np.testing.assert_allclose(model.fold_in(weighed)[0, :4], expected, rtol=2e-3, atol=1e-5)


def test_older_settings_of_the_solve_of_bpr_choose_it() -> None:
    assert create("bpr").config.fold_in == "mean"
    assert create("bpr", fold_in_l2=3.0).config.fold_in == "solve"
    assert create("bpr", **create("bpr").config.model_dump()).config.fold_in == "mean"


def test_bpr_stops_early_with_the_projection_of_its_best_epoch(train: TrainingData) -> None:
    scores = iter([0.1, 0.3, 0.2, 0.1])

    def validation(model: BPR) -> float:
        model.require_fitted()
        assert np.isfinite(model.score(model.fold_in(train.histories))).all()
        return next(scores)

    stopped = create("bpr", dim=4, epochs=9, schedule="constant", patience=2)
    stopped.fit(train, replace(Run.seeded(0), validation=validation))
    assert len(stopped.curves) == 4
    shorter = create("bpr", dim=4, epochs=2, schedule="constant").fit(train, Run.seeded(0))
    for name in shorter.learned:
        np.testing.assert_array_equal(getattr(stopped, name), getattr(shorter, name), err_msg=name)


@pytest.mark.parametrize("kind", ["uniform", "popularity", "in-batch"])
def test_negatives_of_bpr_are_drawn_as_often_as_they_should_be(kind: str, train: TrainingData) -> None:
    network = PairwiseLoss(create("bpr", negatives=kind, n_negatives=500).config, train, Run.seeded(0))
    positives = train.matrix()[:6].indices
    drawn = np.bincount(network.draw_negatives(positives, 200).ravel(), minlength=N_ITEMS) / 100_000
    expected = {
        "uniform": np.full(N_ITEMS, 1 / N_ITEMS),
        "popularity": train.popularity / train.popularity.sum(),
        "in-batch": np.bincount(positives, minlength=N_ITEMS) / len(positives),
    }[kind]
    assert np.abs(drawn - expected).max() < 5 * math.sqrt(0.25 / 100_000)


@pytest.mark.parametrize("name", ["ials", "bpr", "item2vec", "movie-pairs"])
def test_vectors_longer_than_the_catalogue_are_refused(name: str, train: TrainingData) -> None:
    with pytest.raises(MatineeError, match=r"dim = 15 is more than the 14 items there are; set it to 14 or less"):
        create(name, dim=15).fit(train, Run.seeded(0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unobserved", [1e-3, 0.3, 10.0])
@pytest.mark.parametrize("steps", [0, 64])
def test_conjugate_gradients_and_what_takes_their_place_solve_each_system(
    dtype: type, unobserved: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    items = (rng.normal(size=(50, 8)) * np.logspace(0, -2, 8)).astype(dtype)  # some directions hardly matter
    weights = csr_array((rng.random((30, 50)) < np.linspace(0, 1, 30)[:, None]) * rng.normal(size=(30, 50)))
    ridge = np.linspace(0.01, 2, 30).astype(np.float32)
    monkeypatch.setattr(least_squares, "MAX_STEPS", steps)
    found = least_squares.solve(weights.astype(np.float32), least_squares.FixedSide.of(items, unobserved), ridge)
    h = items.astype(np.float64)
    for x, r, w in zip(weights.toarray(), ridge, found, strict=True):
        system = unobserved * h.T @ h + (h.T * np.abs(x)) @ h + r * np.eye(8)
        np.testing.assert_allclose(w, np.linalg.solve(system, h.T @ x), rtol=1e-4, atol=1e-5)


def test_a_solve_in_float32_gives_each_user_of_a_batch_what_it_gives_alone_to_the_last_bit() -> None:
    rng = np.random.default_rng(6)
    items = rng.normal(size=(300, 64)) / 8
    side = least_squares.FixedSide.of(items, 0.3)
    is_event = rng.random((60, 300)) < rng.uniform(0.01, 0.9, 60)[:, None]
    for entries in (np.ones((60, 300)), rng.normal(size=(60, 300))):
        matrix, ridge = csr_array((is_event * entries).astype(np.float32)), np.linspace(0.5, 4, 60).astype(np.float32)
        together = least_squares.solve(matrix, side.for_float32(), ridge)
        alone = [
            least_squares.solve(matrix[[row]], side.for_float32(), ridge[[row]])[0] for row in range(len(together))
        ]
        np.testing.assert_array_equal(together, np.array(alone))
        np.testing.assert_allclose(together, least_squares.solve(matrix, side, ridge), rtol=1e-4, atol=1e-6)

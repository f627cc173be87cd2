"""The closed-form models against plain loops and textbook algebra in float64."""

import math

import numpy as np
import pytest

from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.item_strips import count_in_strips
from matinee.training.run import Run
from model_fixtures import random_histories

N_USERS, N_ITEMS = 40, 25


@pytest.fixture(scope="module")
def watched() -> list[list[int]]:
    return random_histories(5, N_USERS, N_ITEMS, longest=11)


@pytest.fixture(scope="module")
def train(watched: list[list[int]]) -> TrainingData:
    return TrainingData(Histories.of(watched), N_ITEMS)


@pytest.fixture(scope="module")
def matrix(watched: list[list[int]]) -> np.ndarray:
    dense = np.zeros((N_USERS, N_ITEMS))
    for user, items in enumerate(watched):
        dense[user, items] = 1
    return dense


def scores_of(model: object, histories: Histories) -> np.ndarray:
    return model.score(model.fold_in(histories))


def ease_by_the_book(matrix: np.ndarray, l2: float, dropout: float = 0.0) -> np.ndarray:
    """Steck 2019, eq. 8, in float64 with an explicit inverse."""
    gram = matrix.T @ matrix
    inverse = np.linalg.inv(gram + np.diag(l2 + dropout / (1 - dropout) * np.diag(gram)))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize(("l2", "dropout"), [(0.5, 0.0), (10.0, 0.0), (3.0, 0.7)])
def test_ease_equals_the_textbook(train: TrainingData, matrix: np.ndarray, l2: float, dropout: float) -> None:
    model = create("ease", l2=l2, dropout=dropout).fit(train, Run.seeded(0))
    np.testing.assert_allclose(model.weights, ease_by_the_book(matrix, l2, dropout), rtol=1e-4, atol=2e-6)
    assert (np.diag(model.weights) == 0).all()


def test_ease_solves_the_constrained_ridge_regression(train: TrainingData, matrix: np.ndarray) -> None:
    """Column by column: least squares of one item on all others with an L2 penalty, independent of EASE's algebra."""
    l2 = 4.0
    model = create("ease", l2=l2).fit(train, Run.seeded(0))
    for item in range(N_ITEMS):
        others = np.delete(np.arange(N_ITEMS), item)
        design = np.vstack([matrix[:, others], math.sqrt(l2) * np.eye(len(others))])
        target = np.concatenate([matrix[:, item], np.zeros(len(others))])
        solution, *_ = np.linalg.lstsq(design, target, rcond=None)
        np.testing.assert_allclose(model.weights[others, item], solution, rtol=1e-3, atol=5e-6)


def test_edlae_minimises_the_expected_loss_under_input_dropout(train: TrainingData, matrix: np.ndarray) -> None:
    """The gradient of the loss, averaged over random dropout masks, is about zero at the solution (off the diagonal).

    Steck 2020: inputs are dropped with probability p and scaled by 1 / (1 - p), so that their expectation is unchanged;
    targets are kept whole.
    """
    l2, p = 3.0, 0.4
    weights = create("ease", l2=l2, dropout=p).fit(train, Run.seeded(0)).weights.astype(np.float64)
    rng = np.random.default_rng(1)
    off = ~np.eye(N_ITEMS, dtype=bool)

    def mean_gradient(of: np.ndarray, draws: int) -> np.ndarray:
        total = np.zeros_like(of)
        for _ in range(draws):
            kept = matrix * (rng.random(matrix.shape) >= p) / (1 - p)
            total += kept.T @ (kept @ of - matrix)
        return total / draws + l2 * of

    at_solution = np.abs(mean_gradient(weights, 3000)[off])
    at_plain_ease = np.abs(mean_gradient(ease_by_the_book(matrix, l2), 3000)[off])
    assert at_solution.mean() < 0.05
    assert at_solution.mean() < 0.2 * at_plain_ease.mean()


def test_ease_is_the_same_for_any_block_size_and_from_sparse_or_dense_products(
    monkeypatch: pytest.MonkeyPatch, train: TrainingData
) -> None:
    from matinee.models.linear import gram

    whole = create("ease", l2=2.0).fit(train, Run.seeded(0)).weights.copy()
    monkeypatch.setattr(gram, "BLOCK_ROWS", 7)
    np.testing.assert_allclose(create("ease", l2=2.0).fit(train, Run.seeded(0)).weights, whole, atol=1e-6)
    monkeypatch.setattr(gram, "SPARSE_COST", 0.0)  # take the sparse product
    np.testing.assert_allclose(create("ease", l2=2.0).fit(train, Run.seeded(0)).weights, whole, atol=1e-6)


def test_user_power_and_item_power_scale_the_matrix_of_ease(train: TrainingData, matrix: np.ndarray) -> None:
    users, items = matrix.sum(axis=1, keepdims=True), np.maximum(matrix.sum(axis=0), 1)
    by_user = create("ease", l2=2.0, user_power=0.6).fit(train, Run.seeded(0)).weights
    np.testing.assert_allclose(by_user, ease_by_the_book(matrix * users**-0.3, 2.0), rtol=1e-3, atol=2e-6)
    by_item = create("ease", l2=2.0, item_power=0.4).fit(train, Run.seeded(0)).weights
    scaled = ease_by_the_book(matrix * items**-0.4, 2.0) * (items**-0.4)[:, None]
    np.testing.assert_allclose(by_item, scaled, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize(("closeness", "span", "user_power"), [(0.6, 3, 0.0), (0.9, 20, 0.5), (0.3, 2, 0.0)])
def test_closeness_learns_from_every_window_of_a_history(
    closeness: float, span: int, user_power: float, watched: list[list[int]], matrix: np.ndarray
) -> None:
    """The textbook's EASE over more rows: whole histories, and windows that slide over them and past both ends."""
    rows = [math.sqrt(1 - closeness) * row * max(row.sum(), 1) ** (-user_power / 2) for row in matrix]
    for items in watched:
        once = [item for index, item in enumerate(items) if item not in items[index + 1 :]]
        for start in range(1 - span, len(once)):
            row = np.zeros(N_ITEMS)
            row[once[max(start, 0) : start + span]] = math.sqrt(closeness / span) * len(once) ** (-user_power / 2)
            rows.append(row)
    model = create("ease", l2=2.0, dropout=0.4, closeness=closeness, span=span, user_power=user_power)
    model.fit(TrainingData(Histories.of(watched), N_ITEMS), Run.seeded(0))
    np.testing.assert_allclose(model.weights, ease_by_the_book(np.array(rows), 2.0, 0.4), rtol=1e-3, atol=2e-6)


def test_closeness_gives_the_same_from_counts_of_users(train: TrainingData) -> None:
    model = create("ease", l2=2.0, closeness=0.7, span=4)
    whole = model.fit(train, Run.seeded(0)).weights.copy()
    halves = [TrainingData(train.histories.block(*ends), N_ITEMS) for ends in ((0, 15), (15, N_USERS))]
    assert model.can_count(train)
    model.fit_counts(sum(count_in_strips(model.strips(half)) for half in halves), train, Run.seeded(0))
    np.testing.assert_allclose(model.weights, whole, atol=1e-6)


def test_ease_refuses_a_catalogue_that_does_not_fit_into_memory(train: TrainingData) -> None:
    with pytest.raises(
        MatineeError, match=r"not enough memory: EASE keeps 25 x 25 weights.* needs 0 MB .* sparse-ease"
    ):
        create("ease").fit(train, Run(memory=1000))


def test_models_are_named_or_suggested() -> None:
    with pytest.raises(MatineeError, match=r"no model 'eese'; did you mean 'ease'\?"):
        create("eese")
    with pytest.raises(MatineeError, match="l2 = -1 must be above 0"):
        create("ease", l2=-1)
    with pytest.raises(MatineeError, match="is not fitted yet"):
        create("ease").require_fitted()


@pytest.mark.parametrize(("l2", "dropout"), [(0.5, 0.0), (20.0, 0.6)])
def test_ease_is_the_same_with_fewer_users_than_items(
    l2: float, dropout: float, watched: list[list[int]], matrix: np.ndarray
) -> None:
    """15 users of 25 items: P comes from a system of users, not of items."""
    few = TrainingData(Histories.of(watched[:15]), N_ITEMS)
    model = create("ease", l2=l2, dropout=dropout).fit(few, Run.seeded(0))
    np.testing.assert_allclose(model.weights, ease_by_the_book(matrix[:15], l2, dropout), rtol=1e-4, atol=2e-6)

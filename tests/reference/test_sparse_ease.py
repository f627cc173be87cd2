"""SparseEASE against EASE where all items are neighbours, and against a plain loop where few are."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.linear import neighbourhoods
from matinee.models.linear.sparse_ease import SparseEASE
from matinee.training.run import Run
from model_fixtures import random_histories

N_USERS, N_ITEMS = 400, 25


def training(*, valued: bool, n_items: int = N_ITEMS) -> TrainingData:
    histories = Histories.of(random_histories(5, N_USERS, N_ITEMS, longest=20))
    if valued:
        rng = np.random.default_rng(1)
        weights = rng.uniform(0.1, 2, len(histories.items)) * rng.choice([-1, 1, 1, 1], len(histories.items))
        histories = replace(histories, mapped=weights.astype(np.float32))
    return TrainingData(histories, n_items)


def fitted(train: TrainingData, **settings: float) -> SparseEASE:
    model = create("sparse-ease", **settings).fit(train, Run.seeded(0))
    assert isinstance(model, SparseEASE)
    return model


@pytest.fixture(params=[(2**13, 2**24, 2**20), (10, 100, 500), (0, 1, 1)], ids=["dense", "both", "sparse"])
def _sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in zip(("HEAD", "BLOCK_ENTRIES", "BATCH_ENTRIES"), request.param, strict=True):
        monkeypatch.setattr(neighbourhoods, name, size)


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_with_all_items_as_neighbours_it_is_ease(valued: bool, dropout: float) -> None:
    train = training(valued=valued)
    exact = create("ease", l2=20.0, dropout=dropout).fit(train, Run.seeded(0)).weights
    found = fitted(train, l2=20.0, dropout=dropout, neighbours=N_ITEMS).weights.toarray()
    assert (train.liked_matrix().T @ train.liked_matrix()).nnz == N_ITEMS**2  # each pair occurs
    np.testing.assert_allclose(found, exact, atol=1e-6)


@pytest.mark.usefixtures("_sizes")
def test_with_few_neighbours_it_is_a_ridge_regression_on_those_that_predict_best_alone() -> None:
    train, l2, k = training(valued=True), 15.0, 6
    matrix = train.liked_matrix().toarray().astype(np.float64)
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        target = matrix[:, item]
        left = {}
        for other in set(range(N_ITEMS)) - {item}:
            column = matrix[:, other]
            weight = column @ target / (column @ column + l2)
            left[other] = ((target - weight * column) ** 2).sum() + l2 * weight**2
        best = sorted(left, key=lambda other: left[other])[:k]
        inputs = matrix[:, best]
        expected[best, item] = np.linalg.solve(inputs.T @ inputs + l2 * np.eye(k), inputs.T @ target)
    found = fitted(train, l2=l2, neighbours=k)
    np.testing.assert_allclose(found.weights.toarray(), expected, atol=1e-6)
    visitors = Histories.of([[0, 3, 7], [24]])
    by_hand = [expected[[0, 3, 7]].sum(axis=0), expected[24]]
    np.testing.assert_allclose(found.score(found.fold_in(visitors)), by_hand, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_popular_items_are_predicted_from_each_other_where_that_leaves_less(dropout: float) -> None:
    train, l2, k, n_head = training(valued=True), 15.0, 6, 12
    matrix = train.liked_matrix().toarray().astype(np.float64)
    gram = matrix.T @ matrix
    penalties = l2 + dropout / (1 - dropout) * np.diag(gram)
    popular = np.argsort(-np.diag(gram))[:n_head]
    alone = fitted(train, l2=l2, neighbours=k, dropout=dropout).weights.toarray()
    expected, n_taken = alone.copy(), 0

    def left(item: int, weights: np.ndarray) -> float:
        return ((matrix[:, item] - matrix @ weights) ** 2).sum() + (penalties * weights**2).sum()

    for item in popular:
        others = popular[popular != item]
        weights = np.zeros(N_ITEMS)
        weights[others] = np.linalg.solve(gram[np.ix_(others, others)] + np.diag(penalties[others]), gram[others, item])
        if left(item, weights) < left(item, alone[:, item]):
            expected[:, item], n_taken = weights, n_taken + 1
    assert 0 < n_taken < n_head
    found = fitted(train, l2=l2, neighbours=k, dropout=dropout, head=n_head).weights
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-6)
    assert found.has_sorted_indices
    assert found.indices.dtype == np.int32


def test_a_head_of_all_items_makes_it_ease() -> None:
    train = training(valued=False)
    exact = create("ease", l2=20.0).fit(train, Run.seeded(0)).weights
    np.testing.assert_allclose(fitted(train, l2=20.0, neighbours=3, head=N_ITEMS).weights.toarray(), exact, atol=1e-6)


def test_a_large_catalogue_has_a_head_by_default() -> None:
    histories = Histories.of([[0, 1]])
    assert SparseEASE.defaults_for(TrainingData(histories, 20_001)) == {"head": 4096}
    assert SparseEASE.defaults_for(TrainingData(histories, 20_000)) == {}


@pytest.mark.usefixtures("_sizes")
def test_of_equally_strong_neighbours_the_more_popular_come_first_then_the_lower_row() -> None:
    histories = [[0, 1], [0, 1], [0, 2], [0, 2], [3, 1]]  # of item 0: items 1 and 2, twice each; 1 is the more popular
    model = fitted(TrainingData(Histories.of(histories), 4), l2=1e6, neighbours=1)
    assert model.weights.toarray()[:, 0].nonzero()[0].tolist() == [2]  # it is with item 0 in all of its histories
    tied = fitted(TrainingData(Histories.of([[0, 1], [0, 2]]), 3), l2=1.0, neighbours=1)
    assert tied.weights.toarray()[:, 0].nonzero()[0].tolist() == [1]


def test_items_without_neighbours_have_no_weights() -> None:
    train = TrainingData(Histories.of([[0, 1], [0, 1], [2], []]), 5)
    weights = fitted(train).weights.toarray()
    assert set(zip(*weights.nonzero(), strict=True)) == {(0, 1), (1, 0)}
    assert not fitted(TrainingData(Histories.of([[0]]), 1)).weights.nnz


def test_the_memory_of_a_large_catalogue_is_far_below_that_of_ease() -> None:
    rng = np.random.default_rng(1)
    histories = Histories.of([np.unique(rng.integers(100_000, size=20)).tolist() for _ in range(3000)])
    train = TrainingData(histories, 100_000)
    needed = create("sparse-ease", neighbours=50).least_memory(train)
    assert needed < create("ease").least_memory(train) / 50
    assert needed > 4 * 8192**2

"""Counts by strips of items: against plain products, and the same bits for any number of strips."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from matinee.data.synthetic import zipf_log
from matinee.histories import TrainingData
from matinee.models import create, item_strips
from matinee.models.linear import gram
from matinee.nn import sparse_rows
from matinee.workflow.data import whole

N_ITEMS = 60


@pytest.fixture(scope="module")
def train() -> TrainingData:
    return whole(zipf_log(300, N_ITEMS, 3000, np.random.default_rng(2))).training()


def counted(model: Any, train: TrainingData, width: int) -> Any:
    """Counts in strips of so many items; of ease, whose are of half the pairs, the half that counts."""
    strips = model.strips(train)
    edges = [*range(0, N_ITEMS, width), N_ITEMS]
    found = strips.join(strips(ends) for ends in itertools.pairwise(edges))
    return np.tril(found) if model.name == "ease" else found


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ease", {"user_power": 0.7}),
        ("item-knn", {}),
        ("pmi", {"pair_weight": "user"}),
        ("markov", {"decay": 0.83}),
        ("linear-next", {"user_power": 0.3}),
        ("movie-pairs", {"pair_weight": "user"}),
    ],
)
def test_the_number_of_strips_changes_no_bit(name, settings, train, monkeypatch) -> None:
    monkeypatch.setattr(gram, "SPARSE_COST", 0.0)  # by sparse products
    monkeypatch.setattr(gram, "SPLIT_COST", 0.0)
    model = create(name, **settings)
    whole_counts = counted(model, train, N_ITEMS)
    for width in (1, 7, 30):
        found = counted(model, train, width)
        assert (found != whole_counts).sum() == 0
        assert found.dtype == whole_counts.dtype
    monkeypatch.setattr(item_strips, "BLOCK_CELLS", 50)
    monkeypatch.setattr("matinee.models.followers.BLOCK_EVENTS", 10**9)
    assert (counted(model, train, 7) != whole_counts).sum() == 0


@pytest.mark.parametrize("sparse_cost", [0.0, np.inf])
def test_strips_of_a_gram_matrix_are_those_of_a_plain_product(sparse_cost, train, monkeypatch) -> None:
    monkeypatch.setattr(gram, "SPARSE_COST", sparse_cost)
    matrix = train.matrix()
    dense = matrix.toarray().astype(np.float64)
    strips = gram.GramStrips(matrix)
    found = strips.join(strips(ends) for ends in [(0, 1), (1, 25), (25, N_ITEMS)])
    assert np.array_equal(np.tril(found), np.tril(dense.T @ dense))
    assert np.array_equal(np.tril(gram.gram_of(matrix)), np.tril(found))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_any_items_can_be_the_dense_head(share, train, monkeypatch) -> None:
    monkeypatch.setattr(gram, "SPLIT_COST", 0.0)
    monkeypatch.setattr(sparse_rows, "DENSE_SHARE", share)
    monkeypatch.setattr(gram, "BLOCK_EVENTS", 300)
    matrix = train.matrix()
    dense = matrix.toarray().astype(np.float64)
    strips = gram.GramStrips.of(matrix)
    expected = np.flatnonzero(dense.sum(axis=0) > share * len(dense))
    assert np.array_equal(strips.head, expected)
    assert 0 < len(expected) < N_ITEMS or share in (0.0, 1.0)
    found = strips.join(strips(ends) for ends in [(0, 1), (1, 25), (25, N_ITEMS)])
    assert np.array_equal(np.tril(found), np.tril(dense.T @ dense))
    monkeypatch.setattr(sparse_rows, "DENSE_BYTES", 4 * len(dense) * 3)
    assert len(gram.GramStrips.of(matrix).head) == min(3, len(expected))
    assert np.array_equal(np.tril(gram.gram_of(matrix)), np.tril(found))


@pytest.mark.parametrize(("events", "limit"), [(10**9, 2**16), (700, 2**16), (100, 2**16), (10**9, 41), (700, 41)])
def test_blocks_of_users_are_counted_once_each(events, limit, train, monkeypatch) -> None:
    monkeypatch.setattr(gram, "SPLIT_COST", 0.0)
    monkeypatch.setattr(gram, "BLOCK_EVENTS", events)
    monkeypatch.setattr(gram, "LIMIT", limit)
    matrix = train.matrix()
    dense = matrix.toarray().astype(np.float64)
    found = gram.gram_of(matrix)
    assert np.array_equal(np.tril(found), np.tril(dense.T @ dense))
    sizes = [users.rest.shape[0] for users in gram.GramStrips.of(matrix).blocks]
    assert sum(sizes) == matrix.shape[0]
    assert max(sizes) < limit


def test_a_gram_matrix_of_more_users_than_16_bits_count(monkeypatch) -> None:
    monkeypatch.setattr(gram, "SPLIT_COST", 0.0)
    for n_users in (2**16 - 1, 2**16, 2**17 + 3):
        found = gram.gram_of(csr_array(np.ones((n_users, 2), dtype=np.float32)))
        assert np.tril(found).tolist() == [[n_users, 0], [n_users, n_users]]


def test_users_without_events_are_in_blocks_too() -> None:
    for starts in ([0], [0, 0], [0, 0, 2, 2, 2, 5, 5]):
        found = list(gram._user_blocks(np.array(starts)))
        assert [user for start, stop in found for user in range(start, stop)] == list(range(len(starts) - 1))


def test_products_of_different_items_leave_out_an_item_with_itself(train) -> None:
    dense = train.matrix().toarray().astype(np.float64)
    expected = dense.T @ dense
    np.fill_diagonal(expected, 0)
    found = counted(create("pmi"), train, 13)
    assert np.array_equal(found.toarray(), expected)
    assert found.has_sorted_indices
    assert not (found.data == 0).any()


def test_costs_follow_the_pairs_also_when_only_some_users_are_counted(train, monkeypatch) -> None:
    matrix = train.matrix()
    exact = item_strips.pairs_of(matrix)
    monkeypatch.setattr(item_strips, "SAMPLED_EVENTS", 600)
    estimated = item_strips.pairs_of(*item_strips.sampled(matrix))
    assert estimated.sum() == pytest.approx(exact.sum(), rel=0.3)


def test_ones_are_counted_in_a_narrow_type_that_no_count_exceeds() -> None:
    """More users than 16 bits count have both items."""
    for n_users, dtype in ((2**16 - 1, np.uint16), (2**16, np.int32)):
        matrix = csr_array(np.ones((n_users, 2), dtype=np.float32))
        narrow = item_strips.narrowed(matrix)
        assert narrow.dtype == dtype
        assert (narrow.T @ narrow).toarray().tolist() == [[n_users] * 2] * 2
    weighted = csr_array(np.array([[1, 0.5]], dtype=np.float32))
    assert item_strips.narrowed(weighted) is weighted

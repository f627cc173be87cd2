"""Products of documents among themselves, and the best of each row: against plain numpy."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from matinee.data.synthetic import zipf_log
from matinee.models import create
from matinee.nn import sparse_rows
from matinee.nn.sparse_rows import keep_top_k_of, products_among
from matinee.training.run import Run
from matinee.workflow.data import whole


def documents(n_documents: int, n_terms: int, seed: int) -> csr_array:
    """Documents of very different length, weights of one decimal in binary, so that sums are exact."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0.01, 0.9, n_documents)
    weights = rng.integers(1, 4, (n_documents, n_terms)) / 2
    return csr_array(np.where(rng.random((n_documents, n_terms)) < share[:, None], weights, 0).astype(np.float32))


@pytest.mark.parametrize("share", [-1.0, 0.04, 0.5, 1.0])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_products_among_documents_are_those_of_dense_matrices(share, size, monkeypatch) -> None:
    monkeypatch.setattr(sparse_rows, "DENSE_SHARE", share)
    given = documents(23, 61, seed=1)
    before = given.toarray()
    found = list(products_among(given, size))
    assert [start for start, _ in found] == list(range(0, 23, size))
    assert np.array_equal(np.concatenate([block for _, block in found]), before @ before.T)
    assert np.array_equal(given.toarray(), before)  # what was given is as it was
    monkeypatch.setattr(sparse_rows, "DENSE_BYTES", 4 * 61 * 2)
    assert np.array_equal(np.concatenate([block for _, block in products_among(given, size)]), before @ before.T)


def test_no_documents_have_no_products() -> None:
    assert [block.shape for _, block in products_among(csr_array((0, 5), dtype=np.float32), 4)] == [(0, 0)]


def best(dense: np.ndarray, k: int) -> np.ndarray:
    """A plain loop: the k largest positive entries of each row, of equal ones the first."""
    kept = np.zeros_like(dense)
    for row, values in enumerate(dense):
        for column in sorted(range(len(values)), key=lambda column: (-values[column], column))[:k]:
            kept[row, column] = max(values[column], 0)
    return kept


@pytest.mark.parametrize("k", [1, 2, 5, 40])
@pytest.mark.parametrize("levels", [2, 5, 10**6])
def test_the_best_of_each_row_are_those_of_a_plain_loop(k, levels) -> None:
    rng = np.random.default_rng(levels + k)
    dense = (rng.integers(-levels, levels, (30, 41)) / levels).astype(np.float32)
    dense[3], dense[4], dense[5] = 0, -1, 0.5
    found = keep_top_k_of(dense, k)
    assert np.array_equal(found.toarray(), best(dense, k))
    assert found.nnz == np.count_nonzero(best(dense, k))
    assert found.has_sorted_indices
    assert keep_top_k_of(dense, 100).nnz == np.count_nonzero(dense > 0)


def test_neighbours_do_not_depend_on_which_items_are_dense(monkeypatch) -> None:
    train = whole(zipf_log(200, 50, 2400, np.random.default_rng(4))).training()
    fitted = []
    for share in (-1.0, 0.2, 1.0):
        monkeypatch.setattr(sparse_rows, "DENSE_SHARE", share)
        model = create("item-knn", neighbours=49).fit(train, Run.seeded(0))
        fitted.append(model.similarities.toarray())
    assert fitted[0].any()
    for each in fitted[1:]:
        assert np.allclose(each, fitted[0], rtol=1e-5, atol=0)

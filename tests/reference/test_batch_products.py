"""Products of many histories at once, against plain ones: popular items in dense form, inputs of a GRU once an item."""

import numpy as np
import pytest
import torch  # noqa: F401 - loaded, so that its kernel is taken
from scipy.sparse import csr_array

from matinee.arrays import FloatArray
from matinee.models.sequences.gru import Cell, serve_last_states, serve_states
from matinee.nn.row_sums import RowSums, load_torch_for
from matinee.nn.sparse_rows import (
    dense_strips,
    product_by_head,
    product_in_columns,
    product_in_order,
    product_of_few,
    product_with_dense,
    split_head,
)


def skewed(n_rows: int, n_columns: int, rng: np.random.Generator) -> csr_array:
    """A matrix whose first columns are full and whose last ones are nearly empty."""
    shares = 1 / (1 + np.arange(n_columns))
    values = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
    return csr_array(np.where(rng.random((n_rows, n_columns)) < shares, values, np.float32(0)))


@pytest.mark.parametrize("n_rows", [1, 31, 32, 200])
def test_a_product_by_head_is_the_product(n_rows: int) -> None:
    rng = np.random.default_rng(1)
    rows, matrix = skewed(n_rows, 300, rng), skewed(300, 500, rng)
    np.testing.assert_allclose(product_by_head(rows, matrix), rows.toarray() @ matrix.toarray(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_a_product_by_head_takes_the_dense_form_where_that_costs_less_with_the_same_bits_without_torch(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)
    stars = rng.choice(np.array([-0.4, 0.3, 0.9, 1.7], dtype=np.float32), (100, 300))
    rows = csr_array(np.where(rng.random((100, 300)) < np.linspace(0.5, 0, 300), stars, 0))
    values = rng.random((300, 500), dtype=np.float32)
    matrix, asked = csr_array(np.where(rng.random((300, 500)) < share, values, 0)), []

    def kept() -> tuple[FloatArray, ...]:
        asked.append(True)
        return dense_strips(matrix)

    found = product_by_head(rows, matrix, kept)
    np.testing.assert_allclose(found, rows.toarray() @ matrix.toarray(), rtol=1e-4, atol=1e-5)
    assert bool(asked) == (share == 0.5)
    monkeypatch.setattr("matinee.nn.row_sums.STRIP_BYTES", 2**16)
    np.testing.assert_allclose(product_by_head(rows, matrix, kept), found, rtol=1e-5, atol=1e-6)
    monkeypatch.undo()
    monkeypatch.setattr("matinee.nn.row_sums.has_torch", lambda: False)
    np.testing.assert_array_equal(product_by_head(rows, matrix, kept), found)


@pytest.mark.parametrize("n_rows", [1, 31, 32, 200])
def test_a_row_times_a_dense_matrix_is_the_same_alone_and_in_a_batch(n_rows: int) -> None:
    rng = np.random.default_rng(3)
    rows, matrix = abs(skewed(n_rows, 300, rng)), rng.random((300, 70), dtype=np.float32)
    found = product_with_dense(rows, matrix)
    np.testing.assert_allclose(found, rows.toarray().astype(np.float64) @ matrix, rtol=1e-6)
    alone = np.concatenate([product_with_dense(rows[[row]], matrix) for row in range(n_rows)])
    np.testing.assert_allclose(found, alone, rtol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 31, 32, 200])
@pytest.mark.parametrize("by_level", [True, False])
def test_rows_of_many_weights_are_summed_in_the_order_of_a_sparse_product(n_rows: int, by_level: bool) -> None:
    rng = np.random.default_rng(5)
    rows, matrix = skewed(n_rows, 300, rng), skewed(300, 70, rng)
    if by_level:  # rows of more weights than are summed one by one
        rows = csr_array(np.where(np.arange(300) < 20, rng.random((n_rows, 300), dtype=np.float32), 0))
    expected = (rows @ matrix).toarray()
    np.testing.assert_array_equal(product_in_order(rows, matrix, by_level=by_level), expected)
    np.testing.assert_array_equal(product_in_columns(rows, matrix.toarray(), by_level=by_level), expected)


@pytest.mark.parametrize("n_rows", [1, 31, 32, 200])
@pytest.mark.parametrize("has_torch", [True, False])
def test_rows_of_few_weights_are_summed_weight_by_weight(n_rows: int, has_torch: bool, monkeypatch) -> None:
    if not has_torch:
        monkeypatch.setattr("matinee.nn.row_sums.has_torch", lambda: False)
    rng = np.random.default_rng(6)
    stars = rng.choice(np.array([-0.4, 0.3, 0.9, 1.7], dtype=np.float32), (n_rows, 300))
    many = np.where(np.arange(300) < 20, rng.random((n_rows, 300), dtype=np.float32), 0)
    given = np.where(rng.random((n_rows, 300)) < 0.3, stars, 0)
    given[::3] = many[::3]  # a row of many weights does not change how others are summed
    given[1::5] = 0
    rows, matrix = csr_array(given), skewed(300, 70, rng)
    expected, plain = np.zeros((n_rows, 70), dtype=np.float32), matrix.toarray()
    for row, weights in enumerate(given):
        levels = np.unique(weights[weights != 0])
        groups = [[(np.float32(1), item) for item in np.flatnonzero(weights == level)] for level in levels]
        if len(levels) > 16:
            groups, levels = [[(weights[item], item) for item in np.flatnonzero(weights)]], np.ones(1, np.float32)
        for level, group in zip(levels, groups, strict=True):
            total = np.zeros(70, dtype=np.float32)
            for weight, item in group:
                total += weight * plain[item]
            expected[row] += level * total
    np.testing.assert_array_equal(product_in_columns(rows, matrix.toarray()), expected)
    np.testing.assert_array_equal(product_in_order(rows, matrix), expected)
    np.testing.assert_array_equal(product_of_few(rows, matrix), expected)
    np.testing.assert_array_equal(RowSums.of(rows).sparse(matrix).toarray(), expected)


@pytest.mark.parametrize("has_torch", [True, False])
def test_any_weights_of_ones_and_zeros_are_summed_in_order(has_torch: bool, monkeypatch) -> None:
    if not has_torch:
        monkeypatch.setattr("matinee.nn.row_sums.has_torch", lambda: False)
    rng = np.random.default_rng(7)
    rows, matrix = skewed(40, 300, rng), (rng.random((300, 70)) < 0.2).astype(np.float32)
    matrix.flags.writeable = False  # as an artefact's arrays are
    np.testing.assert_array_equal(product_in_columns(rows, matrix, of_ones=True), rows @ matrix)


@pytest.mark.parametrize(
    ("n_products", "is_there", "loaded"), [(6e10, True, ["torch"]), (4e10, True, []), (6e10, False, [])]
)
def test_torch_is_loaded_where_it_saves_time(n_products, is_there, loaded, monkeypatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("matinee.nn.row_sums.has_torch", lambda: False)
    monkeypatch.setattr("matinee.nn.row_sums.is_installed", lambda name: is_there)
    monkeypatch.setattr("matinee.nn.row_sums.import_module", asked.append)
    load_torch_for(n_products)
    assert asked == loaded


def test_a_head_and_the_rest_are_the_matrix() -> None:
    matrix, head = skewed(50, 40, np.random.default_rng(2)), np.array([0, 3, 39])
    dense, rest = split_head(matrix, head)
    np.testing.assert_array_equal(dense, matrix.toarray()[:, head])
    expected = matrix.toarray()
    expected[:, head] = 0
    np.testing.assert_array_equal(rest.toarray(), expected)


def test_last_states_by_a_table_are_the_last_of_all_states() -> None:
    rng = np.random.default_rng(4)
    table, weights, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((9, 12), (4, 12), (12,)))
    rows = rng.integers(0, 9, (5, 7))
    lengths, cell = np.array([7, 6, 3, 3, 1]), Cell.of(weights, bias)
    expected: FloatArray = serve_states(table[rows], lengths, cell)[:, -1]
    np.testing.assert_array_equal(serve_last_states(cell.inputs(table), rows, lengths, cell), expected)


@pytest.mark.parametrize("n_rows", [3, 8, 50])
def test_a_sequence_has_the_same_states_in_any_batch(n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    table, weights = (rng.standard_normal((n, 384), dtype=np.float32) / 8 for n in (30, 128))
    rows, lengths = rng.integers(0, 30, (n_rows, 20)), -np.sort(-rng.integers(1, 21, n_rows))
    cell = Cell.of(weights, rng.standard_normal(384))
    together = serve_last_states(table, rows, lengths, cell)
    for row, length in enumerate(lengths):
        alone = serve_last_states(table, rows[row : row + 1, :length], lengths[row : row + 1], cell)
        np.testing.assert_array_equal(alone[0], together[row])

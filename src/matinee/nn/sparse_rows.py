"""Sparse rows of users or items: batches, scaling, dropout, top k. Numpy only, since serving uses them too."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, diags_array

from matinee.arrays import BoolArray, FloatArray, IntArray, lower_bounds, rows_of
from matinee.nn.row_sums import MANY_ROWS, Levels, RowSums, strips

GAP_COST = 32
"""Of an entry of a sparse product, in units of one of a product with a dense matrix."""
HEAD_SHARE = 0.3
"""Of a batch's rows: columns that more of them have are multiplied without gaps, where the other side is dense."""
DENSE_SHARE, DENSE_BYTES = 0.06, 2**28
"""Of the terms (or users): documents (items) that more of them have are dense among themselves, as far as these have so
many bytes. MovieLens 1M is quickest at 0.03 to 0.06, a log of 50 events a user at 0.06 to 0.08 (measured)."""
MOST_CELLS = 2**25
"""Of a sparse matrix that is kept in dense form too: 128 MB."""
GROUPS_PER_RANK = 4
"""Groups of columns whose maxima bound a row's k best, in k."""
SPARSE_COST, GATHER_COST = 160, 4
"""How often a dense product multiplies and adds while one of two sparse matrices, or of a sparse and a dense one, does
so once."""


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """Indices 0..n-1 in random order, `size` at a time (0: all at once, ascending)."""
    if size == 0 or size >= n:
        yield np.arange(n)
        return
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def row_batches(matrix: csr_array, size: int, rng: np.random.Generator) -> Iterator[csr_array]:
    """Rows of a matrix in random order, `size` at a time (0: all at once)."""
    for rows in batches(matrix.shape[0], size, rng):
        yield matrix[rows]


def normalise_rows(matrix: csr_array) -> csr_array:
    """Divide each row by its Euclidean length; empty rows stay empty. [B, I]."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)))
    return scale_rows(matrix, 1 / np.where(lengths > 0, lengths, 1))


def scale_rows(matrix: csr_array, factors: FloatArray) -> csr_array:
    """Multiply each row by its factor. [B, I], [B] -> [B, I]."""
    values = matrix.data * np.repeat(factors.astype(matrix.dtype), np.diff(matrix.indptr))
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def weight_users(matrix: csr_array, user_power: float) -> csr_array:
    """Scale each user's row by (n / mean n)^-user_power, n the number of its events. [U, I] -> [U, I]."""
    if user_power == 0:
        return matrix
    lengths = np.maximum(np.diff(matrix.indptr), 1)
    return scale_rows(matrix, (lengths / lengths.mean()) ** -user_power)


def drop_entries(matrix: csr_array, rate: float, rng: np.random.Generator) -> csr_array:
    """Drop each stored value with probability `rate` and scale the rest by 1 / (1 - rate). [B, I]."""
    if rate == 0:
        return matrix
    kept = np.flatnonzero(rng.random(matrix.nnz, dtype=np.float32) >= rate)
    values = matrix.data.take(kept) / matrix.dtype.type(1 - rate)
    starts = np.searchsorted(kept, matrix.indptr)
    return csr_array((values, matrix.indices.take(kept), starts), shape=matrix.shape)


def inverse_sqrt(degrees: FloatArray | IntArray) -> FloatArray:
    """degree^-1/2, and 0 for degree 0. Any shape."""
    return np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0).astype(np.float32)


def normalise_adjacency(matrix: csr_array, smoothing: float = 0.0) -> csr_array:
    """D_u^-1/2 R D_i^-1/2 of a binary matrix R of users by items. [U, I].

    Source: He et al. 2020, eq. 3. Rows and columns of isolated nodes stay empty. smoothing: adds so many times their
    mean to the degrees of users and of items.
    """
    sides = [np.asarray(matrix.sum(axis=axis)) for axis in (1, 0)]
    by_user, by_item = (diags_array(inverse_sqrt(each + smoothing * each.mean() * (each > 0))) for each in sides)
    edges: csr_array = (by_user @ matrix @ by_item).tocsr()
    return edges


def keep_top_k(matrix: csr_array, k: int) -> csr_array:
    """Keep the k largest positive entries of each row; ties go to the lower column."""
    return keep_top_k_of(matrix.toarray(), k)


def keep_top_k_of(dense: FloatArray, k: int) -> csr_array:
    """As `keep_top_k`, of a dense matrix without NaN.

    The k-th best of the maxima of groups of columns is a lower bound of the k-th best entry, which few columns reach.
    """
    n_rows, n_columns = dense.shape
    n_groups = GROUPS_PER_RANK * k
    least = np.finfo(dense.dtype).smallest_subnormal
    bounds = np.full(n_rows, least) if n_columns < 2 * n_groups else np.maximum(lower_bounds(dense, k, n_groups), least)
    flat = np.flatnonzero(dense >= bounds[:, None])
    values = dense.reshape(-1)[flat]
    starts = np.searchsorted(flat, n_columns * np.arange(n_rows + 1))
    kept = _best_of_each(values, starts, k)
    flat, values, starts = flat[kept], values[kept], np.concatenate([[0], np.cumsum(kept)])[starts]
    columns = (flat - rows_of(starts) * n_columns).astype(np.int32)
    return csr_array((values, columns, starts), shape=dense.shape)


def _best_of_each(values: FloatArray, starts: IntArray, k: int) -> BoolArray:
    """Which of the values of each ragged row are among its k best, of equal ones the first. [N]."""
    counts = np.diff(starts)
    if counts.max(initial=0) <= k:
        return np.ones(len(values), dtype=np.bool_)
    owners = rows_of(starts)
    padded = np.full((len(counts), int(counts.max())), -np.inf, dtype=values.dtype)
    padded[owners, np.arange(len(values)) - starts[owners]] = values
    least = np.partition(padded, padded.shape[1] - k, axis=1)[:, -k][owners]  # -inf of a row with fewer
    is_above, is_equal = values > least, values == least
    above, equal = (np.concatenate([[0], np.cumsum(each)]) for each in (is_above, is_equal))
    missing = k - (above[starts[1:]] - above[starts[:-1]])
    kept: BoolArray = is_above | (is_equal & (equal[1:] - equal[starts[:-1]][owners] <= missing[owners]))
    return kept


def products_among(documents: csr_array, size: int) -> Iterator[tuple[int, FloatArray]]:
    """Inner products of `size` documents at a time with all, dense: the first of them, and theirs. [C, F] -> [b, C].

    Documents with many terms are dense, and their products are by BLAS.
    """
    head = dense_head(np.diff(documents.indptr), documents.shape[1])
    profiles, by_term = split_head(documents.T.tocsr(), head)  # [F, h], [F, C]
    rest = by_term.T.tocsr()
    beside: FloatArray = rest @ profiles  # [C, h]
    beside[head] = profiles.T @ profiles
    for start in range(0, max(documents.shape[0], 1), size):
        products = product_in_strips(rest[start : start + size], rest, by_level=False)
        own = slice(*np.searchsorted(head, [start, start + size]))
        products[head[own] - start] = beside[:, own].T
        products[:, head] = beside[start : start + size]
        yield start, products


def dense_head(counts: IntArray, n_terms: int) -> IntArray:
    """The documents that so many of the terms describe that they are better dense, ascending. counts: [C] -> [h]."""
    most = np.argsort(-counts, kind="stable")[: DENSE_BYTES // (4 * max(1, n_terms))]
    return np.sort(most[counts[most] > DENSE_SHARE * n_terms])


def product_by_head(
    rows: csr_array, matrix: csr_array, kept: Callable[[], Sequence[FloatArray]] | None = None
) -> FloatArray:
    """The product of two sparse matrices, dense. [B, F], [F, C] -> [B, C].

    Of many rows, the columns with so many products that gaps cost less than their bookkeeping are dense on both sides,
    and others with many entries in the second matrix are dense there. kept: gives `dense_strips` of the second matrix,
    which are taken, of one of at most MOST_CELLS, where they cost less than the products of entries.
    """
    if rows.shape[0] == 1:
        return product_of_few(rows, matrix, by_level=False)
    if rows.shape[0] < MANY_ROWS:
        found: FloatArray = (rows @ matrix).toarray()
        return found
    n_entries, n_columns = np.diff(matrix.indptr), matrix.shape[1]
    n_products = np.bincount(rows.indices, minlength=rows.shape[1]) * n_entries
    is_small = matrix.shape[0] * n_columns <= MOST_CELLS
    if kept and is_small and n_products.sum() * SPARSE_COST > rows.nnz * n_columns * GATHER_COST:
        return _product_with_strips(rows, kept(), n_columns)
    is_head = n_products * SPARSE_COST > rows.shape[0] * n_columns
    is_full = ~is_head & (n_entries * (SPARSE_COST // GATHER_COST) > n_columns)
    head, full, others = (np.flatnonzero(each) for each in (is_head, is_full, ~is_head & ~is_full))
    dense, tail = split_head(rows, head)
    product: FloatArray = dense @ matrix[head].toarray()
    product += product_in_columns(tail[:, full], matrix[full].toarray())
    product += (tail[:, others] @ matrix[others]).toarray()
    return product


def product_with_dense(rows: csr_array, matrix: FloatArray) -> FloatArray:
    """The product of sparse rows and a dense matrix, of terms that do not cancel. [B, F], [F, C] -> [B, C] float32.

    Of many rows, the columns that many of them have are dense, and the others take the matrix in strips of columns that
    stay in the cache, so the order of a row's sums depends on the batch.
    """
    if rows.shape[0] < MANY_ROWS:
        found: FloatArray = rows @ matrix
        return found
    parts = (np.ascontiguousarray(matrix[:, strip]) for strip in strips(*matrix.shape))
    return _product_with_strips(rows, parts, matrix.shape[1])


def dense_strips(matrix: csr_array) -> tuple[FloatArray, ...]:
    """A sparse matrix in dense form, in strips of columns that stay in the cache. [F, C] -> [F, c] each."""
    by_column = matrix.tocsc()
    return tuple(by_column[:, strip].toarray(order="C") for strip in strips(*matrix.shape))


def _product_with_strips(rows: csr_array, parts: Iterable[FloatArray], n_columns: int) -> FloatArray:
    """See `product_with_dense`, of many rows. parts: strips of the matrix, [F, c] each."""
    head = np.flatnonzero(np.bincount(rows.indices, minlength=rows.shape[1]) > HEAD_SHARE * rows.shape[0])
    dense, rest = split_head(rows, head)
    sums, stop = RowSums.of(rest), 0
    product = np.empty((rows.shape[0], n_columns), dtype=np.float32)
    for part in parts:
        start, stop = stop, stop + part.shape[1]
        np.add(dense @ part[head], sums.dense(part), out=product[:, start:stop])
    return product


def product_in_columns(
    rows: csr_array, matrix: FloatArray, *, by_level: bool = True, of_ones: bool = False
) -> FloatArray:
    """The product of sparse rows and a dense matrix, each sum in its one order. [B, F], [F, C] -> [B, C] float32.

    Many rows take the matrix in strips of columns that stay in the cache: 2 to 4 times as fast as whole rows of it.
    by_level, of_ones: see RowSums.
    """
    if rows.shape[0] == 1 and by_level and (levels := Levels.of(rows.data)) is not None:
        return levels.total(levels.ones(rows.indices, len(matrix)) @ matrix)[None]
    sums = RowSums.of(rows, by_level=by_level, of_ones=of_ones)
    if rows.shape[0] < MANY_ROWS:
        found: FloatArray = sums.dense(matrix)
        return found
    product = np.empty((rows.shape[0], matrix.shape[1]), dtype=np.float32)
    for strip in strips(*matrix.shape):
        product[:, strip] = sums.dense(np.ascontiguousarray(matrix[:, strip]))
    return product


def split_head(rows: csr_array, head: IntArray) -> tuple[FloatArray, csr_array]:
    """Some columns of a matrix in dense form, and the matrix without them. [B, F], head [h] -> [B, h], [B, F]."""
    positions = np.full(rows.shape[1], -1, dtype=np.int32)
    positions[head] = np.arange(len(head))
    found, owners = positions[rows.indices], rows_of(rows.indptr)
    is_head = found >= 0
    dense = np.zeros((rows.shape[0], len(head)), dtype=rows.dtype)
    dense[owners[is_head], found[is_head]] = rows.data[is_head]
    rest = np.flatnonzero(~is_head)
    starts = np.searchsorted(rest, rows.indptr)
    return dense, csr_array((rows.data[rest], rows.indices[rest], starts), shape=rows.shape)


def product_in_strips(rows: csr_array, documents: csr_array, *, by_level: bool = True) -> FloatArray:
    """Rows times the transposed documents, dense: the same sums in the same order. [R, F], [C, F] -> [R, C].

    Some documents at a time are made dense, few enough to stay in the cache of a core. by_level: see RowSums.
    """
    found = np.empty((rows.shape[0], documents.shape[0]), dtype=np.float32)
    sums = RowSums.of(rows, by_level=by_level)
    for strip in strips(*documents.shape[::-1]):
        found[:, strip] = sums.dense(np.ascontiguousarray(documents[strip].toarray().T))
    return found


def product_in_order(rows: csr_array, matrix: csr_array, *, by_level: bool = True) -> FloatArray:
    """The product of two sparse matrices, dense, each sum in its one order. [B, F], [F, C] -> [B, C].

    A sparse product counts its entries and then looks each one up, which takes GAP_COST times as long as adding a zero:
    of a matrix with few enough zeros, many rows take strips in dense form. by_level: see RowSums.
    """
    if rows.shape[0] == 1:
        return product_of_few(rows, matrix, by_level=by_level)
    if rows.shape[0] < MANY_ROWS or matrix.nnz * GAP_COST < matrix.shape[0] * matrix.shape[1]:
        found: FloatArray = RowSums.of(rows, by_level=by_level).sparse(matrix).toarray()
        return found
    return product_in_strips(rows, matrix.T.tocsr(), by_level=by_level)


def product_of_few(rows: csr_array, matrix: csr_array, *, by_level: bool = True) -> FloatArray:
    """The product of a few rows and a matrix, dense: the same sums in the same order. [R, F], [F, C] -> [R, C].

    A sparse product counts what it will store before it computes it, and takes four times as long for one row.
    by_level: see RowSums.
    """
    found = np.zeros((rows.shape[0], matrix.shape[1]), dtype=np.float32)
    for row, (start, stop) in enumerate(pairwise(rows.indptr.tolist())):
        columns, weights = rows.indices[start:stop], rows.data[start:stop]
        levels = Levels.of(weights) if by_level else None
        if levels is None:
            found[row] = matrix[columns].T @ weights
        else:
            ones = np.repeat(np.eye(len(levels.weights), dtype=np.float32), np.diff(levels.starts), axis=0)  # [n, K]
            found[row] = levels.total((matrix[columns[levels.order]].T @ ones).T)
    return found


def entries_of_events(matrix: csr_array, rows: IntArray, owners: IntArray, listed: IntArray) -> FloatArray:
    """Entries at the row of each event and the columns that its user lists. rows, owners [N], listed [B, k] -> [N, k].

    For one user, as a list has it, the columns are taken out of the rows; for many, see `entries_at`.
    """
    if len(listed) == 1:
        found: FloatArray = matrix[rows][:, listed[0]].toarray()
        return found
    columns = listed[owners]
    return entries_at(matrix, np.repeat(rows, columns.shape[1]), columns.ravel()).reshape(columns.shape)


def entries_at(matrix: csr_array, rows: IntArray, columns: IntArray) -> FloatArray:
    """Entries of a CSR matrix with ascending columns; 0 where none is stored. rows, columns [n] -> [n]."""
    if matrix.nnz == 0:
        return np.zeros(len(rows), dtype=np.float32)
    used, positions = np.unique(rows, return_inverse=True)
    if 2 * len(used) < matrix.shape[0]:  # a few rows of many, such as a history's: only theirs are searched
        matrix, rows = matrix[used], positions
    n_columns = matrix.shape[1]
    owners = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    keys = owners * n_columns + matrix.indices
    wanted = rows.astype(np.int64) * n_columns + columns
    indices = np.minimum(np.searchsorted(keys, wanted), matrix.nnz - 1)
    return np.where(keys[indices] == wanted, matrix.data[indices], 0)

"""Sparse rows of users or items in numpy: in batches, scaled, corrupted. No torch here: serving scales rows too."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array, diags_array

from matinee.arrays import FloatArray, IntArray, top_k


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """The numbers 0..n-1 in a drawn order, `size` at a time (0: all at once, in order)."""
    if size == 0 or size >= n:
        yield np.arange(n)
        return
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def row_batches(matrix: csr_array, size: int, rng: np.random.Generator) -> Iterator[csr_array]:
    """The rows of a matrix in a drawn order, `size` at a time (0: all at once)."""
    for rows in batches(matrix.shape[0], size, rng):
        yield matrix[rows]


def unit_rows(matrix: csr_array) -> csr_array:
    """The rows divided by their length; empty rows stay. [B, I]."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)))
    return scaled_rows(matrix, 1 / np.where(lengths > 0, lengths, 1))


def scaled_rows(matrix: csr_array, factors: FloatArray) -> csr_array:
    """Each row times its factor. [B, I], [B] -> [B, I]."""
    values = matrix.data * np.repeat(factors.astype(matrix.dtype), np.diff(matrix.indptr))
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def weighted_users(matrix: csr_array, user_power: float) -> csr_array:
    """Each user's events counted (n / mean n)^-user_power, n being how many they are. [U, I] -> [U, I]."""
    if user_power == 0:
        return matrix
    lengths = np.maximum(np.diff(matrix.indptr), 1)
    return scaled_rows(matrix, (lengths / lengths.mean()) ** -user_power)


def dropped(matrix: csr_array, share: float, rng: np.random.Generator) -> csr_array:
    """Each stored value left out with a chance of `share`, the others scaled to keep the mean. [B, I]."""
    if share == 0:
        return matrix
    kept = np.flatnonzero(rng.random(matrix.nnz, dtype=np.float32) >= share)
    values = matrix.data.take(kept) / matrix.dtype.type(1 - share)
    starts = np.searchsorted(kept, matrix.indptr)
    return csr_array((values, matrix.indices.take(kept), starts), shape=matrix.shape)


def inverse_roots(degrees: FloatArray | IntArray) -> FloatArray:
    """degree^-1/2, 0 for an isolated node. Any shape."""
    return np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0).astype(np.float32)


def normalised(matrix: csr_array) -> csr_array:
    """A binary matrix of users by items, each entry divided by the roots of both degrees. [U, I].

    Source: He et al. 2020, eq. 3. Isolated users and items keep empty rows.
    """
    by_user = diags_array(inverse_roots(matrix.sum(axis=1)))
    by_item = diags_array(inverse_roots(matrix.sum(axis=0)))
    edges: csr_array = (by_user @ matrix @ by_item).tocsr()
    return edges


def keep_best(matrix: csr_array, k: int) -> csr_array:
    """Only the k largest positive entries of each row; equal ones in the order of columns."""
    columns, values = top_k(matrix.toarray(), min(k, matrix.shape[1]))
    order = np.argsort(columns, axis=1)  # rows of a CSR matrix ascend, so that sums have one order
    columns = np.take_along_axis(columns, order, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    positive = values > 0
    starts = np.zeros(matrix.shape[0] + 1, dtype=np.int64)
    np.cumsum(positive.sum(axis=1), out=starts[1:])
    return csr_array((values[positive], columns[positive], starts), shape=matrix.shape)


def entries(matrix: csr_array, rows: IntArray, columns: IntArray) -> FloatArray:
    """Entries of a CSR matrix with ascending columns, zero where there is none. rows, columns [n] -> [n]."""
    if matrix.nnz == 0:
        return np.zeros(len(rows), dtype=np.float32)
    n_columns = matrix.shape[1]
    owners = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    keys = owners * n_columns + matrix.indices
    wanted = rows.astype(np.int64) * n_columns + columns
    places = np.minimum(np.searchsorted(keys, wanted), matrix.nnz - 1)
    return np.where(keys[places] == wanted, matrix.data[places], 0)

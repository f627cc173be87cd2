"""Sparse rows of users or items in numpy: in batches, scaled, corrupted. No torch here: serving scales rows too."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray
from matinee.nn.batches import batches


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


def weighed_users(matrix: csr_array, user_power: float) -> csr_array:
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

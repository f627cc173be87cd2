"""XᵀX of a user-item matrix, dense."""

import numpy as np
from scipy.linalg import blas
from scipy.sparse import csr_array

from matinee.arrays import FloatArray

BLOCK_ROWS = 1024
"""Rows made dense at once."""
SPARSE_COST = 300.0
"""Time of a multiplication in a sparse product over that in a dense one (measured: 200 to 400)."""


def gram_of(matrix: csr_array) -> FloatArray:
    """Lower triangle of XᵀX, float32 in Fortran order. [U, I] -> [I, I].

    From dense blocks of users by BLAS, or from sparse products where the matrix is so sparse that they cost less.
    """
    n_users, n_items = matrix.shape
    gram = np.zeros((n_items, n_items), dtype=np.float32, order="F")
    pairs = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    if pairs * SPARSE_COST < float(n_users) * n_items**2:
        by_item = matrix.T.tocsr()
        for start in range(0, n_items, BLOCK_ROWS):
            gram[start : start + BLOCK_ROWS] = (by_item[start : start + BLOCK_ROWS] @ matrix).toarray()
        return gram
    for start in range(0, n_users, BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS].toarray()  # [b, I]
        gram = blas.ssyrk(1.0, block.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def symmetrise(lower: FloatArray) -> FloatArray:
    """A symmetric matrix in C order, in place, from its lower triangle in Fortran order."""
    whole: FloatArray = lower.T  # the upper triangle is valid
    for start in range(0, len(whole), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        whole[stop:, start:stop] = whole[start:stop, stop:].T
        square = whole[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
    return whole

"""XᵀX of a user-item matrix, dense."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import DTypeLike
from scipy.linalg import blas
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.models.item_strips import BLOCK_CELLS, CELL_COST, count_in_strips, sampled

BLOCK_ROWS = 1024
"""Rows made dense at once."""
BLOCK_EVENTS = 1_000_000
"""Events whose sparse products are counted at once: two workers' stay in a cache of 32 MB, whose rows are read again
for each item. With all of 12 million at once the counts take 1.9 times as long (measured)."""
LIMIT = 2**16
"""Users from which on a count may not fit into 16 bits."""
SPARSE_COST = 300.0
"""Time of a multiplication in a sparse product over that in a dense one (measured: 200 to 400)."""


@dataclass(frozen=True, eq=False)
class GramStrips:
    """XᵀX in strips of its upper triangle: an item's products with itself and the items after it. [b, I - first] each.

    By sparse products of blocks of users, or from their dense blocks by BLAS where these cost less: their bits may
    depend on the strip unless X holds whole numbers.
    """

    by_user: csr_array  # X [U, I]

    @classmethod
    def of(cls, matrix: csr_array) -> Self:
        """Of X, in a narrow type if its products are sparse and it holds ones. [U, I]."""
        ones = _is_sparse(matrix) and bool((matrix.data == 1).all())
        return cls(matrix.astype(np.uint16) if ones else matrix)

    @cached_property
    def blocks(self) -> list[tuple[csr_array, csr_array]] | None:
        """Blocks of users and their transposes, which each worker finds by itself; None where dense ones cost less."""
        if not _is_sparse(self.by_user):
            return None
        parts = [self.by_user[start:stop] for start, stop in _user_blocks(self.by_user.indptr)]
        return [(part, part.T.tocsr()) for part in parts]  # [b, I], [I, b]

    @property
    def costs(self) -> FloatArray:
        """See ItemStrips."""
        n_users, n_items = self.by_user.shape
        left = np.arange(n_items, 0, -1.0)
        if not _is_sparse(self.by_user):
            return n_users / SPARSE_COST * left
        some, times = sampled(self.by_user)
        ends = np.repeat(some.indptr[1:], np.diff(some.indptr))
        pairs = np.bincount(some.indices, times * (ends - np.arange(len(ends))), n_items)  # columns ascend
        costs: FloatArray = pairs + CELL_COST * np.minimum(pairs, left)
        return costs

    def __call__(self, items: tuple[int, int]) -> FloatArray:
        """See ItemStrips."""
        first, last = items
        if self.blocks is None:
            return _upper_rows(self.by_user[:, first:], last - first)
        width = self.by_user.shape[1] - first
        strip = np.zeros((last - first, width), dtype=self._dtype)
        rows = max(1, BLOCK_CELLS // width)
        for by_user, by_item in self.blocks:
            rest = by_user[:, first:]
            for start in range(first, last, rows):
                stop = min(start + rows, last)
                strip[start - first : stop - first] += (by_item[start:stop] @ rest).toarray()
        return strip

    @property
    def _dtype(self) -> DTypeLike:
        """Of a strip: the narrowest that holds a count of all users."""
        whole = self.by_user.dtype == np.uint16
        return np.int32 if whole and self.by_user.shape[0] >= LIMIT else self.by_user.dtype

    def join(self, strips: Iterable[FloatArray]) -> FloatArray:
        """See ItemStrips: the lower triangle in Fortran order. [I, I]."""
        n_items, start = self.by_user.shape[1], 0
        upper = np.zeros((n_items, n_items), dtype=np.float32)
        for strip in strips:
            upper[start : start + len(strip), start:] = strip
            start += len(strip)
        return upper.T


def _user_blocks(starts: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges of users with about BLOCK_EVENTS events, and few enough for counts of 16 bits. starts: [U + 1]."""
    n_blocks = max(1, round(starts[-1] / BLOCK_EVENTS))
    edges = np.searchsorted(starts, np.arange(n_blocks + 1) * (int(starts[-1]) / n_blocks))
    edges[-1] = len(starts) - 1
    for start, stop in pairwise(edges.tolist()):
        for first in range(start, stop, LIMIT - 1):
            yield first, min(first + LIMIT - 1, stop)


def _is_sparse(matrix: csr_array) -> bool:
    pairs = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    return pairs * SPARSE_COST < float(matrix.shape[0]) * matrix.shape[1] ** 2


def _upper_rows(matrix: csr_array, n_rows: int) -> FloatArray:
    """The first rows of XᵀX, from dense blocks of users. [U, I] -> [n_rows, I]."""
    square = np.zeros((n_rows, n_rows), dtype=np.float32, order="F")
    beside = np.zeros((matrix.shape[1] - n_rows, n_rows), dtype=np.float32, order="F")
    for start in range(0, matrix.shape[0], BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS].toarray().T  # [I, b]
        square = blas.ssyrk(1.0, block[:n_rows], beta=1.0, c=square, lower=1, overwrite_c=1)
        if len(beside):
            beside = blas.sgemm(1.0, block[n_rows:], block[:n_rows], beta=1.0, c=beside, trans_b=1, overwrite_c=1)
    return np.concatenate([square.T, beside.T], axis=1)


def gram_of(matrix: csr_array) -> FloatArray:
    """Lower triangle of XᵀX, float32 in Fortran order. [U, I] -> [I, I].

    From dense blocks of users by BLAS, or from sparse products where the matrix is so sparse that they cost less.
    """
    n_users, n_items = matrix.shape
    if _is_sparse(matrix):
        return count_in_strips(GramStrips.of(matrix))
    gram = np.zeros((n_items, n_items), dtype=np.float32, order="F")
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

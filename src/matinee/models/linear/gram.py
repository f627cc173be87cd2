"""XᵀX of a user-item matrix, dense."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike
from scipy.linalg import blas, lapack
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.models.item_strips import BLOCK_CELLS, CELL_COST, count_in_strips, sampled
from matinee.nn.sparse_rows import dense_head, split_head

BLOCK_ROWS = 1024
"""Rows made dense at once."""
BLOCK_EVENTS = 1_000_000
"""Events whose sparse products are counted at once: two workers' stay in a cache of 32 MB, whose rows are read again
for each item. With all of 12 million at once the counts take 1.9 times as long (measured)."""
LIMIT = 2**16
"""Users from which on a count may not fit into 16 bits."""
SPARSE_COST = 300.0
"""Time of a multiplication in a sparse product over that in a dense one (measured: 200 to 400)."""
SPLIT_COST = 100.0
"""The same where popular items are dense (measured)."""
GATHERED, MULTIPLIED = 0.05, 0.003
"""Cost of an event beside an item of the head, and of two items of the head for a user who may have neither, in pairs
of a sparse product."""


class Strip(NamedTuple):
    """Rows of XᵀX. rest: products with the items after the first row's, without those of the head, [b, I - first].

    head: products with the head [b, h]; of items that are in it themselves, with it from their own place on.
    """

    rest: FloatArray
    head: FloatArray


class _Users(NamedTuple):
    """A block of users. rest: their items outside the head, [b, I]; by_item: transposed; head: [b, h], dense."""

    rest: csr_array
    by_item: csr_array
    head: FloatArray


@dataclass(frozen=True, eq=False)
class GramStrips:
    """XᵀX in strips of its upper triangle: an item's products with itself and the items after it.

    By blocks of users. Of ones, the head, items that many have, is dense, and products with it are by BLAS; the rest is
    sparse. Where all products by BLAS cost less, they are, and their bits may depend on the strip unless X holds whole
    numbers.
    """

    by_user: csr_array  # X [U, I]

    @classmethod
    def of(cls, matrix: csr_array) -> Self:
        """Of X, in a narrow type if its products are sparse and it holds ones. [U, I]."""
        ones = bool((matrix.data == 1).all())
        return cls(matrix.astype(np.uint16) if ones and _is_sparse(matrix, SPLIT_COST) else matrix)

    @property
    def is_sparse(self) -> bool:
        """Whether products are sparse, those with the head excepted."""
        return self._counts_ones or _is_sparse(self.by_user, SPARSE_COST)

    @property
    def _counts_ones(self) -> bool:
        return bool(self.by_user.dtype == np.uint16)

    @cached_property
    def head(self) -> IntArray:
        """The items that are dense, ascending. [h]."""
        n_users, n_items = self.by_user.shape
        if not self._counts_ones:
            return np.zeros(0, dtype=np.int64)
        return dense_head(np.bincount(self.by_user.indices, minlength=n_items), n_users)

    @cached_property
    def blocks(self) -> list[_Users] | None:
        """Blocks of users, which each worker finds by itself; None where all products are dense."""
        return [self._block(*users) for users in _user_blocks(self.by_user.indptr)] if self.is_sparse else None

    def _block(self, start: int, stop: int) -> _Users:
        head, rest = split_head(self.by_user[start:stop], self.head)
        return _Users(rest, rest.T.tocsr(), head.astype(np.float32, copy=False))

    @property
    def costs(self) -> FloatArray:
        """See ItemStrips."""
        n_users, n_items = self.by_user.shape
        left = np.arange(n_items, 0, -1.0)
        if not self.is_sparse:
            return n_users / SPARSE_COST * left
        some, times = sampled(self.by_user)
        rest = split_head(some, self.head)[1]
        ends = np.repeat(rest.indptr[1:], np.diff(rest.indptr))
        pairs = np.bincount(rest.indices, times * (ends - np.arange(len(ends))), n_items)  # columns ascend
        costs: FloatArray = pairs + CELL_COST * np.minimum(pairs, left)
        size = len(self.head)
        costs += GATHERED * size * times * np.bincount(rest.indices, minlength=n_items)
        costs[self.head] += MULTIPLIED * n_users * np.arange(size, 0, -1.0)
        return costs

    def __call__(self, items: tuple[int, int]) -> Strip:
        """See ItemStrips."""
        first, last = items
        if self.blocks is None:
            rest = _upper_rows(self.by_user[:, first:], last - first)
            return Strip(rest, np.zeros((last - first, 0), dtype=np.float32))
        width, own = self.by_user.shape[1] - first, slice(*np.searchsorted(self.head, items))
        strip = np.zeros((last - first, width), dtype=self._dtype)
        beside = np.zeros((last - first, len(self.head)), dtype=np.float32)
        rows = max(1, BLOCK_CELLS // width)
        for users in self.blocks:
            after = users.rest[:, first:]
            for start in range(first, last, rows):
                stop = min(start + rows, last)
                strip[start - first : stop - first] += (users.by_item[start:stop] @ after).toarray()
            beside += users.by_item[first:last] @ users.head
            beside[self.head[own] - first, own.start :] += users.head[:, own].T @ users.head[:, own.start :]
        return Strip(strip, beside.astype(self._dtype, copy=False))

    @property
    def _dtype(self) -> DTypeLike:
        """Of a strip: the narrowest that holds a count of all users."""
        return np.int32 if self._counts_ones and self.by_user.shape[0] >= LIMIT else self.by_user.dtype

    def join(self, strips: Iterable[Strip]) -> FloatArray:
        """See ItemStrips: the lower triangle in Fortran order. [I, I]."""
        n_items, start = self.by_user.shape[1], 0
        upper = np.zeros((n_items, n_items), dtype=np.float32)
        beside = np.zeros((n_items, len(self.head)), dtype=np.float32)
        for rest, head in strips:
            upper[start : start + len(rest), start:] = rest
            beside[start : start + len(rest)] = head
            start += len(rest)
        if len(self.head):
            among = np.triu(beside[self.head])
            beside[self.head] = among + np.triu(among, 1).T
            upper[self.head] = beside.T
            upper[:, self.head] = beside
        return upper.T


def _user_blocks(starts: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges of users with about BLOCK_EVENTS events, and few enough for counts of 16 bits. starts: [U + 1]."""
    n_blocks = max(1, round(starts[-1] / BLOCK_EVENTS))
    edges = np.searchsorted(starts, np.arange(n_blocks + 1) * (int(starts[-1]) / n_blocks))
    edges[-1] = len(starts) - 1
    for start, stop in pairwise(edges.tolist()):
        for first in range(start, stop, LIMIT - 1):
            yield first, min(first + LIMIT - 1, stop)


def _is_sparse(matrix: csr_array, cost: float) -> bool:
    """Whether products that take so many times as long as those of BLAS take less time altogether."""
    pairs = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    return pairs * cost < float(matrix.shape[0]) * matrix.shape[1] ** 2


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

    From dense blocks of users by BLAS, or in strips where the matrix is so sparse that they cost less.
    """
    n_users, n_items = matrix.shape
    strips = GramStrips.of(matrix)
    if strips.is_sparse:
        return count_in_strips(strips)
    gram = np.zeros((n_items, n_items), dtype=np.float32, order="F")
    for start in range(0, n_users, BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS].toarray()  # [b, I]
        gram = blas.ssyrk(1.0, block.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def inverse_of(gram: FloatArray, added: FloatArray, model: str) -> FloatArray:
    """(G + diag(added))⁻¹ in the memory of G, of which the lower triangle is given (Fortran order). [I, I].

    Raises MatineeError, which names the model, if it is not positive definite.
    """
    diagonal = np.einsum("ii->i", gram)
    diagonal += added
    factor, failed = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
    if not failed:
        factor, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise MatineeError(f"{model}: the Gram matrix is not positive definite in float32; raise l2")
    return symmetrise(factor)


def symmetrise(lower: FloatArray) -> FloatArray:
    """A symmetric matrix in C order, in place, from its lower triangle in Fortran order."""
    whole: FloatArray = lower.T  # the upper triangle is valid
    for start in range(0, len(whole), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        whole[stop:, start:stop] = whole[start:stop, stop:].T
        square = whole[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
    return whole

"""Counts of pairs of items by strips of items: each cell is counted over all users at once, by one worker."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of

StripT = TypeVar("StripT")
CountsT = TypeVar("CountsT", covariant=True)
STRIPS = 16
"""Strips of the items, at most."""
STRIP_COST = 2.0**22
"""Cost of a strip, at least: some hundredths of a second of work."""
CELL_COST = 5
"""Of a cell that a sparse product fills, in pairs that are multiplied and added: its row is put in order and copied."""
SAMPLED_EVENTS = 2**18
"""Events from which costs are estimated, about."""
BLOCK_CELLS = 2**17
"""Cells of a sparse product that are made at once, unless a single item has more: they stay in the processor's cache,
of which several workers share a part."""


class ItemStrips(Protocol[StripT, CountsT]):
    """The counts of some users, a strip of items at a time. Can be pickled: its arrays go to each worker once.

    The bits of a strip do not depend on which items stand beside each other in it, unless an implementation says so.
    """

    @property
    def costs(self) -> FloatArray:
        """About how many pairs of items, or what takes as long, each item has. [I]."""
        ...

    def __call__(self, items: tuple[int, int]) -> StripT:
        """What is counted for some items. items: the first, and one past the last."""
        ...

    def join(self, strips: Iterable[StripT]) -> CountsT:
        """The counts, from the strips of all items in their order."""
        ...


def strip_ranges(costs: FloatArray) -> list[tuple[int, int]]:
    """Ranges of items that cost about the same: first, and one past the last. costs: [I]."""
    sums = np.cumsum(costs + costs.mean() / 16)  # an item without pairs costs something too
    n_strips = int(np.clip(costs.sum() // STRIP_COST, 1, min(STRIPS, len(costs))))
    limits = np.searchsorted(sums, sums[-1] * np.arange(1, n_strips) / n_strips)
    edges = np.unique([0, *limits, len(costs)])
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def count_in_strips(strips: ItemStrips[Any, CountsT]) -> CountsT:
    """The counts, one strip after the other."""
    return strips.join(map(strips, strip_ranges(strips.costs)))


@dataclass(frozen=True, eq=False)
class ProductStrips:
    """Sparse products of items, in rows of ascending columns. Each cell is a sum over users in their order.

    by_user: the second factor. binary: whether the first is 1 where the second has an entry, or the same. with_own:
    whether an item's product with itself is kept. dtype: of the counts, whatever they are summed in.
    """

    by_user: csr_array  # [U, I]
    binary: bool
    with_own: bool
    dtype: str

    @cached_property
    def by_item(self) -> csr_array:
        """The first factor, which each worker finds by itself. [I, U]."""
        by_item = self.by_user.T.tocsr()
        if self.binary:
            by_item.data = np.ones_like(by_item.data)
        return by_item

    @property
    def costs(self) -> FloatArray:
        """See ItemStrips."""
        pairs = pairs_of(*sampled(self.by_user))
        costs: FloatArray = pairs + CELL_COST * np.minimum(pairs, len(pairs))
        return costs

    def __call__(self, items: tuple[int, int]) -> csr_array:
        """See ItemStrips. [b, I]."""
        rows = self.by_item[slice(*items)]
        pairs = np.concatenate([[0], np.cumsum(np.diff(self.by_user.indptr)[rows.indices])])[rows.indptr]
        blocks = [
            self._block(rows[start:stop], items[0] + start)
            for start, stop in cell_blocks(np.diff(pairs), self.by_user.shape[1])
        ]
        return stacked(blocks, self.by_user.shape[1])

    def _block(self, rows: csr_array, first: int) -> csr_array:
        block = ordered(rows @ self.by_user)
        block.data = block.data.astype(self.dtype, copy=False)
        if self.with_own:
            return block
        own = np.flatnonzero(block.indices == rows_of(block.indptr) + first)
        starts = block.indptr - np.searchsorted(own, block.indptr).astype(block.indptr.dtype)
        return csr_array((np.delete(block.data, own), np.delete(block.indices, own), starts), shape=block.shape)

    def join(self, strips: Iterable[csr_array]) -> csr_array:
        """See ItemStrips. [I, I]."""
        return stacked(list(strips), self.by_user.shape[1])


def cell_blocks(pairs: IntArray, n_columns: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows whose product has at most BLOCK_CELLS cells, or of one row. pairs: of each row."""
    before, start = np.concatenate([[0], np.cumsum(np.minimum(pairs, n_columns))]), 0
    while start < len(pairs):
        stop = max(start + 1, int(np.searchsorted(before, before[start] + BLOCK_CELLS, side="right")) - 1)
        yield start, stop
        start = stop


def narrowed(matrix: csr_array) -> csr_array:
    """A matrix of ones in the narrowest type that holds its products with itself; any other as it is. [U, I].

    A sparse product reads all of it again and again, so the time follows from its bytes.
    """
    if not (matrix.data == 1).all():
        return matrix
    return matrix.astype(np.uint16 if matrix.shape[0] < 2**16 else np.int32)


def sampled(by_user: csr_array) -> tuple[csr_array, float]:
    """Every so many users, enough to tell how costs are distributed, and how many each stands for."""
    step = max(1, by_user.nnz // SAMPLED_EVENTS)
    rows = by_user[::step]
    return rows, by_user.nnz / max(rows.nnz, 1)


def pairs_of(by_user: csr_array, times: float = 1.0) -> FloatArray:
    """Number of items that each item is beside, itself too, summed over its users. [U, I] -> [I].

    times: how many users each stands for.
    """
    lengths = np.diff(by_user.indptr)
    weights = np.repeat(times * lengths, lengths)
    return np.bincount(by_user.indices, weights, by_user.shape[1]).astype(np.float64, copy=False)


def ordered(matrix: csr_array) -> csr_array:
    """The matrix with ascending columns: two transpositions take half as long as sorting rows."""
    return matrix.tocsc().tocsr()


def stacked(blocks: list[csr_array], n_columns: int) -> csr_array:
    """Blocks of rows as one matrix with the smallest index type. Empties `blocks`, to free memory early."""
    counts = np.concatenate([[0], *(np.diff(block.indptr) for block in blocks)])
    starts = np.cumsum(counts)
    narrow = np.int32 if starts[-1] < 2**31 else np.int64
    data = np.empty(starts[-1], dtype=blocks[0].dtype if blocks else np.float32)
    columns = np.empty(starts[-1], dtype=narrow)
    stop = int(starts[-1])
    while blocks:
        block = blocks.pop()
        start = stop - block.nnz
        data[start:stop], columns[start:stop] = block.data, block.indices
        stop = start
    return csr_array((data, columns, starts.astype(narrow)), shape=(len(starts) - 1, n_columns))

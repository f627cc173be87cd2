"""Pairs of events of one history, weighted by how many events lie between them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.item_strips import CELL_COST, count_in_strips, ordered, stacked

BLOCK_EVENTS = 2**21
"""Events of bags that are held at once."""
COST = 2
"""Of an event of a bag, in pairs of a sparse product: it is laid out first."""


@dataclass(frozen=True, slots=True, eq=False)
class EventBags:
    """Events, each with the bag of the events before it in its history, or after it.

    items: [N]; indices: [N], how many events of its history are before each; weights: [N], by both of which a pair is
    multiplied, None where each is 1. Of bags after an event, all are in reversed order.
    """

    items: IntArray
    indices: IntArray
    n_items: int
    weights: FloatArray | None = None

    @classmethod
    def before(cls, histories: Histories, n_items: int, weights: FloatArray | None = None) -> Self:
        """Bags of the events before each event. weights: [N]."""
        indices = np.arange(len(histories.items)) - histories.starts[histories.owners]
        return cls(histories.items.astype(np.int32), indices.astype(np.int32), n_items, weights)

    @classmethod
    def after(cls, histories: Histories, n_items: int) -> Self:
        """Bags of the events after each event."""
        indices = histories.starts[1:][histories.owners] - 1 - np.arange(len(histories.items))
        return cls(histories.items[::-1].astype(np.int32), indices[::-1].astype(np.int32), n_items)

    def costs(self, n_steps: int) -> FloatArray:
        """As of ItemStrips, of the items of the events. [I]."""
        in_bags = np.bincount(self.items, np.minimum(self.indices, n_steps), self.n_items)
        return COST * in_bags.astype(np.float64)

    def rows(self, items: tuple[int, int], discounts: FloatArray) -> Iterator[csr_array]:
        """Sums of the bags of the events of some items, in blocks of consecutive items. [b, I] each.

        discounts: [steps], of the event before an event, of that before it and so on; further away, 0. Each cell is a
        sum over the item's events in their order. A one-hot matrix of events times the matrix of their bags: both
        sparse, and a row of the product stays in the processor's cache.
        """
        first, last = items
        chosen = np.flatnonzero((self.items >= first) & (self.items < last))
        one_hot = csr_array(
            (np.ones(len(chosen), dtype=np.int8), self.items[chosen] - first, np.arange(len(chosen) + 1)),
            shape=(len(chosen), last - first),
        ).tocsc()
        events, starts = chosen[one_hot.indices], one_hot.indptr  # by item, each item's in their order
        most, start = max(BLOCK_EVENTS // len(discounts), 1), 0
        while start < last - first:
            stop = max(start + 1, int(np.searchsorted(starts, starts[start] + most, side="right")) - 1)
            yield self._sums(events[starts[start] : starts[stop]], starts[start : stop + 1] - starts[start], discounts)
            start = stop

    def _sums(self, events: IntArray, starts: IntArray, discounts: FloatArray) -> csr_array:
        """Sums of the bags of consecutive events. starts: [b + 1] -> [b, I]."""
        size = max(BLOCK_EVENTS // len(discounts), 1)  # a single item may have more
        total: csr_array | None = None
        for start in range(0, max(len(events), 1), size):
            bags = self._bags(events[start : start + size], discounts)
            within = np.clip(starts - start, 0, bags.shape[0]).astype(np.int32)
            ones = self._own(events[start : start + size], bags.dtype)
            sums = csr_array(
                (ones, np.arange(bags.shape[0], dtype=np.int32), within), shape=(len(starts) - 1, len(ones))
            )
            total = sums @ bags if total is None else total + sums @ bags
        assert total is not None
        return total

    def _own(self, events: IntArray, dtype: np.dtype) -> FloatArray:
        return np.ones(len(events), dtype) if self.weights is None else self.weights[events].astype(dtype)

    def _bags(self, events: IntArray, discounts: FloatArray) -> csr_array:
        """The bags of E events. [E, I]."""
        n_steps = len(discounts)
        in_history = self.indices[events, None] >= np.arange(n_steps, 0, -1)  # [E, steps], the oldest first
        bags = np.broadcast_to(discounts[::-1], in_history.shape)
        if self.weights is not None:
            bags = bags * _windows_before(self.weights, n_steps)[events]
        starts = np.zeros(len(events) + 1, dtype=np.int32)
        np.cumsum(np.minimum(self.indices[events], n_steps), out=starts[1:])
        items = _windows_before(self.items, n_steps)[events][in_history]
        return csr_array((bags[in_history], items, starts), shape=(len(events), self.n_items))


def _windows_before(column: np.ndarray, n_steps: int) -> np.ndarray:
    """The values of the n_steps events before each event, of whatever history; 0 before the first. [N, steps]."""
    padded = np.concatenate([np.zeros(n_steps, dtype=column.dtype), column])
    windows: np.ndarray = sliding_window_view(padded, n_steps)[:-1]
    return windows


@dataclass(frozen=True, slots=True, eq=False)
class DenseFollowers:
    """Counts of pairs of an event i and a later event j, dense, for several discounts."""

    events: EventBags
    discounts: Sequence[FloatArray]

    @property
    def costs(self) -> FloatArray:
        """See ItemStrips."""
        costs = np.full(self.events.n_items, float(self.events.n_items))  # tables are dense
        for each in self.discounts:
            costs += self.events.costs(len(each))
        return costs

    def __call__(self, items: tuple[int, int]) -> FloatArray:
        """See ItemStrips: of the later events' items. [discounts, b, I] (j, i)."""
        strip = np.empty((len(self.discounts), items[1] - items[0], self.events.n_items), dtype=np.float32)
        for table, discounts in zip(strip, self.discounts, strict=True):
            start = 0
            for block in self.events.rows(items, discounts):
                block.toarray(out=table[start : start + block.shape[0]])
                start += block.shape[0]
        return strip

    def join(self, strips: Iterable[FloatArray]) -> FloatArray:
        """See ItemStrips. [discounts, I, I] (i, j)."""
        n_items, start = self.events.n_items, 0
        found = np.empty((len(self.discounts), n_items, n_items), dtype=np.float32)
        for strip in strips:
            found[:, start : start + strip.shape[1]] = strip
            start += strip.shape[1]
        return found.transpose(0, 2, 1)


@dataclass(frozen=True, slots=True, eq=False)
class SparseFollowers:
    """Counts of pairs of an event j and a later event i, sparse, each row's columns ascending."""

    events: EventBags
    discounts: FloatArray

    @property
    def costs(self) -> FloatArray:
        """See ItemStrips."""
        in_bags = self.events.costs(len(self.discounts))
        costs: FloatArray = in_bags + CELL_COST * np.minimum(in_bags, self.events.n_items)
        return costs

    def __call__(self, items: tuple[int, int]) -> csr_array:
        """See ItemStrips: of the earlier events' items. [b, I]."""
        return stacked([ordered(block) for block in self.events.rows(items, self.discounts)], self.events.n_items)

    def join(self, strips: Iterable[csr_array]) -> csr_array:
        """See ItemStrips. [I, I] (j, i)."""
        return stacked(list(strips), self.events.n_items)


def count_followers(
    histories: Histories, n_items: int, discounts: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Pairs of an event i and an event j, d events later, each discounts[d - 1]; further apart, 0. [I, I] (i, j).

    weights: [N], of events, by both of which a pair is multiplied.
    """
    events = EventBags.before(histories, n_items, weights)
    counts: FloatArray = count_in_strips(DenseFollowers(events, [discounts.astype(np.float32)]))[0]
    return counts

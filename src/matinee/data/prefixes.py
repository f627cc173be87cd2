"""Prefixes: many overlapping histories within the same events, materialised one block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matinee.arrays import IntArray
from matinee.dataset import Events
from matinee.histories import Histories, last_of_each

BLOCK_EVENTS = 2**21
"""Maximum number of events in a block: 32 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """P histories as slices of shared events: history p is events[starts[p]:stops[p]], all of one user.

    starts, stops: [P]; repeats: whether a user may have an item twice, of which only the last event counts.
    """

    events: Events
    starts: IntArray
    stops: IntArray
    repeats: bool = True

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> IntArray:
        """Number of events in each history. [P]."""
        return self.stops - self.starts

    @property
    def user_rows(self) -> IntArray:
        """The user row of each history. [P]."""
        return self.events.user_rows[np.minimum(self.starts, len(self.events) - 1)]

    def block(self, start: int, stop: int) -> Histories:
        """Histories start..stop-1, reduced to the last event of each item as when served."""
        firsts = self.starts[start:stop]
        starts = np.zeros(len(firsts) + 1, dtype=np.int64)
        np.cumsum(self.lengths[start:stop], out=starts[1:])
        indices = np.arange(starts[-1]) + np.repeat(firsts - starts[:-1], np.diff(starts))
        events = self.events.take(indices)
        histories = Histories(starts, events.item_rows, events.values, events.times, self.user_rows[start:stop])
        return last_of_each(histories) if self.repeats else histories

    def blocks(self, n_events: int = BLOCK_EVENTS) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) of blocks of at most n_events events; a longer history gets a block of its own."""
        ends = np.cumsum(self.lengths)
        start, done = 0, 0
        while start < len(self):
            stop = max(start + 1, int(np.searchsorted(ends, done + n_events, side="right")))
            yield start, stop
            start, done = stop, int(ends[stop - 1])

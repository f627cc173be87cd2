"""Prefixes: many histories that are stretches of the same events, written out a block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matinee.arrays import IntArray
from matinee.dataset import Events
from matinee.histories import Histories, last_of_each

BLOCK_EVENTS = 2**21
"""Events of prefixes written out at once: 32 MB of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """P histories: the p-th is events[firsts[p]:lasts[p]], of one user. The events are ordered; they are not copied.

    firsts, lasts: [P]; repeats: whether a user may have an item twice, of which the last event counts.
    """

    events: Events
    firsts: IntArray
    lasts: IntArray
    repeats: bool = True

    def __len__(self) -> int:
        return len(self.firsts)

    @property
    def lengths(self) -> IntArray:
        """Events of each. [P]."""
        return self.lasts - self.firsts

    @property
    def user_rows(self) -> IntArray:
        """[P]."""
        return self.events.user_rows[np.minimum(self.firsts, len(self.events) - 1)]

    def block(self, start: int, stop: int) -> Histories:
        """Histories start..stop-1, as they would be served: the last event of each item."""
        firsts = self.firsts[start:stop]
        starts = np.zeros(len(firsts) + 1, dtype=np.int64)
        np.cumsum(self.lengths[start:stop], out=starts[1:])
        places = np.arange(starts[-1]) + np.repeat(firsts - starts[:-1], np.diff(starts))
        chosen = self.events.take(places)
        written = Histories(starts, chosen.item_rows, chosen.values, chosen.times, self.user_rows[start:stop])
        return last_of_each(written) if self.repeats else written

    def blocks(self, n_events: int = BLOCK_EVENTS) -> Iterator[tuple[int, int]]:
        """(start, stop) of blocks that hold at most so many events, or one history where it alone holds more."""
        ends = np.cumsum(self.lengths)
        start, done = 0, 0
        while start < len(self):
            stop = max(start + 1, int(np.searchsorted(ends, done + n_events, side="right")))
            yield start, stop
            start, done = stop, int(ends[stop - 1])

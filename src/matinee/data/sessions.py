"""Sessions: stretches of one user's history without a long pause."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, IntArray, rows_of
from matinee.config import SplitConfig
from matinee.data.moments import duration, span
from matinee.dataset import Dataset, Events
from matinee.errors import DataError

HOUR = 3600
"""Seconds."""
_GAPS = (1800, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR)
_LENGTHS = (2, 3, 5)
"""What is proposed where too little is left."""


def session_starts(events: Events, gap: int = HOUR) -> BoolArray:
    """Which events begin a session: a user's first, and each one more than `gap` seconds after the one before. [N]."""
    starts = np.ones(len(events), dtype=bool)
    another = events.user_rows[1:] != events.user_rows[:-1]
    starts[1:] = another | (np.diff(events.times) > gap)
    return starts


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """All S sessions of a log, in the order of its events: by user, then time.

    starts: [S + 1], where each begins among the events; kept: [S], whether it has at least `min_length` events;
    user_rows: [S]; begun, ended: [S], the moments (UTC seconds) of the first and last event; gap: seconds.
    """

    starts: IntArray
    kept: BoolArray
    user_rows: IntArray
    begun: IntArray
    ended: IntArray
    gap: int
    min_length: int

    @classmethod
    def of(cls, events: Events, gap: int = HOUR, min_length: int = 1) -> "Sessions":
        """The sessions of ordered events."""
        firsts = np.flatnonzero(session_starts(events, gap))
        starts = np.append(firsts, len(events))
        kept = np.diff(starts) >= min_length
        times = events.times
        return cls(starts, kept, events.user_rows[firsts], times[firsts], times[starts[1:] - 1], gap, min_length)

    def __len__(self) -> int:
        return len(self.user_rows)

    @property
    def lengths(self) -> IntArray:
        """Events of each. [S]."""
        return np.diff(self.starts)

    @property
    def durations(self) -> IntArray:
        """Seconds from the first event to the last of each. [S]."""
        return self.ended - self.begun

    @property
    def of_events(self) -> IntArray:
        """The session of each event. [N]."""
        return rows_of(self.starts)


def find_sessions(data: Dataset, config: SplitConfig) -> Sessions:
    """The sessions of a log as the config cuts them.

    Raises DataError for a log without times, a gap that is longer than the log, and where no session is long enough;
    MatineeError for a gap that is no duration.
    """
    gap = duration(config.gap, "gap")
    if not data.timed:
        raise DataError(f"{data.name} has no times, so there are no pauses and no sessions; use --split leave-last")
    times = data.events.times
    whole = int(times.max() - times.min())
    if gap > whole:
        raise DataError(
            f"gap = {config.gap} is longer than all of {data.name} ({span(whole)}), so no session would ever end; "
            "choose a shorter one such as 1h, or --split leave-last"
        )
    found = Sessions.of(data.events, gap, config.min_length)
    if not found.kept.any():
        raise DataError(
            f"gap = {config.gap} and min_length = {config.min_length} leave no session of {data.name}: the longest of "
            f"{len(found):,} has {_events(int(found.lengths.max()))}; {_proposal(data.events, config.min_length)}"
        )
    return found


def _proposal(events: Events, min_length: int) -> str:
    """How many sessions other gaps and lengths would leave."""
    left = []
    for gap in _GAPS:
        lengths = Sessions.of(events, gap).lengths
        for least in sorted({*_LENGTHS, min_length}):
            count = int((lengths >= least).sum())
            if count:
                left.append(f"{count:,} with gap {_short(gap)} and min_length {least}")
    return f"there would be {', '.join(left)}" if left else "no gap of 30m to 7d leaves any of 2 events or more"


def _short(gap: int) -> str:
    for unit, seconds in (("d", 24 * HOUR), ("h", HOUR), ("m", 60)):
        if gap % seconds == 0:
            return f"{gap // seconds}{unit}"
    return f"{gap}s"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"

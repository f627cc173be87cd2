"""Sessions: a user's history cut at every long pause."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, IntArray, blocks, rows_of
from matinee.config import SplitConfig
from matinee.dataset import Dataset, Events
from matinee.errors import DataError
from matinee.times import format_duration, parse_duration

HOUR = 3600
"""Seconds."""
_GAPS = (1800, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR)
_LENGTHS = (2, 3, 5)
"""Gaps and lengths that an error message proposes."""


def session_starts(events: Events, gap: int = HOUR) -> BoolArray:
    """Whether each event starts a session: a user's first, or more than `gap` seconds after the previous one. [N]."""
    starts = np.ones(len(events), dtype=bool)
    for block in blocks(len(events) - 1):
        rows, times = (column[block.start : block.stop + 1] for column in (events.user_rows, events.times))
        starts[1:][block] = (rows[1:] != rows[:-1]) | (np.diff(times) > gap)
    return starts


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """The S sessions of a log, in the order of its events: by user, then time.

    starts: [S + 1], index of each session's first event; kept: [S], whether it has at least `min_length` events;
    user_rows: [S]; start_times, end_times: [S], UTC seconds of the first and last event; gap: seconds.
    """

    starts: IntArray
    kept: BoolArray
    user_rows: IntArray
    start_times: IntArray
    end_times: IntArray
    gap: int
    min_length: int

    @classmethod
    def of(cls, events: Events, gap: int = HOUR, min_length: int = 1) -> "Sessions":
        """Cut ordered events into sessions."""
        firsts = np.flatnonzero(session_starts(events, gap))
        starts = np.append(firsts, len(events))
        kept = np.diff(starts) >= min_length
        times = events.times
        return cls(starts, kept, events.user_rows[firsts], times[firsts], times[starts[1:] - 1], gap, min_length)

    def __len__(self) -> int:
        return len(self.user_rows)

    @property
    def lengths(self) -> IntArray:
        """Number of events in each session. [S]."""
        return np.diff(self.starts)

    @property
    def durations(self) -> IntArray:
        """Seconds from the first to the last event of each session. [S]."""
        return self.end_times - self.start_times

    @property
    def of_events(self) -> IntArray:
        """The session index of each event. [N]."""
        return rows_of(self.starts)


def find_sessions(data: Dataset, config: SplitConfig) -> Sessions:
    """Cut a log into sessions by the config's gap and min_length.

    Raises DataError if the log has no times, the gap is longer than the log, or no session is long enough;
    MatineeError if the gap is not a duration.
    """
    gap = parse_duration(config.gap, "gap")
    if not data.timed:
        raise DataError(f"{data.name} has no times, so it has no sessions; use --split leave-last")
    times = data.events.times
    whole = int(times.max() - times.min())
    if gap > whole:
        raise DataError(
            f"gap = {config.gap} is longer than the whole of {data.name} ({format_duration(whole)}), "
            "so no session would end; choose a shorter one such as 1h, or --split leave-last"
        )
    found = Sessions.of(data.events, gap, config.min_length)
    if not found.kept.any():
        raise DataError(
            f"gap = {config.gap} and min_length = {config.min_length} leave no session of {data.name}: the longest of "
            f"{len(found):,} has {_events(int(found.lengths.max()))}; {_proposal(data.events, config.min_length)}"
        )
    return found


def _proposal(events: Events, min_length: int) -> str:
    """How many sessions other gaps and lengths would give."""
    alternatives = []
    for gap in _GAPS:
        lengths = Sessions.of(events, gap).lengths
        for least in sorted({*_LENGTHS, min_length}):
            count = int((lengths >= least).sum())
            if count:
                alternatives.append(f"{count:,} with gap {_short(gap)} and min_length {least}")
    if not alternatives:
        return "no gap from 30m to 7d gives a session of 2 or more events"
    return f"there would be {', '.join(alternatives)}"


def _short(gap: int) -> str:
    for unit, seconds in (("d", 24 * HOUR), ("h", HOUR), ("m", 60)):
        if gap % seconds == 0:
            return f"{gap // seconds}{unit}"
    return f"{gap}s"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"

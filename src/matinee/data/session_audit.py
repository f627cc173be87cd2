"""The audit of a log's sessions: their number, lengths, durations, users and dates."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from matinee.arrays import IntArray
from matinee.config import SplitConfig
from matinee.data.sessions import find_sessions
from matinee.data.statistics import Summary, count_of
from matinee.dataset import Dataset
from matinee.shown import Plotted
from matinee.times import format_duration, format_time

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SessionCurves:
    """Data for the plots of the S kept sessions.

    lengths, durations: [S], events and seconds; per_user: [U], sessions of each user with any; days: [M + 1], UTC
    seconds at which each day begins; per_day: [M], sessions that begin on each day.
    """

    lengths: IntArray
    durations: IntArray
    per_user: IntArray
    days: IntArray
    per_day: IntArray


@dataclass(frozen=True, slots=True)
class SessionAudit(Plotted):
    """Statistics of the sessions of a log.

    gap_seconds: a longer pause ends a session; sessions, events, users: of the kept sessions, with at least
    `min_length` events; short_sessions, short_events: dropped; users_without: users without a kept session; lengths:
    events; durations: seconds from first to last event; per_user: sessions of each user with any; per_day: sessions
    that begin on each UTC day from the first to the last; notes: what reading and filtering changed.
    """

    name: str
    gap_seconds: int
    min_length: int
    sessions: int
    events: int
    users: int
    short_sessions: int
    short_events: int
    users_without: int
    first: str
    last: str
    lengths: Summary
    durations: Summary
    per_user: Summary
    per_day: Summary
    notes: tuple[str, ...]
    curves: SessionCurves = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All statistics, without the curves, ready for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "curves"}
        summaries = {name: asdict(value) for name, value in plain.items() if isinstance(value, Summary)}
        return plain | summaries | {"notes": list(self.notes)}

    def rows(self) -> list[tuple[str, str]]:
        """Table rows: label and value."""
        return [
            ("longest pause within a session", format_duration(self.gap_seconds)),
            (f"sessions of {self.min_length} or more events", f"{self.sessions:,}, {self.events:,} events"),
            ("shorter sessions, dropped", f"{self.short_sessions:,}, {self.short_events:,} events"),
            ("users with a session", count_of(self.users, self.users + self.users_without)),
            ("session start", f"{self.first} to {self.last}"),
            ("events per session", str(self.lengths)),
            ("seconds per session", str(self.durations)),
            ("sessions per user", str(self.per_user)),
            ("sessions per day", str(self.per_day)),
        ]


def audit_sessions(data: Dataset, config: SplitConfig) -> SessionAudit:
    """Audit a log's sessions, cut by the config's gap and min_length. Raises as `find_sessions`."""
    found = find_sessions(data, config)
    kept = found.kept
    lengths, start_times = found.lengths[kept], found.start_times[kept]
    n_sessions = np.bincount(found.user_rows[kept], minlength=len(data.users))
    day = start_times // _DAY
    per_day = np.bincount(day - day.min())
    curves = SessionCurves(
        lengths=lengths,
        durations=found.durations[kept],
        per_user=n_sessions[n_sessions > 0],
        days=(day.min() + np.arange(len(per_day) + 1)) * _DAY,
        per_day=per_day,
    )
    return SessionAudit(
        name=data.name,
        gap_seconds=found.gap,
        min_length=found.min_length,
        sessions=len(lengths),
        events=int(lengths.sum()),
        users=len(curves.per_user),
        short_sessions=int((~kept).sum()),
        short_events=int(found.lengths[~kept].sum()),
        users_without=len(data.users) - len(curves.per_user),
        first=format_time(int(start_times.min())),
        last=format_time(int(start_times.max())),
        lengths=Summary.of(lengths),
        durations=Summary.of(curves.durations),
        per_user=Summary.of(curves.per_user),
        per_day=Summary.of(per_day),
        notes=data.notes,
        curves=curves,
    )

"""The audit of a log's sessions: how many a gap makes of it, how long they are, who has them and when."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from matinee.arrays import IntArray
from matinee.config import SplitConfig
from matinee.data.moments import iso, span
from matinee.data.sessions import find_sessions
from matinee.data.statistics import Spread, counted
from matinee.dataset import Dataset

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SessionCurves:
    """What the figure draws of the S kept sessions.

    lengths, durations: [S], events and seconds; per_user: [U], of the users who have any; days: [M + 1], UTC seconds
    where each day begins; per_day: [M].
    """

    lengths: IntArray
    durations: IntArray
    per_user: IntArray
    days: IntArray
    per_day: IntArray


@dataclass(frozen=True, slots=True)
class SessionAudit:
    """Plain numbers about the sessions of a log.

    gap_seconds: a longer pause ends a session; sessions, events, users: of those kept, with at least `min_length`
    events; short_sessions, short_events: left out; users_without: users with none kept. lengths: events;
    durations: seconds from the first event to the last; per_user: sessions of each user who has any; per_day:
    sessions that begin on each UTC day from the first to the last. notes: what reading and filtering changed.
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
    lengths: Spread
    durations: Spread
    per_user: Spread
    per_day: Spread
    notes: tuple[str, ...]
    curves: SessionCurves = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All numbers, without the curves, as plain Python."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "curves"}
        spreads = {name: asdict(value) for name, value in plain.items() if isinstance(value, Spread)}
        return plain | spreads | {"notes": list(self.notes)}

    def rows(self) -> list[tuple[str, str]]:
        """Label and value, for a table."""
        return [
            ("a session ends with a pause over", span(self.gap_seconds)),
            (f"sessions of {self.min_length} events or more", f"{self.sessions:,}, {self.events:,} events"),
            ("shorter ones, left out", f"{self.short_sessions:,}, {self.short_events:,} events"),
            ("users with a session", counted(self.users, self.users + self.users_without)),
            ("they begin", f"{self.first} to {self.last}"),
            ("events in a session", str(self.lengths)),
            ("seconds of a session", str(self.durations)),
            ("sessions of a user", str(self.per_user)),
            ("sessions of a day", str(self.per_day)),
        ]


def audit_sessions(data: Dataset, config: SplitConfig) -> SessionAudit:
    """Audit the sessions that the config's gap and min_length make of a log. Raises as `find_sessions`."""
    found = find_sessions(data, config)
    kept = found.kept
    lengths, begun = found.lengths[kept], found.begun[kept]
    of_users = np.bincount(found.user_rows[kept], minlength=len(data.users))
    day = begun // _DAY
    per_day = np.bincount(day - day.min())
    curves = SessionCurves(
        lengths=lengths,
        durations=found.durations[kept],
        per_user=of_users[of_users > 0],
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
        first=iso(int(begun.min())),
        last=iso(int(begun.max())),
        lengths=Spread.of(lengths),
        durations=Spread.of(curves.durations),
        per_user=Spread.of(curves.per_user),
        per_day=Spread.of(per_day),
        notes=data.notes,
        curves=curves,
    )

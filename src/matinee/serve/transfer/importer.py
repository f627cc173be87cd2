"""Turns rows of another site's table into events, with an outcome for each row."""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from hashlib import sha256
from typing import Any

from matinee.catalogue import Catalogue
from matinee.histories import Instant, UserId
from matinee.serve.transfer.match import MovieMatcher
from matinee.serve.transfer.read import ImportRow
from matinee.store.protocols import Kind, LiveEvent
from matinee.vocab import Id, Vocab

IN_THE_LOG = ("taken", "known", "twice", "rated")
"""Outcomes of rows that are in the log: written now; there already; twice in the file; watched, and rated as well."""
EVENTS_A_MOVIE = 5
"""Events with one movie that an import may write: every list reads the whole history."""
LEAST, MOST = 0.5, 5.0
CLOCK_SLACK = 86_400
"""Seconds by which a row may be in the future: its date may be of another time zone."""
_RATING = re.compile(r"\d{1,2}(?:[.,]\d{1,6})?", re.ASCII)
_SECONDS = re.compile(r"\d{1,13}", re.ASCII)
_MILLISECONDS_FROM = 10**11


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a row. reason: the key of a text; item_row: its movie, None if none was found."""

    row: ImportRow
    reason: str
    item_row: int | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the event of the row is in the log after the import."""
        return self.reason in IN_THE_LOG


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """An import before it is written: the new events, and the outcome of each row in the order of the file."""

    events: list[LiveEvent]
    outcomes: list[Outcome]

    def counts(self) -> Counter[str]:
        """Rows by reason."""
        return Counter(outcome.reason for outcome in self.outcomes)


@dataclass(slots=True)
class _Known:
    """What the outcome of a row depends on: the log, and the rows before it. Items are ids as text."""

    event_ids: set[str] = field(default_factory=set)
    rated: set[str] = field(default_factory=set)
    watched: dict[str, Instant] = field(default_factory=dict)
    new_ids: set[str] = field(default_factory=set)
    new_events: Counter[str] = field(default_factory=Counter)

    def add(self, event: Mapping[str, Any]) -> None:
        """Add an event of the log."""
        item, at = event["item_id"], event["at"]
        self.event_ids |= {str(event["event_id"]), _event_id(item, event["kind"], event["value"], at)}
        if event["kind"] == "rating":
            self.rated.add(item)
        elif event["kind"] == "watched":
            self.watched[item] = max(at, self.watched.get(item, at))


class Importer:
    """Turns rows into events of the site's movies."""

    def __init__(self, items: Vocab, catalogue: Catalogue) -> None:
        self._items = items
        self._matcher = MovieMatcher(items, catalogue)
        self.lock = threading.Lock()  # one import at a time leaves processor time for pages

    def plan(
        self, user_id: UserId, rows: Sequence[ImportRow], stored: Iterable[Mapping[str, Any]], now: Instant
    ) -> ImportPlan:
        """The import of rows for a user. stored: their events in the log, from `AccountBook.everything`."""
        known = _Known()
        for event in stored:
            known.add(event)
        found = self._matcher.find(rows)
        for row, item_row in zip(rows, found, strict=True):
            if isinstance(item_row, int) and row.kind != "watched" and _RATING.fullmatch(row.rating):
                known.rated.add(str(self._items.id(item_row)))
        plan = ImportPlan([], [])
        for row, item_row in zip(rows, found, strict=True):
            if isinstance(item_row, str):
                plan.outcomes.append(Outcome(row, item_row if _is_history(row) else "no_event"))
                continue
            made = _event(user_id, self._items.id(item_row), row, now)
            reason = made if isinstance(made, str) else _outcome(made, known)
            if isinstance(made, LiveEvent) and reason == "taken":
                plan.events.append(_after_watched(made, known))
            plan.outcomes.append(Outcome(row, reason, item_row))
        return plan


def _event(user_id: UserId, item_id: Id, row: ImportRow, now: Instant) -> LiveEvent | str:
    """The event of a row, or why it has none: no_event, rating, date (keys of texts)."""
    if not _is_history(row):
        return "no_event"
    kind: Kind = "rating" if row.rating and row.kind != "watched" else "watched"
    value = _rating(row.rating) if kind == "rating" else 1.0
    if value is None or (row.kind == "rating" and kind == "watched"):
        return "rating"
    at = _instant(row.at) if row.at else now
    if at is None or not 0 <= at <= now + CLOCK_SLACK:
        return "date"
    return LiveEvent(
        user_id, item_id, kind, value, min(at, now), _event_id(item_id, kind, value, at if row.at else None)
    )


def _is_history(row: ImportRow) -> bool:
    """Whether a row is a rating or a watch; only this site's download has other rows."""
    return row.record in ("", "event") and row.kind in ("", "rating", "watched")


def _event_id(item_id: Id, kind: str, value: float, at: Instant | None) -> str:
    """The same id for the same row content, so that sending it twice writes it once."""
    return f"import-{sha256(f'{item_id}|{kind}|{value:g}|{at}'.encode()).hexdigest()[:40]}"


def _outcome(event: LiveEvent, known: _Known) -> str:
    """Whether an event is new (taken), or why it is not written."""
    item, event_id = str(event.item_id), str(event.event_id)
    if event_id in known.event_ids:
        return "known"
    if event_id in known.new_ids:
        return "twice"
    if event.kind == "watched" and item in known.rated:
        return "rated"  # as the later event it would replace the rating
    if known.new_events[item] == EVENTS_A_MOVIE:
        return "many"
    known.new_ids.add(event_id)
    known.new_events[item] += 1
    return "taken"


def _after_watched(event: LiveEvent, known: _Known) -> LiveEvent:
    """The event, moved to the time of a later watch of its movie: the last event counts, and ratings should."""
    watched = known.watched.get(str(event.item_id), event.at)
    return replace(event, at=watched) if watched > event.at else event


def _rating(text: str) -> float | None:
    value = float(text.replace(",", ".")) if _RATING.fullmatch(text) else 0.0
    return value if LEAST <= value <= MOST else None


def _instant(text: str) -> Instant | None:
    """UTC seconds of a time stamp or an ISO date; a day without a time is noon, the same day in most time zones."""
    if _SECONDS.fullmatch(text):
        seconds = int(text)
        return seconds // 1000 if seconds >= _MILLISECONDS_FROM else seconds
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= len("2025-06-15"):
            moment = datetime.combine(moment, time(12))
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        return None

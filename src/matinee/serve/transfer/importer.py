"""What a visitor watched elsewhere becomes events here, with a word on what became of each row."""

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
from matinee.serve.transfer.match import MovieFinder
from matinee.serve.transfer.read import Row
from matinee.store.protocols import Kind, LiveEvent
from matinee.vocab import Id, Vocab

IN_THE_LOG = ("taken", "known", "twice", "rated")
"""Outcomes of a row that is not lost: written now; there already; twice in the file; watched, and rated as well."""
EVENTS_A_MOVIE = 5
"""Events with one movie that one import writes at most: a history is read whole for each list."""
LEAST, MOST = 0.5, 5.0
CLOCK_SLACK = 86_400
"""Seconds by which a row may lie ahead: its date is of another time zone."""
_RATING = re.compile(r"\d{1,2}(?:[.,]\d{1,6})?", re.ASCII)
_SECONDS = re.compile(r"\d{1,13}", re.ASCII)
_MILLISECONDS_FROM = 10**11


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row. reason: a key of the texts; item_row: the movie it was, None where none was found."""

    row: Row
    reason: str
    item_row: int | None = None

    @property
    def is_kept(self) -> bool:
        """Whether what the row says is in the log now."""
        return self.reason in IN_THE_LOG


@dataclass(frozen=True, slots=True)
class Plan:
    """An import before it is written: the new events, and the outcome of each row in the order of the file."""

    events: list[LiveEvent]
    outcomes: list[Outcome]

    def counts(self) -> Counter[str]:
        """Rows by reason."""
        return Counter(outcome.reason for outcome in self.outcomes)


@dataclass(slots=True)
class _Log:
    """What a further row depends on: what the log holds, and what the rows before it brought. Items by id as text."""

    known: set[str] = field(default_factory=set)
    rated: set[str] = field(default_factory=set)
    watched: dict[str, Instant] = field(default_factory=dict)
    new_ids: set[str] = field(default_factory=set)
    new_events: Counter[str] = field(default_factory=Counter)

    def add(self, event: Mapping[str, Any]) -> None:
        """An event that is there already."""
        item, at = event["item_id"], event["at"]
        self.known |= {str(event["event_id"]), _name_of(item, event["kind"], event["value"], at)}
        if event["kind"] == "rating":
            self.rated.add(item)
        elif event["kind"] == "watched":
            self.watched[item] = max(at, self.watched.get(item, at))


class Importer:
    """Turns rows into events of the site's movies."""

    def __init__(self, items: Vocab, catalogue: Catalogue) -> None:
        self._items = items
        self._finder = MovieFinder(items, catalogue)
        self.turn = threading.Lock()  # one import at a time leaves the rest of the processor to the pages

    def plan(self, user_id: UserId, rows: Sequence[Row], kept: Iterable[Mapping[str, Any]], now: Instant) -> Plan:
        """What rows mean for a user of whom `kept` is in the log, as `AccountBook.everything` gives it."""
        log = _Log()
        for event in kept:
            log.add(event)
        found = self._finder.find(rows)
        for row, item_row in zip(rows, found, strict=True):
            if isinstance(item_row, int) and row.kind != "watched" and _RATING.fullmatch(row.rating):
                log.rated.add(str(self._items.id(item_row)))
        plan = Plan([], [])
        for row, item_row in zip(rows, found, strict=True):
            if isinstance(item_row, str):
                plan.outcomes.append(Outcome(row, item_row if _speaks_of_watching(row) else "no_event"))
                continue
            made = _event(user_id, self._items.id(item_row), row, now)
            reason = made if isinstance(made, str) else _judged(made, log)
            if isinstance(made, LiveEvent) and reason == "taken":
                plan.events.append(_after_watched(made, log))
            plan.outcomes.append(Outcome(row, reason, item_row))
        return plan


def _event(user_id: UserId, item_id: Id, row: Row, now: Instant) -> LiveEvent | str:
    """The event that a row means, or why it means none: no_event, rating, date (keys of texts)."""
    if not _speaks_of_watching(row):
        return "no_event"
    kind: Kind = "rating" if row.rating and row.kind != "watched" else "watched"
    value = _rating(row.rating) if kind == "rating" else 1.0
    if value is None or (row.kind == "rating" and kind == "watched"):
        return "rating"
    at = _instant(row.at) if row.at else now
    if at is None or not 0 <= at <= now + CLOCK_SLACK:
        return "date"
    return LiveEvent(
        user_id, item_id, kind, value, min(at, now), _name_of(item_id, kind, value, at if row.at else None)
    )


def _speaks_of_watching(row: Row) -> bool:
    """Whether a row of our own download is an event that is history; any other table's rows are."""
    return row.record in ("", "event") and row.kind in ("", "rating", "watched")


def _name_of(item_id: Id, kind: str, value: float, at: Instant | None) -> str:
    """The event id of what a row says; the same for the same, whenever it is sent."""
    return f"import-{sha256(f'{item_id}|{kind}|{value:g}|{at}'.encode()).hexdigest()[:40]}"


def _judged(event: LiveEvent, log: _Log) -> str:
    """Whether an event is new (taken), or else why it is not written."""
    item, name = str(event.item_id), str(event.event_id)
    if name in log.known:
        return "known"
    if name in log.new_ids:
        return "twice"
    if event.kind == "watched" and item in log.rated:
        return "rated"  # as the later event it would hide the rating
    if log.new_events[item] == EVENTS_A_MOVIE:
        return "many"
    log.new_ids.add(name)
    log.new_events[item] += 1
    return "taken"


def _after_watched(event: LiveEvent, log: _Log) -> LiveEvent:
    """A rating moved up to the moment at which its movie was marked as watched, so that it is what counts."""
    watched = log.watched.get(str(event.item_id), event.at)
    return replace(event, at=watched) if watched > event.at else event


def _rating(text: str) -> float | None:
    value = float(text.replace(",", ".")) if _RATING.fullmatch(text) else 0.0
    return value if LEAST <= value <= MOST else None


def _instant(text: str) -> Instant | None:
    """UTC seconds of a time stamp or an ISO date; a day without a time is its noon, the same day in most places."""
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

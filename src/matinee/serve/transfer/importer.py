"""Turns the rows of an upload into events, with an outcome for each row."""

import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple

from matinee.arrays import IntArray
from matinee.catalogue import Catalogue
from matinee.histories import Instant, UserId
from matinee.serve.transfer.match import Match, MovieMatcher
from matinee.serve.transfer.rows import ImportRow
from matinee.serve.wording import MOVIES, Wording
from matinee.store.protocols import FLAGS, Kind, LiveEvent
from matinee.vocab import UNKNOWN, Id, Vocab

IN_THE_LOG = ("taken", "saved", "known", "twice", "rated")
"""Outcomes of rows that are in the log: written now, or for later; there already; twice in the upload; watched, and
rated as well."""
EVENTS_A_MOVIE = 5
"""Events with one movie that an import may write: every list reads the whole history."""
CLOCK_SLACK = 86_400
"""Seconds by which a row may be in the future: its date may be of another time zone."""


class Outcome(NamedTuple):
    """The outcome of a row. reason: the key of a text; item_row: its movie, None if none was found.

    is_better_known: whether another movie has the same title and year, and this one was chosen as the better known.
    """

    row: ImportRow
    reason: str
    item_row: int | None = None
    is_better_known: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the event of the row is in the log after the import."""
        return self.reason in IN_THE_LOG


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """An import before it is written.

    events: the new ones; known: ids of events that were there before; outcomes: of each row, in the order of the rows.
    """

    import_id: str
    events: list[LiveEvent]
    known: list[str]
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
        elif event["kind"] not in ("click", *FLAGS):
            self.watched[item] = max(at, self.watched.get(item, at))


class Importer:
    """Turns rows into events of the site's items. popularity: [I], events of each item; links: as in MovieMatcher.

    wording: decides the kind of the events of rows without a rating, and whether ratings count or are such events too.
    """

    def __init__(
        self,
        items: Vocab,
        catalogue: Catalogue,
        popularity: IntArray,
        links: Mapping[str, int] | None = None,
        wording: Wording = MOVIES,
    ) -> None:
        self._items, self._wording = items, wording
        self._matcher = MovieMatcher(items, catalogue, popularity, links)
        self.lock = threading.Lock()  # one import at a time leaves processor time for pages

    def plan(
        self, user_id: UserId, rows: Sequence[ImportRow], stored: Iterable[Mapping[str, Any]], now: Instant
    ) -> ImportPlan:
        """The import of rows for a user. stored: their events in the log, from `AccountBook.everything`."""
        known = _Known()
        for event in stored:
            known.add(event)
        matches, ids = self._matcher.find(rows), self._items.ids.tolist()
        known.rated.update(
            str(ids[match.item_row])
            for row, match in zip(rows, matches, strict=True)
            if match.item_row != UNKNOWN and row.stars is not None and _instant(row, now) is not None
        )
        plan = ImportPlan(secrets.token_urlsafe(12), [], [], [])
        for row, match in zip(rows, matches, strict=True):
            excluded = "" if row.excluded == "other_kind" and not self._wording.is_movies else row.excluded
            is_later, excluded = excluded == "later", "" if excluded == "later" else excluded
            if excluded or match.item_row == UNKNOWN:
                item_row = None if match.item_row == UNKNOWN else match.item_row
                plan.outcomes.append(Outcome(row, excluded or match.reason, item_row))
            else:
                kind = "rating" if row.kind == "rating" and self._wording.has_ratings else self._wording.kind
                kind = "saved" if is_later else kind
                made = _event(user_id, ids[match.item_row], row, kind, now)
                plan.outcomes.append(_outcome(row, match, made, known, plan))
        return plan


def _outcome(row: ImportRow, match: Match, event: LiveEvent | str, known: _Known, plan: ImportPlan) -> Outcome:
    """The outcome of a row whose movie is known; its event, if it has one, goes to the plan."""
    if isinstance(event, str):
        return Outcome(row, event, match.item_row)
    reason = _reason(event, known)
    if reason in ("taken", "saved"):
        plan.events.append(event if event.kind == "saved" else _after_watched(event, known))
    elif reason == "known":
        plan.known.append(str(event.event_id))
    return Outcome(row, reason, match.item_row, match.is_better_known)


def _event(user_id: UserId, item_id: Id, row: ImportRow, kind: Kind, now: Instant) -> LiveEvent | str:
    """The event of a row, or why it has none: rating, date (keys of texts)."""
    value = row.stars if kind == "rating" else 1.0
    if value is None:
        return "rating"
    at = _instant(row, now)
    if at is None:
        return "date"
    event_id = _event_id(item_id, kind, value, at if row.date else None)
    return LiveEvent(user_id, item_id, kind, value, min(at, now), event_id, is_stamped=not row.date)


def _instant(row: ImportRow, now: Instant) -> Instant | None:
    """When it was: now, if the row does not say; None if its date cannot be read or is in the future."""
    at = row.at if row.date else now
    return at if at is not None and 0 <= at <= now + CLOCK_SLACK else None


def _event_id(item_id: Id, kind: str, value: float, at: Instant | None) -> str:
    """The same id for the same row content, so that sending it twice writes it once."""
    return f"import-{sha256(f'{item_id}|{kind}|{value:g}|{at}'.encode()).hexdigest()[:40]}"


def _reason(event: LiveEvent, known: _Known) -> str:
    """Whether an event is new (taken, saved), or why it is not written."""
    item, event_id = str(event.item_id), str(event.event_id)
    if event_id in known.event_ids:
        return "known"
    if event_id in known.new_ids:
        return "twice"
    if event.kind != "rating" and item in known.rated:
        return "rated"  # as the later event it would replace the rating
    if known.new_events[item] == EVENTS_A_MOVIE:
        return "many"
    known.new_ids.add(event_id)
    known.new_events[item] += 1
    return "saved" if event.kind == "saved" else "taken"


def _after_watched(event: LiveEvent, known: _Known) -> LiveEvent:
    """The event, moved to the time of a later watch of its movie: the last event counts, and ratings should."""
    watched = known.watched.get(str(event.item_id), event.at)
    return replace(event, at=watched) if watched > event.at else event

"""Writing events: in a transaction, each event_id once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, tuple_

from matinee.histories import Instant
from matinee.store.prepared import PARAMETER, PreparedQuery
from matinee.store.protocols import FLAG_PAIRS, FLAGS, EventConflict, LiveEvent
from matinee.store.tables import MAX_KEYS_PER_QUERY, events_table

_event = events_table.c
_CONTENT = ("item_id", "kind", "value", "model", "list_id", "position")
"""What two events of one id must have in common, beside the time that their sender gave."""

_NEWEST = PreparedQuery(select(func.max(_event.at)).where(_event.user_id == bindparam(PARAMETER)))
_INSERT = insert(events_table)
_STORED = select(_event.user_id, _event.event_id, _event.at, *(_event[name] for name in _CONTENT)).where(
    tuple_(_event.user_id, _event.event_id).in_(bindparam("keys", expanding=True))
)
"""Made once: to make a query takes longer than to run it."""

Values = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one sender, written whole or not at all. repeat_after: as in `EventLog.append`."""

    events: Sequence[LiveEvent]
    repeat_after: int = 0


def append_events(connection: Connection, events: Sequence[LiveEvent], repeat_after: int = 0) -> int:
    """Write events in a transaction, as `EventLog.append` does. Returns the number written."""
    (outcome,) = append_batches(connection, [Batch(events, repeat_after)])
    if isinstance(outcome, EventConflict):
        raise outcome
    return outcome


def append_batches(connection: Connection, batches: Sequence[Batch]) -> list[int | EventConflict]:
    """Write batches in a transaction, in their order, as if each had one of its own.

    The outcome of each: the number of events written, or the conflict for which none of them was.
    """
    log = _Log(connection, [event for batch in batches for event in batch.events])
    outcomes = [log.add(batch) for batch in batches]
    log.write()
    return outcomes


class _Log:
    """The events of a transaction: those to write, over those that are stored."""

    def __init__(self, connection: Connection, events: Sequence[LiveEvent]) -> None:
        self._connection = connection
        self._named = _stored(connection, {_key(event) for event in events if event.event_id is not None})
        self._newest_stored: dict[str, Instant] = {}
        self._newest: dict[str, Instant] = {}
        self._rows: list[Values] = []

    def add(self, batch: Batch) -> int | EventConflict:
        """Take a batch, all of it or nothing."""
        new = self._new(batch.events)
        if isinstance(new, EventConflict):
            return new
        n_before = len(self._rows)
        for event, row in new:
            user_id = row["user_id"]
            if event.is_stamped:
                row["at"] = max(row["at"], self._newest_of(user_id))
            if batch.repeat_after and self._is_repeat(row, batch.repeat_after):
                continue
            self._newest[user_id] = max(row["at"], self._newest.get(user_id, 0))
            self._rows.append(row)
        return len(self._rows) - n_before

    def write(self) -> None:
        """Insert what was taken."""
        if self._rows:
            self._connection.execute(_INSERT, self._rows)

    def _new(self, events: Sequence[LiveEvent]) -> list[tuple[LiveEvent, Values]] | EventConflict:
        """The events of a batch whose ids are new, with their columns."""
        named: dict[Key, Values] = {}
        new = []
        for position, event in enumerate(events):
            row, key = _values(event), _key(event)
            first = None if event.event_id is None else named.get(key) or self._named.get(key)
            if first is None:
                new.append((event, row))
                if event.event_id is not None:
                    named[key] = row
            elif differing := _differing(first, row, event.is_stamped):
                return EventConflict(str(event.event_id), position, differing)
        self._named |= named
        return new

    def _newest_of(self, user_id: str) -> Instant:
        """The time of a user's newest event: a clock that is set back changes no order."""
        if user_id not in self._newest_stored:
            query = _NEWEST.of(self._connection.dialect, user_id)
            self._newest_stored[user_id] = self._connection.exec_driver_sql(*query).scalar() or 0
        return max(self._newest_stored[user_id], self._newest.get(user_id, 0))

    def _is_repeat(self, row: Values, within: int) -> bool:
        """Whether the user's last event of the same group on the item has the same kind and value and is recent."""
        last = self._last_taken(row) or self._last_stored(row)
        if last is None or (last["kind"], last["value"]) != (row["kind"], row["value"]):
            return False
        return bool(abs(row["at"] - last["at"]) <= within)

    def _last_taken(self, row: Values) -> Values | None:
        keys = ("user_id", "item_id")
        same = (each for each in reversed(self._rows) if all(each[key] == row[key] for key in keys))
        return next((each for each in same if _group(each["kind"]) == _group(row["kind"])), None)

    def _last_stored(self, row: Values) -> Values | None:
        pair = next((pair for pair in FLAG_PAIRS if row["kind"] in pair), None)
        is_in_group = _event.kind.in_(pair) if pair else _event.kind.not_in((*FLAGS, "click"))
        query = select(_event.kind, _event.value, _event.at).where(
            _event.user_id == row["user_id"], _event.item_id == row["item_id"], is_in_group
        )
        last = self._connection.execute(query.order_by(_event.at.desc(), _event.seq.desc()).limit(1)).first()
        return None if last is None else dict(last._mapping)


def _group(kind: str) -> str:
    """Kinds of one group replace each other: a flag and its undo, and those that are history, clicks apart."""
    flag = next((pair[0] for pair in FLAG_PAIRS if kind in pair), "")
    return flag or ("click" if kind == "click" else "history")


def _stored(connection: Connection, keys: Iterable[Key]) -> dict[Key, Values]:
    """The stored events with these ids."""
    ordered, found = sorted(keys), dict[Key, Values]()
    for start in range(0, len(ordered), MAX_KEYS_PER_QUERY):
        part = ordered[start : start + MAX_KEYS_PER_QUERY]
        rows: Iterable[Row[Any]] = connection.execute(_STORED, {"keys": part})
        found |= {(row.user_id, row.event_id): dict(row._mapping) for row in rows}
    return found


def _differing(first: Values, other: Values, is_stamped: bool) -> tuple[str, ...]:
    """The columns in which an event differs from the first of its id; a time that the site stamped is not one."""
    names = _CONTENT if is_stamped else (*_CONTENT, "at")
    return tuple(name for name in names if first[name] != other[name])


def _key(event: LiveEvent) -> Key:
    return str(event.user_id), str(event.event_id)


def _values(item: LiveEvent) -> Values:
    return {
        "event_id": item.event_id,
        "user_id": str(item.user_id),
        "item_id": str(item.item_id),
        "kind": item.kind,
        "value": float(item.value),
        "at": int(item.at),
        "model": item.model,
        "list_id": item.list_id,
        "position": item.position,
        "version": item.version,
    }

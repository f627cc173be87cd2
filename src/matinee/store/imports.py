"""Imports in a SQL database, and which events each of them holds, so that an import can be undone for a day.

An import only adds events. Undoing it deletes them, which restores the log as it was; what the user did since stays,
being other events. An event that two imports of the day hold goes with the second of them. After a day an import is
forgotten and its events are like any others.
"""

from collections.abc import Sequence, Set

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    func,
    insert,
    select,
)

from matinee.histories import Instant, UserId
from matinee.store.append import append_events
from matinee.store.database import SqlDatabase
from matinee.store.protocols import UNDO_SECONDS, Import, LiveEvent
from matinee.store.tables import MAX_KEYS_PER_QUERY, events_table, imported_table, imports_table

_import, _held, _event = imports_table.c, imported_table.c, events_table.c


class SqlImports:
    """An ImportLog in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def write(self, one: Import, events: Sequence[LiveEvent], known: Sequence[str] = ()) -> int:
        """See ImportLog."""
        is_own, new_ids = _event.user_id == str(one.user_id), {event.event_id for event in events}
        with self._database.write() as connection:
            _forget_expired(connection, one.at)
            last = connection.execute(select(func.max(_event.seq))).scalar() or 0
            n_events = append_events(connection, events)
            if n_events:
                row = {"import_id": one.import_id, "user_id": str(one.user_id), "at": one.at, "names": list(one.names)}
                connection.execute(insert(imports_table).values(row))
                held = _seqs(connection, is_own & (_event.seq > last), new_ids)
                held += _seqs(connection, is_own & _event.seq.in_(select(_held.seq)), set(known))
                rows = [{"import_id": one.import_id, "seq": seq} for seq in held]
                if rows:
                    connection.execute(insert(imported_table), rows)
        return n_events

    def recent(self, user_id: UserId, now: Instant) -> list[Import]:
        """See ImportLog."""
        n_events = (
            select(func.count())
            .select_from(imported_table.join(events_table, _held.seq == _event.seq))
            .where(_held.import_id == _import.import_id)
            .scalar_subquery()
        )
        query = select(imports_table, n_events).where(_import.user_id == str(user_id), _import.at >= now - UNDO_SECONDS)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_import.at.desc(), _import.import_id)).all()
        return [Import(row.import_id, row.user_id, row.at, tuple(row.names), row[-1]) for row in rows]

    def undo(self, user_id: UserId, import_id: str, now: Instant) -> int | None:
        """See ImportLog."""
        is_own = (_import.import_id == import_id) & (_import.user_id == str(user_id))
        query = select(_import.import_id).where(is_own, _import.at >= now - UNDO_SECONDS).with_for_update()
        other = imported_table.alias()
        is_shared = select(other.c.seq).where(other.c.seq == _held.seq, other.c.import_id != import_id).exists()
        alone = select(_held.seq).where(_held.import_id == import_id, ~is_shared)
        with self._database.write() as connection:
            if connection.execute(query).scalar() is None:
                return None
            gone = delete(events_table).where(_event.user_id == str(user_id), _event.seq.in_(alone))
            n_events = connection.execute(gone).rowcount
            connection.execute(delete(imported_table).where(_held.import_id == import_id))
            connection.execute(delete(imports_table).where(is_own))
        return n_events


def forget_imports(connection: Connection, user_id: UserId) -> None:
    """Delete what is stored of a user's imports, but not their events."""
    own = select(_import.import_id).where(_import.user_id == str(user_id))
    connection.execute(delete(imported_table).where(_held.import_id.in_(own)))
    connection.execute(delete(imports_table).where(_import.user_id == str(user_id)))


def _seqs(connection: Connection, condition: ColumnElement[bool], event_ids: Set[str | None]) -> list[int]:
    """The events that meet a condition and have one of these ids."""
    rows = connection.execute(select(_event.seq, _event.event_id).where(condition))
    return [row.seq for row in rows if row.event_id in event_ids]


def _forget_expired(connection: Connection, now: Instant) -> None:
    """Forget the imports before the last day. Their events stay for good, in whichever later import they are too."""
    expired = select(_import.import_id).where(_import.at < now - UNDO_SECONDS)
    seqs = connection.execute(select(_held.seq).where(_held.import_id.in_(expired))).scalars().all()
    for start in range(0, len(seqs), MAX_KEYS_PER_QUERY):
        part = seqs[start : start + MAX_KEYS_PER_QUERY]
        connection.execute(delete(imported_table).where(_held.seq.in_(part)))
    connection.execute(delete(imports_table).where(_import.at < now - UNDO_SECONDS))

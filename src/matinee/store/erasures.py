"""Erasing a user so that it can be undone for an hour.

The rows leave their tables at once, so that nothing reads or counts them. A copy is kept under the hash of a token that
only the browser of the user has, and is deleted after an hour.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from matinee.histories import Instant, UserId
from matinee.store.accounts import erase_rows, move_rows
from matinee.store.database import SqlDatabase
from matinee.store.tables import (
    erased_table,
    events_table,
    imported_table,
    imports_table,
    lists_table,
    members_table,
    visitors_table,
)

UNDO_ERASING_SECONDS = 3600
"""How long erasing a user can be undone."""
PART = 500
"""Rows that are kept together."""
OWN = (members_table, imports_table, events_table, lists_table)
"""The tables of which a copy is kept, with the events of imports; sessions and lists read page by page are not."""
_TABLES: dict[str, Table] = {table.name: table for table in (*OWN, imported_table)}
_erased = erased_table.c


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased. counts: rows by table, events by kind; until: when it can no longer be undone."""

    counts: Counter[str] = field(default_factory=Counter)
    until: Instant = 0


class SqlErasures:
    """Erases users, and takes it back within the hour."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def erase(self, user_id: UserId, undo_hash: str, at: Instant) -> None:
        """Delete a user as `AccountBook.forget` does, and keep a copy under the hash of a token."""
        with self._database.write() as connection:
            _delete_expired(connection, at)
            parts = enumerate(_parts_of(connection, str(user_id)))
            rows = [
                {"undo_hash": undo_hash, "part": part, "at": at, "table_name": name, "content": found}
                for part, (name, found) in parts
            ]
            if rows:
                connection.execute(insert(erased_table), rows)
            erase_rows(connection, user_id)

    def find(self, undo_hash: str, now: Instant) -> Erased | None:
        """What was erased under a hash; None if that was never, was undone, or was more than an hour ago."""
        with self._database.read() as connection:
            parts = connection.execute(_select(undo_hash, now)).all()
        if not parts:
            return None
        counts: Counter[str] = Counter()
        for part in parts:
            counts[part.table_name] += len(part.content)
            if part.table_name == events_table.name:
                counts.update(f"event.{row['kind']}" for row in part.content)
        return Erased(counts, parts[0].at + UNDO_ERASING_SECONDS)

    def restore(self, undo_hash: str, now: Instant, into: UserId | None) -> str | None:
        """Put everything back. Returns the user's id, None as in `find`, or if the name was taken meanwhile.

        into: the user that the browser has become since; a guest's rows become theirs, and a member gets theirs.
        """
        try:
            with self._database.write() as connection:
                parts = connection.execute(_select(undo_hash, now).with_for_update()).all()
                if not parts:
                    return None
                for part in parts:
                    connection.execute(insert(_TABLES[part.table_name]), part.content)
                connection.execute(delete(erased_table).where(_erased.undo_hash == undo_hash))
                return _join(connection, _owner(parts), into, is_member=parts[0].table_name == members_table.name)
        except IntegrityError:
            return None

    def delete_expired(self, now: Instant) -> None:
        """Delete the copies of more than an hour ago; nothing is written if there is none."""
        query = select(_erased.part).where(_erased.at < now - UNDO_ERASING_SECONDS).limit(1)
        with self._database.read() as connection:
            if connection.execute(query).first() is None:
                return
        with self._database.write() as connection:
            _delete_expired(connection, now)


def _parts_of(connection: Connection, user_id: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows of a user by table, PART at a time."""
    of_imports = select(imports_table.c.import_id).where(imports_table.c.user_id == user_id)
    queries = [(table, select(table).where(table.c.user_id == user_id)) for table in OWN]
    queries.append((imported_table, select(imported_table).where(imported_table.c.import_id.in_(of_imports))))
    for table, query in queries:
        rows = [dict(row) for row in connection.execute(query).mappings()]
        for start in range(0, len(rows), PART):
            yield table.name, rows[start : start + PART]


def _owner(parts: Any) -> str:  # noqa: ANN401 - SQLAlchemy's rows
    return next(str(row["user_id"]) for part in parts for row in part.content if "user_id" in row)


def _join(connection: Connection, restored: str, into: UserId | None, *, is_member: bool) -> str:
    """Make one user of the restored one and of a guest or member that the browser has become since."""
    if into is None or str(into) == restored:
        return restored
    other = str(into)
    is_guest = connection.execute(select(visitors_table.c.user_id).where(visitors_table.c.user_id == other)).first()
    if not is_member:
        move_rows(connection, restored, other)
        return other
    if is_guest is not None:
        move_rows(connection, other, restored)
        connection.execute(delete(visitors_table).where(visitors_table.c.user_id == other))
    return restored


def _select(undo_hash: str, now: Instant) -> Any:  # noqa: ANN401 - SQLAlchemy's own
    is_known = (_erased.undo_hash == undo_hash) & (_erased.at >= now - UNDO_ERASING_SECONDS)
    return select(erased_table).where(is_known).order_by(_erased.part)


def _delete_expired(connection: Connection, now: Instant) -> None:
    connection.execute(delete(erased_table).where(_erased.at < now - UNDO_ERASING_SECONDS))

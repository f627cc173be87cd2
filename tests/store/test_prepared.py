"""Prepared queries give what SQLAlchemy gives, and fail as it fails."""

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError

from matinee.store.database import SqlDatabase
from matinee.store.prepared import PARAMETER, PreparedQuery
from matinee.store.protocols import DatabaseGone, LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.tables import events_table
from matinee.vocab import Vocab

_event = events_table.c
QUERY = select(_event.item_id, _event.value, _event.model).where(
    _event.user_id == bindparam(PARAMETER), _event.kind.in_(["rating", "more"])
)


@pytest.mark.parametrize("user", ["ada", "o'hara", "%s", ":asked", "\1", ""])
def test_rows_are_those_of_sqlalchemy(database: SqlDatabase, user: str) -> None:
    log = SqlEvents(database, Vocab.of([1, 2]))
    log.append([LiveEvent(user, 1, "rating", 3.5, 5), LiveEvent("eve", 2, "more", 1, 6)])
    with database.read() as connection:
        wanted = [tuple(row) for row in connection.execute(QUERY, {PARAMETER: user})]
    assert wanted == [("1", 3.5, None)]
    assert database.rows(PreparedQuery(QUERY), asked=user) == [wanted]


def test_an_error_of_the_driver_is_one_of_sqlalchemy(database: SqlDatabase) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO elsewhere")
    with pytest.raises(DBAPIError, match="events"):
        database.rows(PreparedQuery(QUERY), asked="ada")
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO events")
    assert database.rows(PreparedQuery(QUERY), asked="ada") == [[]]


def test_a_database_that_is_gone_is_not_read(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDatabase, "gone", "it was deleted")
    with pytest.raises(DatabaseGone):
        database.rows(PreparedQuery(QUERY), asked="ada")

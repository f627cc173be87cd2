"""The tables of the event log, column by column: databases of every version must agree on them."""

import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from matinee.errors import MatineeError
from matinee.store import append, sql
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.tables import events_table, lists_table
from matinee.vocab import Vocab

EVENTS = {
    "seq": "BIGINT NOT NULL",
    "event_id": "VARCHAR(100)",
    "user_id": "VARCHAR(200) NOT NULL",
    "item_id": "VARCHAR(200) NOT NULL",
    "kind": "VARCHAR(20) NOT NULL",
    "value": "FLOAT NOT NULL",
    "at": "BIGINT NOT NULL",
    "model": "VARCHAR(100)",
    "list_id": "VARCHAR(100)",
    "position": "INTEGER",
    "version": "VARCHAR(40)",
}
LISTS = {
    "list_id": "VARCHAR(100) NOT NULL",
    "user_id": "VARCHAR(200) NOT NULL",
    "name": "VARCHAR(40) NOT NULL",
    "model": "VARCHAR(100) NOT NULL",
    "version": "VARCHAR(40) NOT NULL",
    "at": "BIGINT NOT NULL",
    "items": "JSON NOT NULL",
    "experiment": "VARCHAR(100)",
    "arm": "VARCHAR(100)",
}


def columns(table: Table) -> dict[str, str]:
    null = {True: "", False: " NOT NULL"}
    return {column.name: f"{column.type}{null[bool(column.nullable)]}" for column in table.columns}


@pytest.mark.parametrize(("table", "expected"), [(events_table, EVENTS), (lists_table, LISTS)])
def test_columns(table: Table, expected: dict[str, str]) -> None:
    assert columns(table) == expected


def test_keys_and_indices() -> None:
    assert [column.name for column in events_table.primary_key] == ["seq"]
    assert [column.name for column in lists_table.primary_key] == ["list_id"]
    (unique,) = (each for each in events_table.constraints if type(each).__name__ == "UniqueConstraint")
    assert [column.name for column in unique.columns] == ["user_id", "event_id"]
    (index,) = events_table.indexes
    assert (index.name, [column.name for column in index.columns]) == ("events_by_user", ["user_id", "at", "seq"])
    assert sorted(tuple(column.name for column in index.columns) for index in lists_table.indexes) == [
        ("at",),
        ("experiment",),
        ("user_id",),
    ]


def test_the_sequence_is_counted_by_the_database_and_never_reused() -> None:
    in_sqlite = str(CreateTable(events_table).compile(dialect=sqlite.dialect()))
    assert "seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT" in in_sqlite
    assert "seq BIGSERIAL NOT NULL" in str(CreateTable(events_table).compile(dialect=postgresql.dialect()))


def open_files(folder: Path) -> list[str]:
    """The files below a folder that this process holds open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if path.startswith(str(folder)):
            found.append(path)
    return found


@pytest.mark.sqlite_only
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_closing_lets_go_of_the_file(database: SqlDatabase, tmp_path: Path) -> None:
    with database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    assert open_files(tmp_path)
    database.close()
    assert open_files(tmp_path) == []
    database.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_a_database_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"no database" * 1000)
    with pytest.raises(MatineeError, match="cannot be opened"):
        SqlDatabase(f"sqlite:///{tmp_path}/log.db")
    assert open_files(tmp_path) == []


@pytest.mark.sqlite_only
def test_a_database_answers_until_its_file_is_gone(database: SqlDatabase, tmp_path: Path) -> None:
    assert database.is_readable()
    database.close()
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "log.db").mkdir()
    assert not database.is_readable()


@pytest.mark.sqlite_only
def test_settings_of_every_connection(database: SqlDatabase) -> None:
    with database.read() as reader, database.write() as writer:
        for connection, synchronous in ((reader, 1), (writer, 2)):
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous


def test_a_transaction_that_fails_writes_nothing(database: SqlDatabase) -> None:
    log = SqlEvents(database, Vocab.of([10, 20]))
    good = LiveEvent("a", 10, "rating", 4, 5)
    with pytest.raises(IntegrityError):
        log.append([good, LiveEvent("a", 20, "rating", 4, 5, position=1), LiveEvent("a", 10, None, 4, 5)])  # type: ignore[arg-type]
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 0


def test_every_field_of_an_event_is_stored(database: SqlDatabase) -> None:
    event = LiveEvent("a", 10, "rating", 4.5, 5, "e1", "ease", "list", 3, "abc")
    assert SqlEvents(database, Vocab.of([10])).append([event]) == 1
    with database.read() as connection:
        row = connection.exec_driver_sql("SELECT * FROM events").one()
    assert tuple(row) == (1, "e1", "a", "10", "rating", 4.5, 5, "ease", "list", 3, "abc")


def test_movies_watched_since_are_counted_by_people(database: SqlDatabase) -> None:
    log = SqlEvents(database, Vocab.of([10, 20, 30]))
    log.append([LiveEvent("a", 10, "rating", 4, 100), LiveEvent("a", 10, "rating", 5, 101)])
    log.append([LiveEvent("b", 10, "watched", 1, 99)])
    log.append([LiveEvent(user, 20, "watched", 1, at) for user, at in (("a", 100), ("b", 100), ("c", 150))])
    log.append([LiveEvent(user, 30, "click", 1, 100) for user in ("a", "b")])
    assert log.watched_since(100, 1) == [("20", 3), ("10", 1)]
    assert log.watched_since(100, 2) == [("20", 3)]
    assert log.watched_since(99, 2) == [("20", 3), ("10", 2)]
    assert log.watched_since(151, 1) == []


def test_only_the_last_events_of_the_log_count_as_recent(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "RECENT_EVENTS", 2)
    log = SqlEvents(database, Vocab.of([10, 20]))
    log.append([LiveEvent(user, item, "rating", 4, 100) for user, item in (("a", 10), ("a", 20), ("b", 20))])
    assert log.watched_since(0, 1) == [("20", 2)]


def test_an_import_longer_than_a_statement_is_written_whole(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "IMPORT_ROWS", 3)
    log = SqlEvents(database, Vocab.of([10, 20]))
    columns = (["a", "b"] * 4, [10, 20, 20, 10] * 2, list(range(8)), list(range(100, 108)))
    assert log.bulk_import(columns, "watched") == 8
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT user_id, item_id, kind, value, at FROM events ORDER BY seq").all()
    users, items, values, times = columns
    expected = [(u, str(i), "watched", v, t) for u, i, v, t in zip(users, items, values, times, strict=True)]
    assert [tuple(row) for row in rows] == expected


def test_more_users_and_events_than_a_query_holds(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (append, sql):
        monkeypatch.setattr(module, "MAX_KEYS_PER_QUERY", 2)
    log = SqlEvents(database, Vocab.of([10, 20]))
    events = [LiveEvent(f"u{n}", 10 + 10 * (n % 2), "rating", 1 + n, 100, f"e{n}") for n in range(5)]
    assert log.append(events) == 5
    assert log.append([*events, LiveEvent("u0", 20, "rating", 9, 200, "e9")]) == 1
    histories = log.histories(["u4", "u0", "nobody", "u4", "u1"])
    assert histories.values.tolist() == [5, 1, 9, 5, 2]
    assert histories.starts.tolist() == [0, 1, 3, 3, 4, 5]


def test_removing_counts_what_went(database: SqlDatabase) -> None:
    log = SqlEvents(database, Vocab.of([10, 20]))
    log.append([LiveEvent("a", 10, "rating", n, n) for n in (1, 2)] + [LiveEvent("a", 20, "watched", 1, 3)])
    log.append([LiveEvent("b", 10, "rating", 4, 1)])
    assert (log.remove("a", 10), log.remove("a", 10)) == (2, 0)
    assert log.histories(["a", "b"]).items.tolist() == [1, 0]
    assert (log.remove("a"), log.remove("nobody")) == (1, 0)
    assert log.histories(["a", "b"]).items.tolist() == [0]


@pytest.mark.sqlite_only
def test_a_transaction_has_the_write_lock_from_its_beginning(database: SqlDatabase, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "log.db", timeout=0, isolation_level=None)
    with database.write():  # nothing is written yet
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM events").fetchone() == (0,)  # readers do not wait
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_lists_go_with_the_user_and_not_with_a_movie(database: SqlDatabase) -> None:
    log = SqlEvents(database, Vocab.of([10]))
    log.append([LiveEvent("a", 10, "rating", 4, 5)])
    about = {"name": "for-you", "model": "ease", "version": "v", "at": 5, "items": ["10"]}
    with database.write() as connection:
        rows = [{"list_id": list_id, "user_id": user, **about} for list_id, user in (("x", "a"), ("y", "b"))]
        connection.execute(insert(lists_table), rows)

    def left() -> list[str]:
        with database.read() as connection:
            return list(connection.exec_driver_sql("SELECT list_id FROM lists ORDER BY list_id").scalars())

    assert log.remove("a", 10) == 1
    assert left() == ["x", "y"]
    log.remove("a")
    assert left() == ["y"]


@pytest.mark.sqlite_only
def test_one_connection_writes_and_none_is_pinged(database: SqlDatabase) -> None:
    pool = database._writer.pool
    assert (pool.size(), pool._max_overflow) == (1, 0)  # type: ignore[attr-defined]
    assert not database._reader.pool._pre_ping  # a file does not hang up


def test_columns_of_different_lengths_are_refused(database: SqlDatabase) -> None:
    log = SqlEvents(database, Vocab.of([10, 20]))
    with pytest.raises(ValueError, match="shorter"):
        log.bulk_import((["a", "b"], [10, 20], [1, 2], [5]))
    assert len(log.histories(["a", "b"]).items) == 0

"""Versions of the schema: steps up and down with data, older databases, and many processes that open one at once."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, insert, inspect, select, text

from matinee.errors import MatineeError
from matinee.store import migrations
from matinee.store.database import SqlDatabase
from matinee.store.migrations import FOLDER, downgrade, newest, upgrade, version_of
from matinee.store.tables import events_table, metadata

EVENT = {"user_id": "tom ", "item_id": "10", "kind": "dismissed", "value": 4.1, "at": 5, "event_id": "e"}


def differences(connection: Connection) -> list[Any]:
    """What Alembic would change to make a database like the tables of the code; `schema_version` is for older ones."""
    found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    return [change for change in found if not (change[0] == "remove_table" and change[1].name == "schema_version")]


def walk_up(connection: Connection, version: str = "head") -> None:
    """Alembic's own way from an empty database, step by step."""
    migrations.command.upgrade(migrations._config(connection), version)


@pytest.fixture
def empty(database: SqlDatabase) -> Iterator[Connection]:
    """A connection to an empty database, in a transaction."""
    with database.write() as connection:
        everything = MetaData()
        everything.reflect(connection)
        everything.drop_all(connection)
        yield connection


def test_the_steps_are_one_chain_of_numbers_without_gaps() -> None:
    steps = list(ScriptDirectory(str(FOLDER)).walk_revisions())
    assert [step.revision for step in reversed(steps)] == [str(number) for number in range(1, newest() + 1)]
    for step in steps:
        assert Path(step.path).stem == f"step_{int(step.revision):04}"
        assert step.down_revision == (None if step.revision == "1" else str(int(step.revision) - 1))


def test_the_steps_lead_to_the_tables_of_the_code(empty: Connection) -> None:
    walk_up(empty)
    assert differences(empty) == []
    assert version_of(empty) == newest()


def test_a_new_database_has_the_tables_of_the_code(database: SqlDatabase) -> None:
    with database.read() as connection:
        assert differences(connection) == []
        assert version_of(connection) == newest()


def test_steps_down_and_up_keep_the_data(database: SqlDatabase) -> None:
    with database.write() as connection:
        connection.execute(insert(events_table).values(EVENT))
        for version in range(newest() - 1, 0, -1):
            downgrade(connection, version)
            assert version_of(connection) == version
        assert connection.execute(text("SELECT kind FROM events")).scalar() == "hidden"
        assert "version" not in {column["name"] for column in inspect(connection).get_columns("events")}
        upgrade(connection)
        row = connection.execute(select(events_table)).mappings().one()
        assert {name: row[name] for name in EVENT} == EVENT
        assert differences(connection) == []


def test_an_older_matinee_refuses_a_database_of_this_one(database: SqlDatabase) -> None:
    with database.write() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() > 3
        downgrade(connection, 3)
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == 3


@pytest.mark.parametrize("version", [0, -1, 99])
def test_a_version_that_does_not_exist_is_refused(database: SqlDatabase, version: int) -> None:
    with database.write() as connection, pytest.raises(MatineeError, match="there is no schema version"):
        downgrade(connection, version)


@pytest.mark.parametrize(
    ("revision", "says"), [("99", "newer one has written it"), ("1975ea83b712", "another application")]
)
def test_a_database_of_somebody_else_is_left_alone(database: SqlDatabase, revision: str, says: str) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": revision})
    with database.write() as connection, pytest.raises(MatineeError, match=says):
        upgrade(connection)


def test_a_creation_that_was_killed_in_the_middle_is_finished(empty: Connection) -> None:
    """MariaDB commits each table: some may be there without a number."""
    events_table.create(empty)
    upgrade(empty)
    assert differences(empty) == []


@pytest.mark.parametrize("tables", ["events", "events, lists", "all"])
def test_a_database_of_version_3_is_taken_over_without_loss(tmp_path: Path, tables: str) -> None:
    """Version 3, the last before Alembic, made its tables when they were first used."""
    path = tmp_path / "old.db"
    old = SqlDatabase(f"sqlite:///{path}")
    with old.write() as connection:
        connection.execute(insert(events_table).values(EVENT))
        downgrade(connection, 3)
        connection.execute(text("DROP TABLE alembic_version"))
        keep = {"events", "schema_version", *(("lists",) if tables == "events, lists" else ())}
        for table in metadata.sorted_tables if tables != "all" else ():
            if table.name not in keep:
                table.drop(connection, checkfirst=True)
    old.close()
    new = SqlDatabase(f"sqlite:///{path}")
    with new.read() as connection:
        assert version_of(connection) == newest()
        assert differences(connection) == []
        row = connection.execute(select(events_table)).mappings().one()
        assert {name: row[name] for name in EVENT} == EVENT
    new.close()


def test_a_step_that_fails_leaves_sqlite_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, kind VARCHAR(20))")
        connection.execute("INSERT INTO events (kind) VALUES ('hidden')")
        connection.execute("CREATE TABLE visitors (token_hash VARCHAR(64))")  # step 4 misses a column for its index
    connection.close()
    with pytest.raises(MatineeError, match="cannot be opened"):
        SqlDatabase(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")] == [
        "events",
        "visitors",
    ]
    assert connection.execute("SELECT kind FROM events").fetchall() == [("hidden",)]
    connection.close()


def test_many_that_open_a_new_database_at_once_make_it_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: SqlDatabase(url), range(8)))
    with opened[0].read() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
        assert differences(connection) == []
    for database in opened:
        database.close()

"""Databases of every kind for the tests of the store and of the API: each gets an empty one, on each server.

A worker of the tests starts each server once, when a test first asks for it. Databases are used again: what a test
wrote is deleted, unless the test changed the tables.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from sqlalchemy import Connection, NullPool, create_engine, func, inspect, select, text

from database_servers import SERVERS, DatabaseServer
from matinee.store.migrations import newest
from matinee.store.tables import events_table, metadata
from needs import require

SUITES = (
    "store/test_sql_tables.py",
    "store/test_imports.py",
    "store/test_migrations.py",
    "store/test_every_database.py",
    "store/test_sql_stream.py",
    "store/test_experiment_log.py",
    "store/test_log_loading.py",
    "store/test_identity.py",
    "serve/test_sql.py",
    "serve/test_api.py",
    "serve/test_api_keys.py",
    "serve/test_api_lists_and_users.py",
    "serve/test_paging.py",
    "serve/test_live_events.py",
    "serve/test_accounts.py",
    "serve/test_repeats.py",
    "serve/test_import_undo.py",
)
"""The tests that run over every kind of database, where they use one."""
EVERY_TEST = "MATINEE_EVERY_TEST_ON_SERVERS"
"""In the environment: all other tests that use a database run over every kind as well, which takes some minutes."""
ON_SQLITE = "sqlite_only"
"""The mark of tests that are about SQLite itself, its file, locks or settings."""

NewDatabase = Callable[[], str]
"""Returns the URL of another empty database."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of SUITES that use a database over every kind of it."""
    path = str(metafunc.definition.path)
    is_chosen = path.endswith(SUITES) or EVERY_TEST in os.environ
    wants_all = is_chosen and not any(metafunc.definition.iter_markers(ON_SQLITE))
    if wants_all and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", ["sqlite", *SERVERS], scope="session")


@pytest.fixture(scope="session")
def database_kind() -> str:
    """The kind of database that a test runs over."""
    return "sqlite"


@pytest.fixture(scope="session")
def database_servers() -> Iterator["FindServer"]:
    """The running server of a kind, with its databases. Skips if it is missing, or fails where nothing may be."""
    running: dict[str, ServerDatabases] = {}

    def find(kind: str) -> ServerDatabases:
        require(SERVERS[kind].is_installed(), f"{SERVERS[kind].install} (on Debian: apt-get install)")
        if kind not in running:
            running[kind] = ServerDatabases(SERVERS[kind](syncs=False).start())
        return running[kind]

    yield find
    for databases in running.values():
        databases.server.stop()


@pytest.fixture
def new_database(database_kind: str, database_servers: "FindServer", tmp_path: Path) -> NewDatabase:
    """Makes empty databases of the kind that the test runs over."""
    numbers = itertools.count()
    if database_kind == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/log{next(numbers) or ''}.db"
    databases = database_servers(database_kind)
    return lambda: databases.empty(next(numbers))


@pytest.fixture
def db_url(new_database: NewDatabase) -> str:
    """The URL of an empty database."""
    return new_database()


class ServerDatabases:
    """The databases of one server that the tests of a worker use, one after another."""

    def __init__(self, server: DatabaseServer) -> None:
        self.server = server
        self._urls: list[str] = []

    def empty(self, number: int) -> str:
        """The URL of the database with a number, without rows; numbers count from 0 in each test."""
        if number == len(self._urls):
            self._urls.append(self.server.create(f"site{number}"))
        elif not _is_emptied(self._urls[number]):
            self.server.create(f"site{number}")
        return self._urls[number]


FindServer = Callable[[str], ServerDatabases]
"""Returns the running server of a kind."""


def _is_emptied(url: str) -> bool:
    """Delete all rows; False if the tables are not those of the newest version."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        tables = set(inspect(connection).get_table_names()) - {"alembic_version", "schema_version"}
        version = MigrationContext.configure(connection).get_current_revision()
        if tables != set(metadata.tables) or version != str(newest()):
            return False
        counts = [select(func.count()).select_from(table).scalar_subquery() for table in metadata.tables.values()]
        for table, n_rows in zip(metadata.tables.values(), connection.execute(select(*counts)).one(), strict=True):
            if n_rows:
                connection.execute(table.delete())
        _count_from_1(connection)
    return True


def _count_from_1(connection: Connection) -> None:
    """Let the next event have number 1."""
    name = events_table.name
    restart: dict[str, Any] = {
        "postgresql": f"ALTER SEQUENCE {name}_seq_seq RESTART",
        "mysql": f"ALTER TABLE {name} AUTO_INCREMENT = 1",
    }
    connection.execute(text(restart[connection.dialect.name]))

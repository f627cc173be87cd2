"""A SQL database of the site: who may write, who reads, and how it is opened.

SQLite has one connection that writes, one transaction at a time, and many that read (WAL). Any other database that
SQLAlchemy supports reads and writes through its own pool.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from matinee.errors import MatineeError
from matinee.store.migrations import upgrade
from matinee.store.sqlite import configure, is_sqlite, prepare_file


class SqlDatabase:
    """A database with one writer behind a lock and a pool of readers.

    Raises MatineeError if it cannot be opened or was written by a newer Matinee.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self._write_lock = threading.Lock()
        try:
            self._reader = _connect(parsed, writes=False)
            self._writer = _connect(parsed, writes=True) if is_sqlite(parsed) else self._reader
            with self.write() as connection:
                upgrade(connection)
        except MatineeError:
            self.close()
            raise
        except (SQLAlchemyError, OSError) as error:
            self.close()
            name = parsed.render_as_string(hide_password=True)
            raise MatineeError(f"the database {name} cannot be opened: {_reason(error)}; check --db") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, exclusive among the writers of this process."""
        with self._write_lock, self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading."""
        with self._reader.connect() as connection:
            yield connection

    def is_readable(self) -> bool:
        """Whether the database can be read now."""
        try:
            with self.read() as connection:
                return connection.execute(select(1)).scalar() == 1
        except SQLAlchemyError:
            return False

    def close(self) -> None:
        """Close all connections."""
        for engine in (getattr(self, "_writer", None), getattr(self, "_reader", None)):
            if engine is not None:
                engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError):
        raise MatineeError(f"{url!r} is not a database URL; for example --db sqlite:///matinee.sqlite3") from None
    if is_sqlite(parsed):
        prepare_file(parsed)
    return parsed


def _connect(url: URL, *, writes: bool) -> Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if is_sqlite(url):
        options = {"pool_size": 1, "max_overflow": 0} if writes else {}
    try:
        engine = create_engine(url, hide_parameters=True, **options)
    except ImportError as error:
        raise MatineeError(f"the driver of {url.drivername} is not installed: {error}; pip install it") from None
    if is_sqlite(url):
        configure(engine, writes=writes)
    return engine


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]

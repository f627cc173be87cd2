"""A SQL database of the site: who may write, who reads, and how it is opened.

SQLite has one connection that writes, one transaction at a time, and many that read (WAL). Any other database that
SQLAlchemy supports reads and writes through its own pool.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, create_engine, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from matinee.errors import MatineeError
from matinee.store.later import LaterWrites
from matinee.store.migrations import try_to_write, upgrade
from matinee.store.protocols import DatabaseGone, DatabaseState, NotKept
from matinee.store.sqlite import SYNCED, WAITS, DatabaseFile, configure, is_sqlite, prepare_file
from matinee.store.turn import WriteTurn

Durability = Literal["full", "normal"]
"""full: a commit waits until the disk has it; normal: SQLite's last commits may be lost in a power cut."""
DURABILITIES: tuple[Durability, ...] = get_args(Durability)


class SqlDatabase:
    """A database with one writer at a time and a pool of readers.

    turn: whose turn it is to write; later: rows that are written when there is time; trouble: why the last write was
    refused, None if it was kept.
    Raises MatineeError if it cannot be opened or was written by a newer Matinee.
    """

    def __init__(self, url: str, durability: Durability = "full") -> None:
        parsed = _parse(url)
        self.turn = WriteTurn()
        self.later = LaterWrites(self.flush)
        self.trouble: str | None = None
        self._file: DatabaseFile | None = None
        try:
            self._reader = _connect(parsed, writes=False)
            self._writer = _connect(parsed, writes=True) if is_sqlite(parsed) else self._reader
            self._kept = self._writer.execution_options(**{SYNCED: durability == "full"})
            self._unsynced = self._writer.execution_options(**{SYNCED: False})
            self._probing = self._writer.execution_options(**{SYNCED: False, WAITS: False})
            with self._kept.begin() as connection:
                upgrade(connection)
            self._file = DatabaseFile(parsed) if is_sqlite(parsed) else None
        except MatineeError:
            self.close()
            raise
        except (SQLAlchemyError, OSError) as error:
            self.close()
            name = parsed.render_as_string(hide_password=True)
            raise MatineeError(f"the database {name} cannot be opened: {_reason(error)}; check --db") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, exclusive among the writers of this process; rows that wait are written before it.

        Raises NotKept if the database refuses it; errors in what is written are raised as they are.
        """
        with self.turn.taken(), self._write_later(self._kept) as connection:
            yield connection

    @contextmanager
    def transaction(self, engine: Engine | None = None) -> Iterator[Connection]:
        """As `write`, for who has the turn, and without the rows that wait."""
        self._require_file()
        try:
            with (engine or self._kept).begin() as connection:
                yield connection
        except (IntegrityError, DataError, ProgrammingError):
            raise
        except (DBAPIError, PoolTimeoutError) as error:
            self.trouble = f"the database refuses to write: {_reason(error)}"
            raise NotKept(self.trouble) from None
        self._require_file()
        self.trouble = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading. Raises DatabaseGone if the database's file is gone."""
        problem = self._file_problem()
        if problem:
            raise DatabaseGone(problem)
        with self._reader.connect() as connection:
            yield connection

    def is_readable(self) -> bool:
        """Whether the database can be read now."""
        try:
            with self.read() as connection:
                return connection.execute(select(1)).scalar() == 1
        except (SQLAlchemyError, DatabaseGone):
            return False

    def check(self) -> DatabaseState:
        """Whether the database can be read and written now. After a refused write, a small one is tried again."""
        if not self.is_readable():
            why = self._file_problem() or "the database cannot be read"
            return DatabaseState(False, False, (why,))
        if self.trouble and self.turn.is_free:
            with suppress(NotKept), self.turn.taken(), self.transaction(self._probing) as connection:
                try_to_write(connection)
        return DatabaseState(True, self.trouble is None, (self.trouble,) if self.trouble else ())

    def close(self) -> None:
        """Write the rows that wait, and close all connections."""
        self.later.close()
        for engine in (getattr(self, "_writer", None), getattr(self, "_reader", None)):
            if engine is not None:
                engine.dispose()

    @contextmanager
    def _write_later(self, engine: Engine) -> Iterator[Connection]:
        with self.transaction(engine) as connection:
            n_rows = self.later.write_to(connection)
            yield connection
        self.later.written(n_rows)

    def flush(self) -> None:
        """Write the rows that wait now. Raises NotKept if the database refuses it."""
        with self.turn.taken(), self._write_later(self._unsynced):
            pass

    def _file_problem(self) -> str | None:
        return self._file.problem() if self._file else None

    def _require_file(self) -> None:
        """Raises NotKept if the database's file is gone: what is written would be lost with it."""
        problem = self._file_problem()
        if problem:
            self.trouble = problem
            raise NotKept(problem)


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

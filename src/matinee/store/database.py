"""A SQL database of the site: who may write, who reads, and how it is opened.

SQLite has one connection that writes, one transaction at a time, and many that read (WAL). A server has one pool for
both, and its writers take turns.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, PoolProxiedConnection, create_engine, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from matinee.errors import MatineeError
from matinee.store import servers
from matinee.store.later import LaterWrites
from matinee.store.migrations import upgrade
from matinee.store.prepared import Parameters, PreparedQuery
from matinee.store.probe import try_to_write
from matinee.store.protocols import DatabaseGone, DatabaseState, NotKept
from matinee.store.sqlite import SYNCED, WAITS, DatabaseFile, configure, is_sqlite, prepare_file
from matinee.store.turn import WriteTurn
from matinee.store.urls import missing_driver, parse_url, without_password

Durability = Literal["full", "normal"]
"""full: a commit waits until the disk has it; normal: the last commits may be lost in a power cut (not on MariaDB)."""
DURABILITIES: tuple[Durability, ...] = get_args(Durability)

PASSING = (
    *("locked", "refused", "starting up", "shutting down", "timeout", "timed out", "too many", "recovery mode"),
    *("can't connect", "lost connection", "could not translate", "resolve", "unreachable", "closed the connection"),
)
"""In the messages of drivers, for what passes by itself; wrong names and passwords are not among it."""


class DatabaseNotReady(MatineeError):
    """A database that cannot be opened now, but perhaps soon."""


class SqlDatabase:
    """A database with one writer at a time and a pool of readers.

    turn: whose turn it is to write; later: rows that are written when there is time; trouble: why the last write was
    refused, None if it was kept.
    Raises MatineeError if it cannot be opened or was written by a newer Matinee.
    """

    def __init__(self, url: str, durability: Durability = "full") -> None:
        self._url = parse_url(url)
        self._is_server = not is_sqlite(self._url)
        if not self._is_server:
            prepare_file(self._url)
        self.turn = WriteTurn()
        self.later = LaterWrites(self.flush)
        self.trouble: str | None = None
        self._file: DatabaseFile | None = None
        try:
            self._reader = _connect(self._url, writes=False)
            self._writer = self._reader if self._is_server else _connect(self._url, writes=True)
            self._kept = self._writer.execution_options(**{SYNCED: durability == "full"})
            self._unsynced = self._writer.execution_options(**{SYNCED: False})
            self._probing = self._writer.execution_options(**{SYNCED: False, WAITS: False})
            migrator = servers.connect_patiently(self._url) if self._is_server else self._kept
            with migrator.begin() as connection:
                upgrade(connection)
            self._file = None if self._is_server else DatabaseFile(self._url)
        except MatineeError:
            self.close()
            raise
        except (SQLAlchemyError, OSError) as error:
            self.close()
            name, reason = without_password(self._url), reason_of(error, self._url)
            kind = DatabaseNotReady if isinstance(error, OperationalError) and _passes(reason) else MatineeError
            raise kind(f"the database {name} cannot be opened: {reason}; check --db") from None

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Connection]:
        """A transaction; nobody else writes until it ends. Rows that wait are written before it.

        synced: whether its end waits for the disk, as `durability` says; otherwise a power cut may lose it.

        Raises NotKept if the database refuses it; errors in what is written are raised as they are.
        """
        with self.turn.taken(), self._write_later(self._kept if synced else self._unsynced) as connection:
            yield connection

    @contextmanager
    def transaction(self, engine: Engine | None = None) -> Iterator[Connection]:
        """As `write`, for who has the turn, and without the rows that wait."""
        self._require_file()
        try:
            with (engine or self._kept).begin() as connection:
                if self._is_server:
                    servers.take_turn(connection)
                yield connection
        except (IntegrityError, DataError, ProgrammingError):
            raise
        except (DBAPIError, PoolTimeoutError) as error:
            self.trouble = f"the database refuses to write: {reason_of(error, self._url)}"
            raise NotKept(self.trouble) from None
        self._require_file()
        self.trouble = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading. Raises DatabaseGone if the database's file is gone."""
        if problem := self.gone:
            raise DatabaseGone(problem)
        with self._reader.connect() as connection:
            yield connection

    def rows(self, *queries: PreparedQuery, asked: str) -> Sequence[list[tuple[Any, ...]]]:
        """The rows of each prepared query for what is asked, read one after the other. As `read`, and quicker."""
        if problem := self.gone:
            raise DatabaseGone(problem)
        dialect = self._reader.dialect
        driver_error = dialect.loaded_dbapi.Error
        try:
            connection = self._reader.raw_connection()  # tried before it is given, if the database is a server
            try:
                return [_fetch(connection, *query.of(dialect, asked)) for query in queries]
            except driver_error as error:
                if dialect.is_disconnect(error, connection.dbapi_connection, None):
                    connection.invalidate(error)
                raise
            finally:
                connection.close()
        except driver_error as error:
            raise DBAPIError.instance(None, None, error, driver_error, dialect=dialect) from error

    def is_readable(self) -> bool:
        """Whether the database can be read now."""
        try:
            with self.read() as connection:
                return connection.execute(select(1)).scalar() == 1
        except (SQLAlchemyError, DatabaseGone):
            return False

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        return without_password(self._url)

    def watch(self, database_id: str) -> None:
        """Watch that the file keeps this id in `site_identity`: `look` notices if it is written over."""
        if self._file is not None:
            self._file.watch(database_id)

    def look(self) -> None:
        """Look whether the file was written over; a site does so each second."""
        if self._file is not None:
            self._file.look()

    @property
    def gone(self) -> str | None:
        """What became of the database's file, None if it is as it was."""
        return self._file.problem() if self._file else None

    def check(self) -> DatabaseState:
        """Whether pages can be made and events written now. After a refused write, a small one is tried again.

        Without its file, pages are made as for visitors of whom nothing is known.
        """
        if why := self.gone:
            return DatabaseState(True, False, (str(DatabaseGone(why)),))
        if not self.is_readable():
            return DatabaseState(False, False, ("the database cannot be read",))
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

    def _require_file(self) -> None:
        """Raises NotKept if the database's file is gone: what is written would be lost with it."""
        if problem := self.gone:
            self.trouble = str(DatabaseGone(problem))
            raise NotKept(self.trouble)


def _fetch(connection: PoolProxiedConnection, text: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(text, parameters)
        return list(cursor.fetchall())


def _connect(url: URL, *, writes: bool) -> Engine:
    try:
        if not is_sqlite(url):
            return servers.connect(url)
        engine = create_engine(url, hide_parameters=True, **({"pool_size": 1, "max_overflow": 0} if writes else {}))
    except ImportError as error:
        raise missing_driver(url, error) from None
    configure(engine, writes=writes)
    return engine


def reason_of(error: Exception, url: URL) -> str:
    """The first line of what a driver says, without the password of the URL."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    for secret in (url.password, url.query.get("password")):
        reason = reason.replace(str(secret), "***") if secret else reason
    return reason


def _passes(reason: str) -> bool:
    """Whether waiting may help: a server that is not up yet, or a lock of another process."""
    return any(words in reason.lower() for words in PASSING)

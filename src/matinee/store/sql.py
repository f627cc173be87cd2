"""The event log in a SQL database.

SQLite has one connection that writes, one transaction at a time, and many that read (WAL). Any other database that
SQLAlchemy supports reads and writes through its own pool.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    tuple_,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from matinee.arrays import FloatArray, starts_of
from matinee.errors import MatineeError
from matinee.histories import END_OF_TIME, Histories, Instant, UserId, last_of_each
from matinee.store.protocols import KINDS, Activity, Kind, LiveEvent
from matinee.store.schema import upgrade
from matinee.vocab import UNKNOWN, Id, Vocab

BUSY_SECONDS = 5
"""How long a writer waits for the transaction of another process."""
MAX_KEYS_PER_QUERY = 10_000
"""SQLite allows at most 32,766 values in a statement."""
IMPORT_ROWS = 50_000
RECENT_EVENTS = 20_000
"""Maximum number of events over which trending movies are counted."""
EXTREMES: dict[Kind, float] = {"more": np.inf, "less": -np.inf}
"""Kinds that count like the highest and the lowest value."""
FLAGS: tuple[Kind, ...] = ("dismissed", "restored")
"""Kinds of which only the last on an item counts, and which are not history."""

metadata = MetaData()
events_table = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String(100)),
    Column("user_id", String(200), nullable=False),
    Column("item_id", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("value", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("model", String(100)),
    Column("list_id", String(100)),
    Column("position", Integer),
    Column("version", String(40)),
    UniqueConstraint("user_id", "event_id"),
    Index("events_by_user", "user_id", "at", "seq"),
    sqlite_autoincrement=True,  # a seq is never reused, even after the last event is deleted
)
lists_table = Table(
    "lists",
    metadata,
    Column("list_id", String(100), primary_key=True),
    Column("user_id", String(200), nullable=False, index=True),
    Column("name", String(40), nullable=False),
    Column("model", String(100), nullable=False),
    Column("version", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("items", JSON, nullable=False),
)
_event = events_table.c


class SqlDatabase:
    """A database with one writer behind a lock and a pool of readers.

    Raises MatineeError if it cannot be opened or was written by a newer Matinee.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self._write_lock = threading.Lock()
        try:
            self._reader = _connect(parsed)
            self._writer = _connect(parsed, pool_size=1, max_overflow=0) if _is_sqlite(parsed) else self._reader
            if _is_sqlite(parsed):
                event.listen(self._writer, "connect", _disable_autobegin)
                event.listen(self._writer, "begin", _begin_immediate)
            with self.write() as connection:
                upgrade(connection, metadata)
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


class SqlEvents:
    """An EventLog in SQL.

    items: the vocabulary of item ids; events of other items are stored but ignored; users: the vocabulary of training
    users, for models with stored users; history_kinds: the kinds of events that are history; of_stars: from the stars
    of stored ratings to the values of histories.
    """

    def __init__(
        self,
        database: SqlDatabase | str,
        items: Vocab,
        users: Vocab | None = None,
        history_kinds: Sequence[Kind] = ("rating", "watched", *EXTREMES),
        of_stars: Callable[[FloatArray], FloatArray] = np.asarray,
    ) -> None:
        self._database = SqlDatabase(database) if isinstance(database, str) else database
        self._items = items
        self._users = users
        self._history_kinds = tuple(history_kinds)
        self._of_stars = of_stars

    def histories(self, users: Sequence[UserId], *, before: Instant = END_OF_TIME) -> Histories:
        """See HistorySource; one query per 10,000 users."""
        names = [str(user) for user in users]
        index_of = {name: index for index, name in enumerate(dict.fromkeys(names))}
        events = self._events_of(list(index_of), before, self._history_kinds)
        unique = self._histories_of(events, list(index_of))
        return unique.take(np.array([index_of[name] for name in names], dtype=np.int64))

    def activity(self, user_id: UserId) -> Activity:
        """See EventLog."""
        events = self._events_of([str(user_id)], END_OF_TIME, (*self._history_kinds, *FLAGS))
        flags = {event.item_id: event.kind for event in events if event.kind in FLAGS}  # the last one counts
        dismissed = self._items.rows([item_id for item_id, kind in flags.items() if kind == "dismissed"])
        past = [event for event in events if event.kind in self._history_kinds]
        history = self._histories_of(past, [str(user_id)])
        return Activity(history, tuple(_newest_per_item(past)), dismissed[dismissed != UNKNOWN])

    def _histories_of(self, events: "Sequence[_EventRow]", names: list[str]) -> Histories:
        """Build the histories of these users from their events, oldest first."""
        index_of = {name: index for index, name in enumerate(names)}
        owners = np.array([index_of[event.user_id] for event in events], dtype=np.int64)
        item_rows = self._items.rows([event.item_id for event in events])
        known = item_rows != UNKNOWN
        order = np.flatnonzero(known)[np.argsort(owners[known], kind="stable")]  # by user, still oldest first
        histories = Histories(
            starts_of(owners[order], len(names)),
            item_rows[order],
            self._values_of([events[row] for row in order.tolist()]),
            np.array([event.at for event in events], dtype=np.int64)[order],
            np.full(len(names), UNKNOWN, dtype=np.int32) if self._users is None else self._users.rows(names),
        )
        return last_of_each(histories)

    def _values_of(self, events: "Sequence[_EventRow]") -> FloatArray:
        """The values of ratings and of EXTREMES; a watch or a click has none (NaN), although a 1 is stored. [N]."""
        stars = [event.value if event.kind == "rating" else np.nan for event in events]
        values = self._of_stars(np.array(stars, dtype=np.float32))
        extremes = np.array([EXTREMES.get(event.kind, np.nan) for event in events], dtype=np.float32)
        return np.where(np.isnan(extremes), values, extremes).astype(np.float32)

    def append(self, events: Sequence[LiveEvent], *, repeat_after: int = 0) -> int:
        """See EventLog."""
        with self._database.write() as connection:
            return append_events(connection, events, repeat_after)

    def bulk_import(self, events: Sequence[Sequence[Any]], kind: Kind = "rating") -> int:
        """Write a whole log atomically: columns user_ids, item_ids, values, times, each [N], in log order.

        A second call writes the events again. Returns the number written.
        """
        user_ids, item_ids, values, times = (np.asarray(column) for column in events)
        with self._database.write() as connection:
            for start in range(0, len(user_ids), IMPORT_ROWS):
                part = slice(start, start + IMPORT_ROWS)
                columns = (user_ids[part].astype(str), item_ids[part].astype(str), values[part], times[part])
                connection.execute(
                    insert(events_table),
                    [
                        {"user_id": user, "item_id": item, "kind": kind, "value": value, "at": at}
                        for user, item, value, at in zip(*(column.tolist() for column in columns), strict=True)
                    ],
                )
        return len(user_ids)

    def remove(self, user_id: UserId, item_id: Id | None = None) -> int:
        """See EventLog."""
        statement = delete(events_table).where(_event.user_id == str(user_id))
        if item_id is not None:
            statement = statement.where(_event.item_id == str(item_id))
        with self._database.write() as connection:
            if item_id is None:
                connection.execute(delete(lists_table).where(lists_table.c.user_id == str(user_id)))
            return connection.execute(statement).rowcount

    def watched_since(self, since: Instant, min_users: int) -> list[tuple[str, int]]:
        """See EventLog; counts over the last RECENT_EVENTS, so its time does not grow with the log."""
        last = select(events_table).order_by(_event.seq.desc()).limit(RECENT_EVENTS).subquery().c
        n_users = func.count(last.user_id.distinct())
        is_history = last.kind.in_([kind for kind in self._history_kinds if kind not in EXTREMES])
        query = select(last.item_id, n_users).where(last.at >= since, is_history).group_by(last.item_id)
        query = query.having(n_users >= min_users).order_by(n_users.desc(), last.item_id)
        with self._database.read() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _events_of(self, users: list[str], before: Instant, kinds: Sequence[Kind]) -> "Sequence[_EventRow]":
        """Events of these users and kinds before a time, oldest first; ties in order of arrival."""
        rows: list[Any] = []
        with self._database.read() as connection:
            for start in range(0, len(users), MAX_KEYS_PER_QUERY):
                part = users[start : start + MAX_KEYS_PER_QUERY]
                rows += connection.execute(_select_events(part, before, kinds)).all()
        return rows


def append_events(connection: Connection, events: Sequence[LiveEvent], repeat_after: int = 0) -> int:
    """Write events in a transaction, as `EventLog.append` does. Returns the number written."""
    by_key = {(str(item.user_id), item.event_id or ("", n)): item for n, item in enumerate(events)}
    keys = [key for key in by_key if isinstance(key[1], str)]
    existing = set()
    for start in range(0, len(keys), MAX_KEYS_PER_QUERY):
        is_in_part = tuple_(_event.user_id, _event.event_id).in_(keys[start : start + MAX_KEYS_PER_QUERY])
        query = select(_event.user_id, _event.event_id).where(is_in_part)
        existing |= {tuple(row) for row in connection.execute(query)}
    new = (item for key, item in by_key.items() if key not in existing)
    rows = [_values(item) for item in new if not (repeat_after and _is_repeat(connection, item, repeat_after))]
    if rows:
        connection.execute(insert(events_table), rows)
    return len(rows)


class _EventRow(Protocol):
    user_id: str
    item_id: str
    kind: Kind
    value: float
    at: int


def _select_events(users: list[str], before: Instant, kinds: Sequence[Kind]) -> Select[Any]:
    columns = (_event.user_id, _event.item_id, _event.kind, _event.value, _event.at)
    of_users = _event.user_id == users[0] if len(users) == 1 else _event.user_id.in_(users)
    return select(*columns).where(of_users, _event.at < before, _event.kind.in_(kinds)).order_by(_event.at, _event.seq)


def _newest_per_item(events: "Sequence[_EventRow]") -> list[LiveEvent]:
    """The last event with each item, newest first, from events oldest first."""
    newest: dict[str, LiveEvent] = {}
    for row in reversed(events):
        if row.item_id not in newest:
            newest[row.item_id] = LiveEvent(row.user_id, row.item_id, row.kind, row.value, row.at)
    return list(newest.values())


def _is_repeat(connection: Connection, item: LiveEvent, within: int) -> bool:
    """Whether the user's last event of the same group on the item has the same kind and value and is recent."""
    group = FLAGS if item.kind in FLAGS else tuple(kind for kind in KINDS if kind not in FLAGS and kind != "click")
    query = select(_event.kind, _event.value, _event.at).where(
        _event.user_id == str(item.user_id), _event.item_id == str(item.item_id), _event.kind.in_(group)
    )
    last = connection.execute(query.order_by(_event.at.desc(), _event.seq.desc()).limit(1)).first()
    return last is not None and (last.kind, last.value) == (item.kind, item.value) and abs(item.at - last.at) <= within


def _values(item: LiveEvent) -> dict[str, Any]:
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


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError):
        raise MatineeError(f"{url!r} is not a database URL; for example --db sqlite:///matinee.sqlite3") from None
    if _is_sqlite(parsed):
        if parsed.database in (None, "", ":memory:"):
            raise MatineeError(
                "a SQLite database in memory cannot be shared; name a file: --db sqlite:///matinee.sqlite3"
            )
        folder = Path(str(parsed.database)).absolute().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MatineeError(f"the folder {folder} cannot be created ({error.strerror}); check --db") from None
        _make_private(Path(str(parsed.database)))
    return parsed


def _make_private(path: Path) -> None:
    """Let only the owner read a database: SQLite gives its log and its index the mode of the file.

    One that exists is never opened for this: closing it would drop the locks that this process holds on it.
    """
    with suppress(OSError):  # said when the database is opened
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            if (file := path.with_name(name)).is_file():
                file.chmod(0o600)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _connect(url: URL, **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's own options
    try:
        engine = create_engine(url, hide_parameters=True, pool_pre_ping=not _is_sqlite(url), **options)
    except ImportError as error:
        raise MatineeError(f"the driver of {url.drivername} is not installed: {error}; pip install it") from None
    if _is_sqlite(url):
        event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # safe with WAL: a power failure may lose the last transactions but never corrupts the file
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _disable_autobegin(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # wait for the write lock now, not in mid-transaction


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]

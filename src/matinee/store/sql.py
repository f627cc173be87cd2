"""The event log in a SQL database.

SQLite is written through one connection, one transaction at a time, and read through many (WAL). Any other
database that SQLAlchemy speaks to works the same way through its own pool.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

from matinee.arrays import starts_of
from matinee.errors import MatineeError
from matinee.histories import END_OF_TIME, Histories, Instant, UserId, last_of_each
from matinee.store.protocols import KINDS, Activity, Counts, Kind, LiveEvent
from matinee.store.schema import bring_up_to_date
from matinee.vocab import UNKNOWN, Id, Vocab

BUSY_SECONDS = 5
"""How long a writer waits for another process's transaction."""
MAX_USERS_A_QUERY = 10_000
"""SQLite takes at most 32,766 values in a statement."""
IMPORT_ROWS = 50_000
RECENT_EVENTS = 20_000
"""Events that what is popular now is counted over, at most."""
FLAGS: tuple[Kind, ...] = ("dismissed", "restored")
"""Of these the last counts, and neither is history."""

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
    sqlite_autoincrement=True,  # a seq is never given out twice, even after the last event was removed
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
    """One database: a writer with a lock before it, and a pool of readers."""

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self._turn = threading.Lock()
        try:
            self._reader = _connect(parsed)
            self._writer = _connect(parsed, pool_size=1, max_overflow=0) if _is_sqlite(parsed) else self._reader
            if _is_sqlite(parsed):
                event.listen(self._writer, "connect", _begin_by_hand)
                event.listen(self._writer, "begin", _begin_immediate)
            with self.write() as connection:
                bring_up_to_date(connection, metadata)
        except MatineeError:
            self.close()
            raise
        except (SQLAlchemyError, OSError) as error:
            self.close()
            shown = parsed.render_as_string(hide_password=True)
            raise MatineeError(f"the database {shown} cannot be opened: {_reason(error)}; check --db") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other writer of this process overlaps."""
        with self._turn, self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read from."""
        with self._reader.connect() as connection:
            yield connection

    def answers(self) -> bool:
        """Whether the database can be read at this moment."""
        try:
            with self.read() as connection:
                return connection.execute(select(1)).scalar() == 1
        except SQLAlchemyError:
            return False

    def close(self) -> None:
        """Give all connections back."""
        for engine in (getattr(self, "_writer", None), getattr(self, "_reader", None)):
            if engine is not None:
                engine.dispose()


class SqlEvents:
    """An EventLog in SQL.

    items: the vocabulary that item ids are read with; events of other items stay in the log and count for nothing.
    users: the rows of users whom a model was trained on, for models that keep a vector for each.
    counted: the kinds that are history.
    """

    def __init__(
        self,
        database: SqlDatabase | str,
        items: Vocab,
        users: Vocab | None = None,
        counted: Sequence[Kind] = ("rating", "watched"),
    ) -> None:
        self._database = SqlDatabase(database) if isinstance(database, str) else database
        self._items = items
        self._users = users
        self._counted = tuple(counted)

    def histories(self, users: Sequence[UserId], *, before: Instant = END_OF_TIME) -> Histories:
        """See HistorySource; one query for up to 10,000 users."""
        names = [str(user) for user in users]
        place = {name: row for row, name in enumerate(dict.fromkeys(names))}
        found = self._events_of(list(place), before, self._counted)
        once = self._histories_of(found, list(place))
        return once.take(np.array([place[name] for name in names], dtype=np.int64))

    def activity(self, user_id: UserId) -> Activity:
        """See EventLog."""
        found = self._events_of([str(user_id)], END_OF_TIME, (*self._counted, *FLAGS))
        flags = {row.item_id: row.kind for row in found if row.kind in FLAGS}  # the last one wins
        dismissed = self._items.rows([item_id for item_id, kind in flags.items() if kind == "dismissed"])
        counted = [row for row in found if row.kind in self._counted]
        history = self._histories_of(counted, [str(user_id)])
        return Activity(history, tuple(_last_of_each(counted)), dismissed[dismissed != UNKNOWN])

    def _histories_of(self, found: "Sequence[_Row]", names: list[str]) -> Histories:
        """The histories of users from their events, oldest first."""
        place = {name: row for row, name in enumerate(names)}
        owners = np.array([place[row.user_id] for row in found], dtype=np.int64)
        rows = self._items.rows([row.item_id for row in found])
        known = rows != UNKNOWN
        order = np.flatnonzero(known)[np.argsort(owners[known], kind="stable")]  # by user, still oldest first
        once = Histories(
            starts_of(owners[order], len(place)),
            rows[order],
            np.array([row.value for row in found], dtype=np.float32)[order],
            np.array([row.at for row in found], dtype=np.int64)[order],
            np.full(len(place), UNKNOWN, dtype=np.int32) if self._users is None else self._users.rows(names),
        )
        return last_of_each(once)

    def append(self, events: Sequence[LiveEvent], *, repeat_after: int = 0) -> int:
        """See EventLog."""
        wanted = {(str(item.user_id), item.event_id or ("", place)): item for place, item in enumerate(events)}
        keys = [key for key in wanted if isinstance(key[1], str)]
        with self._database.write() as connection:
            there = set()
            for start in range(0, len(keys), MAX_USERS_A_QUERY):
                some = tuple_(_event.user_id, _event.event_id).in_(keys[start : start + MAX_USERS_A_QUERY])
                there |= {tuple(row) for row in connection.execute(select(_event.user_id, _event.event_id).where(some))}
            fresh = (item for key, item in wanted.items() if key not in there)
            new = [_values(item) for item in fresh if not (repeat_after and _repeats(connection, item, repeat_after))]
            if new:
                connection.execute(insert(events_table), new)
        return len(new)

    def bulk_import(self, events: Sequence[Sequence[Any]], kind: Kind = "rating") -> int:
        """Write a whole log at once: columns user_ids, item_ids, values, times, each [N], in the order of the log.

        All or nothing, and not safe to send twice. How many were written.
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
        gone = delete(events_table).where(_event.user_id == str(user_id))
        if item_id is not None:
            gone = gone.where(_event.item_id == str(item_id))
        with self._database.write() as connection:
            if item_id is None:
                connection.execute(delete(lists_table).where(lists_table.c.user_id == str(user_id)))
            return connection.execute(gone).rowcount

    def recent(self, user_id: UserId, limit: int = 1000, *, before: Instant = END_OF_TIME) -> list[LiveEvent]:
        """See EventLog."""
        return _last_of_each(self._events_of([str(user_id)], before, self._counted))[:limit]

    def counts(self) -> Counts:
        """See EventLog."""
        with self._database.read() as connection:
            row = connection.execute(select(func.count(), func.count(_event.user_id.distinct()))).one()
        return Counts(events=row[0], users=row[1])

    def watched_since(self, since: Instant, least: int) -> list[tuple[str, int]]:
        """See EventLog; looks at the last RECENT_EVENTS of the log, so that its length does not matter."""
        last = select(events_table).order_by(_event.seq.desc()).limit(RECENT_EVENTS).subquery().c
        people = func.count(last.user_id.distinct())
        counted = last.kind.in_(self._counted)
        asked = select(last.item_id, people).where(last.at >= since, counted).group_by(last.item_id)
        with self._database.read() as connection:
            found = connection.execute(asked.having(people >= least).order_by(people.desc(), last.item_id)).all()
        return [(row[0], row[1]) for row in found]

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _events_of(self, users: list[str], before: Instant, kinds: Sequence[Kind]) -> "Sequence[_Row]":
        """Every event of these users and kinds before a moment, oldest first; equal times in the order they came in."""
        rows: list[Any] = []
        with self._database.read() as connection:
            for start in range(0, len(users), MAX_USERS_A_QUERY):
                rows += connection.execute(_of_users(users[start : start + MAX_USERS_A_QUERY], before, kinds)).all()
        return rows


class _Row(Protocol):
    user_id: str
    item_id: str
    kind: Kind
    value: float
    at: int


def _of_users(users: list[str], before: Instant, kinds: Sequence[Kind]) -> Select[Any]:
    columns = (_event.user_id, _event.item_id, _event.kind, _event.value, _event.at)
    asked = _event.user_id == users[0] if len(users) == 1 else _event.user_id.in_(users)
    return select(*columns).where(asked, _event.at < before, _event.kind.in_(kinds)).order_by(_event.at, _event.seq)


def _last_of_each(found: "Sequence[_Row]") -> list[LiveEvent]:
    """The last event with each item, newest first; events come oldest first."""
    last: dict[str, LiveEvent] = {}
    for row in reversed(found):
        if row.item_id not in last:
            last[row.item_id] = LiveEvent(row.user_id, row.item_id, row.kind, row.value, row.at)
    return list(last.values())


def _repeats(connection: Connection, item: LiveEvent, within: int) -> bool:
    """Whether an event says again what the user's last one of its kind said of the item, not long before."""
    group = FLAGS if item.kind in FLAGS else tuple(kind for kind in KINDS if kind not in FLAGS and kind != "click")
    asked = select(_event.kind, _event.value, _event.at).where(
        _event.user_id == str(item.user_id), _event.item_id == str(item.item_id), _event.kind.in_(group)
    )
    last = connection.execute(asked.order_by(_event.at.desc(), _event.seq.desc()).limit(1)).first()
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
        raise MatineeError(f"{url!r} is no database URL; for example --db sqlite:///matinee.sqlite3") from None
    if _is_sqlite(parsed):
        if parsed.database in (None, "", ":memory:"):
            raise MatineeError(
                "a SQLite database in memory has no readers; name a file: --db sqlite:///matinee.sqlite3"
            )
        folder = Path(str(parsed.database)).absolute().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MatineeError(f"the folder {folder} cannot be made ({error.strerror}); check --db") from None
    return parsed


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
    cursor.execute(
        "PRAGMA synchronous = NORMAL"
    )  # safe with WAL; a power cut may cost the last moments, never the file
    cursor.close()


def _begin_by_hand(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # wait for the write lock now, not in the middle


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]

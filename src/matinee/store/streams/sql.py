"""The event log of a site's database as a stream of one partition, whose offsets are the numbers of the events.

No event is missed, although events are numbered before they are committed: writers take turns (decision 052), so an
event is committed after every one of a smaller number. Deleted events leave gaps, which mean nothing.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from matinee.histories import Instant
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent, NotKept
from matinee.store.streams.protocols import Offsets, StreamEvent, Unavailable
from matinee.store.tables import events_table, stream_offsets_table

POLL_SECONDS = 0.2
"""How often the log is looked at while it has nothing new: an index lookup, well under a millisecond."""
_event, _kept = events_table.c, stream_offsets_table.c
COLUMNS = ("user_id", "item_id", "kind", "value", "at", "event_id", "model", "list_id", "position", "version")
"""The columns of an event, which are fields of LiveEvent."""


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """How far a consumer of a site's log is. lag: events that it has not read; at: its last commit, UTC seconds."""

    consumer: str
    offset: int
    lag: int
    at: Instant


class SqlStream:
    """An EventStream over a site's database."""

    def __init__(self, database: SqlDatabase, consumer: str) -> None:
        self._database = database
        self._consumer = consumer

    def read(self, offsets: Offsets, limit: int, seconds: float) -> list[StreamEvent]:
        """See EventStream."""
        columns = [_event.seq, *(_event[name] for name in COLUMNS)]
        query = select(*columns).where(_event.seq >= offsets.get(0, 0)).order_by(_event.seq).limit(limit)
        deadline = time.monotonic() + seconds
        while True:
            with _waitable(), self._database.read() as connection:
                rows: Sequence[Row[Any]] = connection.execute(query).all()
            left = deadline - time.monotonic()
            if rows or left <= 0:
                return [
                    StreamEvent(row[0], LiveEvent(**dict(zip(COLUMNS, row[1:], strict=True))), 0, row[0])
                    for row in rows
                ]
            time.sleep(min(POLL_SECONDS, left))

    def committed(self) -> Offsets:
        """See EventStream."""
        with _waitable(), self._database.read() as connection:
            offset = connection.execute(select(_kept.offset).where(_kept.consumer == self._consumer)).scalar()
        return {} if offset is None else {0: offset}

    def commit(self, offsets: Offsets) -> None:
        """See EventStream."""
        values = {"offset": offsets.get(0, 0), "at": int(time.time())}
        with _waitable(), self._database.write() as connection:  # writers take turns: no other inserts meanwhile
            if connection.execute(select(_kept.consumer).where(_kept.consumer == self._consumer)).first():
                connection.execute(update(stream_offsets_table).where(_kept.consumer == self._consumer).values(values))
            else:
                connection.execute(insert(stream_offsets_table).values(consumer=self._consumer, **values))

    def lag(self, offsets: Offsets) -> int:
        """See EventStream."""
        query = select(func.count()).select_from(events_table).where(_event.seq >= offsets.get(0, 0))
        with _waitable(), self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def close(self) -> None:
        """See EventStream."""
        self._database.close()


def consumer_states(database: SqlDatabase) -> list[ConsumerState]:
    """How far each consumer of a site's log is, by name: the relay to a broker among them. Raises Unavailable."""
    n_after = select(func.count()).select_from(events_table).where(_event.seq >= _kept.offset).scalar_subquery()
    query = select(_kept.consumer, _kept.offset, n_after, _kept.at).order_by(_kept.consumer)
    with _waitable(), database.read() as connection:
        return [ConsumerState(*row) for row in connection.execute(query)]


@contextmanager
def _waitable() -> Iterator[None]:
    """A database that does not answer now is Unavailable."""
    try:
        yield
    except NotKept as error:
        raise Unavailable(error.reason) from None
    except (DBAPIError, PoolTimeoutError) as error:
        first = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise Unavailable(f"the database does not answer: {first}") from None

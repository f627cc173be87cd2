"""Reading a site's event log by sequence."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.streams.protocols import EventStream
from matinee.store.tables import events_table

PAGE = 20_000
"""Events read at a time."""
_event = events_table.c
_OF_MYSQL = (
    "SELECT auto_increment - 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = 'events'"
)
_HIGHEST = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = 'events'",
    "postgresql": "SELECT last_value FROM pg_sequences "
    "WHERE schemaname = current_schema() AND sequencename = 'events_seq_seq'",
    "mysql": _OF_MYSQL,
    "mariadb": _OF_MYSQL,
}
"""The query for the highest sequence that a database has given, by its dialect."""


@dataclass(frozen=True, slots=True)
class LoggedEvents:
    """N events of a log, in the order of arrival. offset: sequence of the last one read, of any kind."""

    offset: int
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    kinds: tuple[str, ...]
    values: tuple[float, ...]
    times: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.user_ids)


def last_sequence(database: SqlDatabase) -> int:
    """The sequence of the newest event, 0 without any."""
    with database.read() as connection:
        return int(connection.execute(select(func.coalesce(func.max(_event.seq), 0))).scalar_one())


def highest_sequence(database: SqlDatabase) -> int:
    """The sequence that the newest event got, also if it was erased since: it never falls, but in an older copy."""
    with database.read() as connection:
        given = connection.exec_driver_sql(_HIGHEST[connection.dialect.name]).scalar()
    return max(int(given or 0), last_sequence(database))


def read_events(stream: EventStream, after: int) -> LoggedEvents:
    """The events of a site's log that arrived after a sequence, 0 for all. Raises Unavailable."""
    columns: tuple[list[Any], ...] = ([], [], [], [], [])
    offset = after
    while page := stream.read({0: offset + 1}, PAGE, 0):
        for column, values in zip(columns, zip(*(_content(each.event) for each in page), strict=True), strict=True):
            column += values
        offset = page[-1].seq
    return LoggedEvents(offset, *map(tuple, columns))


def _content(event: LiveEvent) -> tuple[str, str, str, float, int]:
    return str(event.user_id), str(event.item_id), event.kind, event.value, event.at

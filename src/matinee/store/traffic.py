"""What the logs of a site say of the last days: events and lists by the hour, and how often lists are taken from."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import FromClause, Select, Table, distinct, func, select

from matinee.arrays import IntArray
from matinee.histories import Instant
from matinee.store.database import SqlDatabase
from matinee.store.experiments import NOT_TAKEN
from matinee.store.tables import events_table, lists_table

HOUR = 3600
MOST_ROWS = 100_000
"""The newest rows of a log that are looked at, so that a look costs the same however long the log is."""
_event, _list = events_table.c, lists_table.c
_NUMBERED = re.compile(r"-\d+$")


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Of H hours, oldest first. visitors: different ones with an event in all of the hours."""

    events: IntArray  # [H]
    lists: IntArray  # [H]
    visitors: int


@dataclass(frozen=True, slots=True)
class ClickThrough:
    """Lists of a row of the site by a model. taken: of these, lists from which something was taken."""

    row: str
    model: str
    lists: int
    taken: int

    @property
    def share(self) -> float:
        """Lists from which something was taken, of all."""
        return self.taken / self.lists if self.lists else 0.0


def traffic_of(database: SqlDatabase, now: Instant, hours: int) -> Traffic:
    """Events and lists of the last hours, of the newest MOST_ROWS of each log."""
    since = now - hours * HOUR
    with database.read() as connection:
        events, lists = (
            _by_hour(connection.execute(_hourly(recent, since)).all(), hours)
            for recent in (_newest(events_table, _event.seq), _newest(lists_table, _list.at))
        )
        recent = _newest(events_table, _event.seq)
        visitors = select(func.count(distinct(recent.c.user_id))).where(recent.c.at >= since)
        return Traffic(events, lists, int(connection.execute(visitors).scalar_one()))


def click_through_of(database: SqlDatabase, since: Instant) -> list[ClickThrough]:
    """By row and model, the most lists first, of the newest MOST_ROWS lists. Rows that differ by a number are one."""
    recent = _newest(lists_table, _list.at).c
    key = (recent.name, recent.model)
    shown = select(*key, func.count()).where(recent.at >= since).group_by(*key)
    joined = (_event.list_id == recent.list_id, _event.user_id == recent.user_id, _event.kind.not_in(NOT_TAKEN))
    taken = select(*key, func.count(distinct(recent.list_id))).where(recent.at >= since, *joined).group_by(*key)
    lists, takes = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    with database.read() as connection:
        for counts, query in ((lists, shown), (takes, taken)):
            for name, model, n in connection.execute(query):
                counts[_NUMBERED.sub("", name), model] += n
    return [ClickThrough(*pair, n, takes[pair]) for pair, n in lists.most_common()]


def _newest(table: Table, order: Any) -> FromClause:  # noqa: ANN401 - a column of the table
    return select(table).order_by(order.desc()).limit(MOST_ROWS).subquery()


def _hourly(recent: FromClause, since: Instant) -> Select[Any]:
    hour = ((recent.c.at - since) // HOUR).label("hour")
    return select(hour, func.count()).where(recent.c.at >= since).group_by(hour)


def _by_hour(rows: Any, hours: int) -> IntArray:  # noqa: ANN401 - rows of a result
    found = np.zeros(hours, dtype=np.int64)
    for hour, n in rows:
        if hour < hours:  # a clock that was set back
            found[int(hour)] = n
    return found

"""The event log in a SQL database: the histories of its users, and what is written to them."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from sqlalchemy import Select, delete, exists, func, insert, select

from matinee.arrays import FloatArray, starts_of
from matinee.histories import END_OF_TIME, Histories, Instant, UserId, last_of_each
from matinee.store.append import Batch, append_batches
from matinee.store.database import SqlDatabase
from matinee.store.group_commit import GroupCommit
from matinee.store.known_states import KnownState, KnownStates, Mark
from matinee.store.live_states import LATEST_ROWS, MARK, NEWEST_ROWS, Row, StateMaker, with_latest
from matinee.store.protocols import Activity, EventConflict, Kind, LiveEvent
from matinee.store.tables import MAX_KEYS_PER_QUERY, events_table, lists_table, visitors_table
from matinee.vocab import UNKNOWN, Id, Vocab

IMPORT_ROWS = 50_000
RECENT_EVENTS = 20_000
"""Maximum number of events over which trending movies are counted."""
EXTREMES: dict[Kind, float] = {"more": np.inf, "less": -np.inf}
"""Kinds that count like the highest and the lowest value."""
_event = events_table.c


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
        self._group_commit = GroupCommit(self._database)
        self._states = StateMaker(items, users, self._history_kinds, self._values_of)
        self._known = KnownStates()

    def histories(self, users: Sequence[UserId], *, before: Instant = END_OF_TIME) -> Histories:
        """See HistorySource; one query per 10,000 users."""
        names = [str(user) for user in users]
        index_of = {name: index for index, name in enumerate(dict.fromkeys(names))}
        events = self._events_of(list(index_of), before, self._history_kinds)
        unique = self._histories_of(events, list(index_of))
        return unique.take(np.array([index_of[name] for name in names], dtype=np.int64))

    def activity(self, user_id: UserId) -> Activity:
        """See EventLog. Events that did not change since the last time are not read again, and of others the new."""
        user = str(user_id)
        known = self._known.get(user)
        if known is None:
            (mark,), newest = self._database.rows(MARK, NEWEST_ROWS, asked=user)
        else:
            ((mark,),) = self._database.rows(MARK, asked=user)
            if known.mark == mark:
                return known.state
            (latest,) = self._database.rows(LATEST_ROWS, asked=user)
            rows = with_latest(known.rows, latest, mark)
            if rows is not None:
                return self._keep(user, mark, rows)
            (mark,), newest = self._database.rows(MARK, NEWEST_ROWS, asked=user)
        return self._keep(user, mark, newest[::-1])

    def _keep(self, user_id: str, mark: Mark, rows: Sequence[Row]) -> Activity:
        state = self._states.make(user_id, rows)
        self._known.put(user_id, KnownState(mark, rows, state))
        return state

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
            self._values_of([event.kind for event in events], [event.value for event in events])[order],
            np.array([event.at for event in events], dtype=np.int64)[order],
            np.full(len(names), UNKNOWN, dtype=np.int32) if self._users is None else self._users.rows(names),
        )
        return last_of_each(histories)

    def _values_of(self, kinds: Sequence[Kind], stored: Sequence[float]) -> FloatArray:
        """The values of ratings and of EXTREMES; a watch or a click has none (NaN), although a 1 is stored. [N]."""
        stars = [value if kind == "rating" else np.nan for kind, value in zip(kinds, stored, strict=True)]
        values = self._of_stars(np.array(stars, dtype=np.float32))
        extremes = np.array([EXTREMES.get(kind, np.nan) for kind in kinds], dtype=np.float32)
        return np.where(np.isnan(extremes), values, extremes).astype(np.float32)

    def append(self, events: Sequence[LiveEvent], *, repeat_after: int = 0) -> int:
        """See EventLog."""
        return self._group_commit.append(events, repeat_after)

    def append_all(self, batches: Sequence[Sequence[LiveEvent]]) -> list[int | Exception]:
        """See EventLog."""
        return self._group_commit.append_all([Batch(events) for events in batches])

    def append_each(self, events: Sequence[LiveEvent]) -> list[int | EventConflict]:
        """See EventLog."""
        with self._database.write() as connection:
            return append_batches(connection, [Batch([event]) for event in events])

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

    def watched_since(
        self, since: Instant, min_users: int, guests_before: Instant = END_OF_TIME
    ) -> list[tuple[str, int]]:
        """See EventLog; counts over the last RECENT_EVENTS, so its time does not grow with the log."""
        last = select(events_table).order_by(_event.seq.desc()).limit(RECENT_EVENTS).subquery().c
        n_users = func.count(last.user_id.distinct())
        is_history = last.kind.in_([kind for kind in self._history_kinds if kind not in EXTREMES])
        young = exists().where(visitors_table.c.user_id == last.user_id, visitors_table.c.created >= guests_before)
        query = select(last.item_id, n_users).where(last.at >= since, is_history, ~young).group_by(last.item_id)
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

"""A visitor with very many events costs no more than one with many."""

from collections.abc import Sequence
from typing import Any

import pytest

from matinee.store.database import SqlDatabase
from matinee.store.live_states import LATEST, MOST_LIVE_EVENTS
from matinee.store.prepared import PreparedQuery
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab


def test_only_the_newest_events_of_a_visitor_are_read(database: SqlDatabase) -> None:
    log = SqlEvents(database, Vocab.of([1, 2, 3]))
    n = MOST_LIVE_EVENTS
    log.append([LiveEvent("u", 1, "rating", 4, at) for at in range(5)])
    log.append([LiveEvent("u", 2 + at % 2, "rating", 4, 10 + at) for at in range(n)])
    found = log.activity("u")
    assert found.history.items.tolist() == [1, 2]  # rows of items 2 and 3, oldest first
    assert found.history.times.tolist() == [10 + n - 2, 10 + n - 1]
    assert [event.item_id for event in found.recent] == ["3", "2"]
    assert len(log.activity("v").recent) == 0


def test_both_read_the_same_below_the_bound(database: SqlDatabase) -> None:
    log = SqlEvents(database, Vocab.of([1, 2, 3]))
    log.append([LiveEvent("u", item, "rating", 4, at) for item, at in ((1, 5), (2, 5), (3, 1), (1, 5), (2, 9))])
    batch, live = log.histories(["u"]), log.activity("u").history
    assert batch.items.tolist() == live.items.tolist() == [2, 0, 1]
    assert batch.times.tolist() == live.times.tolist()


def test_a_new_event_costs_as_few_rows_whatever_came_before(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are read are counted, not seconds."""
    rows, counts = SqlDatabase.rows, list[int]()

    def count(database: SqlDatabase, *queries: PreparedQuery, asked: str) -> Sequence[list[tuple[Any, ...]]]:
        found = rows(database, *queries, asked=asked)
        counts.append(sum(map(len, found)))
        return found

    monkeypatch.setattr(SqlDatabase, "rows", count)
    log = SqlEvents(database, Vocab.of(list(range(200))))
    for user, n in (("few", 1000), ("many", 2 * MOST_LIVE_EVENTS)):
        log.append([LiveEvent(user, at % 200, "rating", 4, at) for at in range(n)])
        log.activity(user)
        log.append([LiveEvent(user, 7, "rating", 1, n)])
        counts.clear()
        state = log.activity(user)
        assert counts == [1, LATEST]
        fresh = SqlEvents(database, Vocab.of(list(range(200)))).activity(user)
        assert state.history.items.tolist() == fresh.history.items.tolist()
        assert state.recent == fresh.recent
        assert state.history.items[-1] == 7

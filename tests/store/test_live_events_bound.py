"""A visitor with very many events costs no more than one with many."""

from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import MOST_LIVE_EVENTS, SqlEvents
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

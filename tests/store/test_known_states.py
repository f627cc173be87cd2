"""A state is read again when its events change, and only then, in this process or in another one."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, insert, update

from matinee.store import known_states
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.tables import events_table
from matinee.vocab import Vocab

ITEMS = Vocab.of(list(range(1, 11)))


def rated(user: str, item: int, stars: float = 4, at: int = 100) -> LiveEvent:
    return LiveEvent(user, item, "rating", stars, at)


@pytest.fixture
def log(database: SqlDatabase) -> SqlEvents:
    found = SqlEvents(database, ITEMS)
    found.append([rated("ada", item) for item in (1, 2, 3)])
    found.append([rated("guest", 4), rated("guest", 5, 2)])
    return found


def test_a_state_without_new_events_is_the_same_object(log: SqlEvents) -> None:
    first = log.activity("ada")
    log.append([rated("guest", 6)])
    assert log.activity("ada") is first
    assert log.activity("nobody") is log.activity("nobody")


def elsewhere(statement: object) -> Callable[[SqlDatabase], None]:
    """A change by another process: past the log of this one."""

    def change(database: SqlDatabase) -> None:
        with database.write() as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    return change


_event = events_table.c
NEW = {"user_id": "ada", "item_id": "7", "kind": "rating", "value": 5, "at": 0}
CHANGES = {
    "an event": elsewhere(insert(events_table).values(**NEW)),
    "the same item again": elsewhere(insert(events_table).values(**NEW | {"item_id": "1", "at": 200})),
    "dismissed": elsewhere(insert(events_table).values(**NEW | {"kind": "dismissed"})),
    "the newest deleted": elsewhere(delete(events_table).where(_event.user_id == "ada", _event.item_id == "3")),
    "the oldest deleted": elsewhere(delete(events_table).where(_event.user_id == "ada", _event.item_id == "1")),
    "all deleted": elsewhere(delete(events_table).where(_event.user_id == "ada")),
    "a guest's events moved": elsewhere(update(events_table).where(_event.user_id == "guest").values(user_id="ada")),
    "its events moved": elsewhere(update(events_table).where(_event.user_id == "ada").values(user_id="eve")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_read(log: SqlEvents, database: SqlDatabase, change: str) -> None:
    before = log.activity("ada")
    CHANGES[change](database)
    after, fresh = log.activity("ada"), SqlEvents(database, ITEMS).activity("ada")
    assert after is not before
    assert after.recent == fresh.recent
    assert after.rows.tolist() == fresh.rows.tolist()
    assert after.history.items.tolist() == fresh.history.items.tolist()
    assert after.history.values.tolist() == fresh.history.values.tolist()
    assert after.dismissed.tolist() == fresh.dismissed.tolist()
    assert after.made == {}


def test_one_event_in_the_place_of_another_is_noticed(log: SqlEvents, database: SqlDatabase) -> None:
    """One deleted and an older one moved in: number and newest stay, so that the sum must tell."""
    log.append([rated("ada", 8)])
    before = log.activity("ada")
    with database.write() as connection:
        connection.execute(delete(events_table).where(_event.user_id == "ada", _event.item_id == "1"))
        connection.execute(update(events_table).where(_event.item_id == "4").values(user_id="ada"))
    assert [event.item_id for event in log.activity("ada").recent] != [event.item_id for event in before.recent]


def test_states_in_memory_are_bounded(log: SqlEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_states, "MOST_EVENTS", 3 * known_states.LEAST_EVENTS)
    first = log.activity("ada")
    for number in range(3):
        assert log.activity(f"u{number}") is log.activity(f"u{number}")
    assert log.activity("ada") is not first
    assert len(log._known._states) == 3

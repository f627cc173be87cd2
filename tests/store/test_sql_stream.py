"""The event log as a stream, on every kind of database: nothing is missed beside several writers, offsets are kept."""

import threading
import time

from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.streams.protocols import StreamEvent, next_offsets
from matinee.store.streams.sql import SqlStream, consumer_states
from matinee.store.tables import events_table
from matinee.vocab import Vocab

ITEMS = Vocab.of([10])
VALUES = {"user_id": "slow", "item_id": "10", "kind": "watched", "value": 1, "at": 1}


def watched(user: str, event_id: str) -> LiveEvent:
    return LiveEvent(user, "10", "watched", 1.5, 5, event_id, "ease", "list", 3, "v1")


def test_events_are_read_as_they_were_written_and_after_what_was_committed(database: SqlDatabase) -> None:
    stream, events = SqlStream(database, "one"), [watched("tom", "a"), watched("ada ", "b"), watched("tom", "c")]
    SqlEvents(database, ITEMS).append(events)
    assert stream.committed() == {}
    first = stream.read({}, 2, 0)
    assert [each.event for each in first] == events[:2]
    stream.commit(next_offsets({}, first))
    assert stream.lag(stream.committed()) == 1
    assert [each.event for each in SqlStream(database, "one").read(stream.committed(), 9, 0)] == events[2:]
    assert len(SqlStream(database, "other").read(SqlStream(database, "other").committed(), 9, 0)) == 3
    assert [(state.consumer, state.lag) for state in consumer_states(database)] == [("one", 1)]
    stream.commit(next_offsets({}, stream.read({}, 9, 0)))
    assert [state.lag for state in consumer_states(database)] == [0]


def test_an_event_that_is_committed_late_is_not_passed_by_one_with_a_larger_number(
    database: SqlDatabase, db_url: str
) -> None:
    """The first transaction has its number and is not committed; the second must not be seen before it."""
    other, stream = SqlDatabase(db_url), SqlStream(database, "one")
    writer = threading.Thread(target=lambda: SqlEvents(other, ITEMS).append([watched("fast", "b")]))
    seen: list[StreamEvent] = []
    with database.write() as connection:
        connection.execute(events_table.insert().values(VALUES))
        writer.start()
        writer.join(0.3)
        seen += stream.read({}, 9, 0)
        assert seen == []
    writer.join()
    assert [each.event.user_id for each in stream.read(next_offsets({}, seen), 9, 0)] == ["slow", "fast"]
    other.close()


def test_a_reader_beside_three_writers_gets_every_event_once_in_the_order_of_their_numbers(
    database: SqlDatabase, db_url: str
) -> None:
    def write(number: int) -> None:
        mine = SqlDatabase(db_url)
        log = SqlEvents(mine, ITEMS)
        for n in range(30):
            log.append([watched(f"user {number}", f"{number} {n}"), watched("all", f"{number} {n}")])
        mine.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    stream, seen, deadline = SqlStream(database, "one"), list[StreamEvent](), time.monotonic() + 60
    while len(seen) < 180 and time.monotonic() < deadline:
        seen += stream.read(next_offsets({}, seen), 7, 0.01)
    for writer in writers:
        writer.join()
    numbers = [each.seq for each in seen]
    assert numbers == sorted(set(numbers))
    assert len({(each.event.user_id, each.event.event_id) for each in seen}) == len(seen) == 180

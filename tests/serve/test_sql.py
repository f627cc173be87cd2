"""The SQL event log against the in-memory source; duplicates, deletion, concurrency and errors."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sql_event

from matinee.dataset import Dataset, Events
from matinee.errors import MatineeError
from matinee.histories import END_OF_TIME, EventSource, Histories
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab
from site_fixtures import count_events

ITEMS = Vocab.of([10, 20, 30, 40])


@pytest.fixture
def log(database: SqlDatabase) -> SqlEvents:
    return SqlEvents(database, ITEMS)


def rated(user: str, item: int, value: float, at: int, event_id: str | None = None) -> LiveEvent:
    return LiveEvent(user, item, "rating", value, at, event_id)


def same(found: Histories, wanted: Histories) -> None:
    for name in ("starts", "items", "weights", "times", "user_rows"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)


def test_histories_are_ordered_by_time_then_arrival_and_keep_the_last_of_each_item(log: SqlEvents) -> None:
    log.append([rated("a", 30, 5, 9), rated("a", 10, 1, 3), rated("b", 20, 4, 1), rated("a", 20, 2, 3)])
    log.append([rated("a", 10, 4, 5), rated("a", 99, 5, 6)])  # 99 is not an item
    found = log.histories(["a", "nobody", "b", "a"])
    assert found.starts.tolist() == [0, 3, 3, 4, 7]
    assert found.items.tolist() == [1, 0, 2, 1, 1, 0, 2]
    assert found.values.tolist() == [2, 4, 5, 4, 2, 4, 5]
    assert found.times.tolist() == [3, 5, 9, 1, 3, 5, 9]


def test_the_last_event_of_each_item_before_a_time_is_kept(log: SqlEvents) -> None:
    log.append([rated("a", 10, 1, 3), rated("a", 10, 5, 8)])
    assert log.histories(["a"], before=8).values.tolist() == [1]
    assert log.histories(["a"], before=3).values.tolist() == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5), st.integers(0, 6)), max_size=25),
    asked=st.lists(st.integers(0, 5), max_size=6),
    before=st.sampled_from([0, 1, 3, 5, END_OF_TIME]),
)
def test_any_log_gives_the_histories_of_the_in_memory_source(
    db_url: str, rows: list[tuple[int, int, int, int]], asked: list[int], before: int
) -> None:
    users, items, values, times = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    events = Events.ordered(users, items, values.astype(np.float32), times)
    known = Vocab.of([0, 1, 2, 3])
    log = SqlEvents(db_url, ITEMS, known)
    for user in range(4):
        log.remove(user)
    log.bulk_import((users, ITEMS.ids[items], values, times))
    wanted = EventSource(events, known).histories(asked, before=before)
    same(log.histories(asked, before=before), wanted)
    log.close()


def test_real_histories_equal_those_of_the_in_memory_source(db_url: str, bundled: Dataset) -> None:
    events = bundled.events
    columns = (bundled.users.ids[events.user_rows], bundled.items.ids[events.item_rows], events.values, events.times)
    log = SqlEvents(db_url, bundled.items, bundled.users)
    assert log.bulk_import(columns) == len(events)
    asked = [*bundled.users.ids[::3].tolist(), 10**9]
    for before in (int(np.median(events.times)), END_OF_TIME):
        wanted = EventSource(events, bundled.users).histories(asked, before=before)
        same(log.histories(asked, before=before), wanted)
    log.close()


def test_histories_of_many_users_take_one_query(db_url: str) -> None:
    database = SqlDatabase(db_url)
    log = SqlEvents(database, ITEMS)
    queries: list[str] = []
    sql_event.listen(database._reader, "before_cursor_execute", lambda *call: queries.append(call[2]))
    log.histories([f"user {n}" for n in range(3000)])
    assert len(queries) == 1
    database.close()


def test_the_same_event_id_twice_is_written_once_for_each_user(log: SqlEvents, database: SqlDatabase) -> None:
    first = rated("a", 10, 4, 1, "e1")
    assert log.append([first, first]) == 1
    assert log.append([first, rated("a", 20, 4, 2, "e2")]) == 1
    assert log.append([replace(first, user_id="b")]) == 1
    assert log.append([rated("a", 10, 4, 1), rated("a", 10, 4, 1)]) == 2  # without a name nothing tells them apart
    assert count_events(database) == 5


def test_remove_deletes_only_the_events_of_that_user(log: SqlEvents, database: SqlDatabase) -> None:
    log.append([rated("a", 10, 4, 1), rated("a", 10, 5, 2), rated("a", 20, 5, 3), rated("b", 10, 5, 4)])
    assert log.remove("a", 10) == 2
    assert log.histories(["a"]).items.tolist() == [1]
    assert log.remove("a") == 1
    assert count_events(database) == 1


def test_recent_has_one_event_per_item_newest_first(log: SqlEvents) -> None:
    log.append([rated("a", 10, 4, 1), rated("a", 20, 2, 5), rated("a", 10, 5, 5)])
    assert [(item.item_id, item.value) for item in log.activity("a").recent] == [("10", 5), ("20", 2)]


def test_ids_may_contain_any_characters(db_url: str) -> None:
    odd = ["'; DROP TABLE events; --", "한국, 영화", "🎬 a b", "%"]
    log = SqlEvents(db_url, Vocab.of(odd))
    log.append([LiveEvent(name, name, "watched", 1, n) for n, name in enumerate(odd)])
    assert [len(log.histories([name]).items) for name in odd] == [1, 1, 1, 1]
    log.close()


def test_concurrent_writers_lose_nothing(log: SqlEvents, database: SqlDatabase) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: log.append([rated(f"u{n % 5}", 10, 1, n % 60, f"e{n % 60}")]), range(240)))
    assert count_events(database) == 60


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense://x", "not a database URL"),
        ("sqlite://", "name a file"),
        ("sqlite:////proc/none/x.db", "check --db"),
    ],
)
def test_an_unusable_database_is_a_one_line_error_with_a_fix(url: str, says: str) -> None:
    with pytest.raises(MatineeError, match=says) as error:
        SqlEvents(url, ITEMS)
    assert "\n" not in str(error.value)
    assert "--db" in str(error.value)


def test_a_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(MatineeError, match="not a database"):
        SqlEvents(f"sqlite:///{tmp_path}/notes.txt", ITEMS)

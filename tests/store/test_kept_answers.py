"""Group commit, refused writes, idempotence, stamps, and lists that are logged later."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy.exc import IntegrityError

from matinee.store import sqlite as sqlite_module
from matinee.store.database import SqlDatabase
from matinee.store.impressions import SqlImpressions
from matinee.store.protocols import DatabaseGone, EventConflict, ListImpression, LiveEvent, NotKept
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab
from site_fixtures import count_events

SHOWN = ListImpression("l1", "a", "for-you", "ease", "v", 5, ("10",))


@pytest.fixture
def log(database: SqlDatabase) -> SqlEvents:
    return SqlEvents(database, Vocab.of([10, 20]))


def rated(value: float, at: int = 5, event_id: str | None = None, *, is_stamped: bool = False) -> LiveEvent:
    return LiveEvent("a", 10, "rating", value, at, event_id, is_stamped=is_stamped)


def test_events_that_wait_for_the_turn_share_one_commit(log: SqlEvents, database: SqlDatabase) -> None:
    commits: list[object] = []
    sql_event.listen(database._writer, "commit", commits.append)
    with ThreadPoolExecutor(8) as pool:
        with database.turn.taken():  # all of them wait behind this
            waiting = [pool.submit(log.append, [rated(4, n, f"e{n}")]) for n in range(8)]
            while len(log._group_commit._waiting) < 8:
                pass
        assert [each.result() for each in waiting] == [1] * 8
    assert len(commits) == 1
    assert count_events(database) == 8


def test_a_bad_batch_of_a_group_fails_alone(log: SqlEvents, database: SqlDatabase) -> None:
    with ThreadPoolExecutor(2) as pool:
        with database.turn.taken():
            good = pool.submit(log.append, [rated(4, 1)])
            bad = pool.submit(log.append, [replace(rated(4), kind=None)])  # type: ignore[arg-type]
            while len(log._group_commit._waiting) < 2:
                pass
        assert good.result() == 1
        assert isinstance(bad.exception(), IntegrityError)
    assert count_events(database) == 1


@pytest.mark.parametrize(
    "other", [{"value": 3.0}, {"kind": "watched"}, {"item_id": 20}, {"at": 6}, {"list_id": "l"}, {"position": 2}]
)
@pytest.mark.parametrize("in_one_batch", [True, False])
def test_an_event_id_with_other_content_is_refused_and_nothing_is_kept(
    log: SqlEvents, database: SqlDatabase, other: dict[str, object], in_one_batch: bool
) -> None:
    first = rated(4, 5, "e1")
    second = [rated(5, 9, "new"), replace(first, **other)]  # type: ignore[arg-type]
    batches = [[first, *second]] if in_one_batch else [[first], second]
    with pytest.raises(EventConflict, match=f"'e1' is that of an event with another {next(iter(other))}"):
        list(map(log.append, batches))
    assert count_events(database) == (0 if in_one_batch else 1)
    assert log.append([first]) == (1 if in_one_batch else 0)


def test_a_time_that_the_site_stamped_is_not_content(log: SqlEvents) -> None:
    assert log.append([rated(4, 5, "e1", is_stamped=True)]) == 1
    assert log.append([rated(4, 90, "e1", is_stamped=True)]) == 0


def test_stamped_events_are_ordered_by_arrival_when_the_clock_is_set_back(log: SqlEvents) -> None:
    for value, at in ((1, 1000), (2, 400), (3, 700)):
        log.append([rated(value, at, is_stamped=True)])
    log.append([rated(4, 600, is_stamped=True), rated(5, 10, is_stamped=True), rated(2, 20)])
    assert log.histories(["a"]).values.tolist() == [5]  # the last that is stamped; 2 says itself that it is older
    assert log.activity("a").recent[0].at == 1000


@pytest.mark.sqlite_only
def test_a_locked_database_refuses_and_then_recovers_by_itself(
    database: SqlDatabase, log: SqlEvents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0)
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotKept, match=r"not kept.*locked"):
            log.append([rated(4)])
        state = database.check()
        assert (state.is_readable, state.is_writable) == (True, False)
        assert "locked" in state.why[0]
        assert len(log.histories(["a"]).items) == 0
        other.execute("ROLLBACK")
    assert database.check().is_writable
    assert log.append([rated(4)]) == 1


@pytest.mark.sqlite_only
@pytest.mark.parametrize("change", ["deleted", "replaced", "moved back"])
def test_a_file_that_is_gone_is_noticed_at_once(
    database: SqlDatabase, log: SqlEvents, tmp_path: Path, change: str
) -> None:
    log.append([rated(4)])
    path = tmp_path / "log.db"
    path.rename(tmp_path / "aside.db")
    if change == "replaced":
        path.write_bytes((tmp_path / "aside.db").read_bytes())
    with pytest.raises(NotKept, match="place" if change == "replaced" else "deleted"):
        log.append([rated(5)])
    with pytest.raises(DatabaseGone):
        log.histories(["a"])
    state = database.check()
    assert (state.is_readable, state.is_writable) == (True, False)  # pages go on, without what is stored
    assert "put it back, or start the site again" in state.why[0]
    if change == "moved back":
        (tmp_path / "aside.db").rename(path)
        assert log.append([rated(5)]) == 1
        assert database.check().is_writable


def test_lists_wait_in_memory_are_found_there_and_are_written_before_a_user_is_erased(
    database: SqlDatabase, log: SqlEvents
) -> None:
    lists = SqlImpressions(database)
    with database.turn.taken():
        lists.write([SHOWN])
        assert lists.find("l1") == SHOWN
    log.remove("a")
    database.flush()
    assert lists.find("l1") is None


def test_lists_never_wait_and_are_dropped_and_counted_when_too_many_wait(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.store.later.MOST_WAITING", 3)
    lists = SqlImpressions(database)
    with database.turn.taken():  # nothing can be written
        for n in range(5):
            lists.write([replace(SHOWN, list_id=f"l{n}")])
        assert (len(database.later), database.later.dropped) == (3, 2)
    database.flush()
    assert [lists.find(f"l{n}") is not None for n in range(5)] == [True] * 3 + [False] * 2


def test_a_list_that_the_table_refuses_does_not_hold_up_the_others(database: SqlDatabase) -> None:
    lists = SqlImpressions(database)
    lists.write([SHOWN])
    database.flush()
    lists.write([SHOWN])  # the same id again
    database.flush()
    assert (len(database.later), database.later.dropped) == (0, 1)


def test_closing_writes_the_lists_that_wait(tmp_path: Path) -> None:
    database = SqlDatabase(f"sqlite:///{tmp_path}/c.db")
    SqlImpressions(database).write([SHOWN])
    database.close()
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        assert connection.execute("SELECT list_id FROM lists").fetchall() == [("l1",)]


def test_few_writers_wait_behind_one_that_is_stuck(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.store.turn.STALL_SECONDS", -1)
    monkeypatch.setattr("matinee.store.turn.MOST_WHILE_STUCK", 0)
    held, refused = threading.Event(), threading.Event()

    def hold() -> None:
        with database.turn.taken():
            held.set()
            refused.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    with pytest.raises(NotKept, match="busy"), database.write():
        pass
    refused.set()
    holder.join()

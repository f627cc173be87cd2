"""A log is loaded into a site's database once, however often and wherever it is interrupted; over every database."""

from pathlib import Path

import polars as pl
import pytest

from matinee.errors import MatineeError
from matinee.store import log_loading, log_reading
from matinee.store.database import SqlDatabase
from matinee.store.log_loading import Loaded, load_log, with_event_ids
from matinee.store.log_reading import read_events
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.streams.sql import SqlStream
from matinee.vocab import Vocab

LONG = "x" * 200


def log_of(*rows: tuple[str, str, str, float, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=list(log_loading.COLUMNS), orient="row")


LOG = log_of(
    ("tom", "a", "rating", 4.0, 5),
    ("tom ", "a", "rating", 4.5, 5),
    ("Tom", LONG, "rating", 0.5, 7),
    ("tom", "a", "rating", 4.0, 5),
    ("tom", LONG + "", "watched", 1.0, -7),
    ("톰", "é:1", "rating", 3.0, 2**40),
)


def test_a_second_load_writes_nothing(database: SqlDatabase) -> None:
    assert load_log(database, LOG) == Loaded(6, 0)
    assert load_log(database, LOG) == Loaded(0, 6)
    stored = read_events(SqlStream(database, "test"), 0)
    columns = (stored.user_ids, stored.item_ids, stored.kinds, stored.values, stored.times)
    assert list(zip(*columns, strict=True)) == LOG.rows()


def test_a_log_is_read_in_pages_from_where_a_reader_stopped(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_log(database, LOG)
    stream = SqlStream(database, "test")
    whole = read_events(stream, 0)
    monkeypatch.setattr(log_reading, "PAGE", 2)
    assert read_events(stream, 0) == whole
    newer = read_events(stream, whole.offset - 3)
    assert (newer.offset, newer.item_ids) == (whole.offset, whole.item_ids[3:])
    assert (len(read_events(stream, whole.offset)), read_events(stream, whole.offset).offset) == (0, whole.offset)


def test_what_was_added_to_a_log_is_written_beside_the_rest(database: SqlDatabase) -> None:
    load_log(database, LOG)
    more = log_of(("tom", "a", "rating", 4.0, 5), ("tom", "b", "rating", 4.0, 5), ("tom", "a", "rating", 3.5, 5))
    assert load_log(database, pl.concat([LOG, more])) == Loaded(3, 6)  # an event that stands a third time is a third


@pytest.mark.parametrize("stop", [1, 2])
def test_an_interrupted_load_goes_on(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    monkeypatch.setattr(log_loading, "PART", 2)
    monkeypatch.setattr(log_loading, "USERS", 2)

    def interrupt(done: int) -> None:
        if done == 2 * stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_log(database, LOG, interrupt)
    assert load_log(database, LOG) == Loaded(6 - 2 * stop, 2 * stop)
    assert len(read_events(SqlStream(database, "test"), 0)) == 6


def test_what_was_sent_to_the_site_stays_beside_it(database: SqlDatabase) -> None:
    events = SqlEvents(database, Vocab.of(["a", LONG]))
    events.append([LiveEvent("tom", "a", "rating", 1.0, 9, event_id="mine")])
    load_log(database, LOG)
    history = events.histories(["tom"])
    assert history.items.tolist() == [1, 0]  # LONG, then a: the last event with an item counts
    assert history.values.tolist()[1] == 1.0


def test_event_ids_fit_and_differ() -> None:
    ids = with_event_ids(LOG)["event_id"].to_list()
    assert ids[0] == "log:rating:a:5:4.0"
    assert ids[3] == "log:rating:a:5:4.0:1"
    assert max(map(len, ids)) <= 100
    assert with_event_ids(LOG)["event_id"].to_list() == ids


@pytest.mark.parametrize("user", ["", "x" * 201, "a\0b", "a\0"])
def test_an_id_that_no_database_holds_is_refused_by_name(database: SqlDatabase, user: str) -> None:
    with pytest.raises(MatineeError, match="the user_id"):
        load_log(database, pl.concat([LOG, log_of((user, "a", "rating", 1.0, 1))]))
    assert len(read_events(SqlStream(database, "test"), 0)) == 0


def test_a_new_file_gets_the_events(tmp_path: Path) -> None:
    database = SqlDatabase(f"sqlite:///{tmp_path}/deep/new.sqlite3")
    assert load_log(database, LOG).written == 6
    database.close()

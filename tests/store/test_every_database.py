"""What every kind of database must do: compare text by its bytes, take turns, and come back after a restart."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from database_servers import SERVERS
from matinee.errors import MatineeError
from matinee.store import servers
from matinee.store.accounts import SqlAccounts
from matinee.store.database import SqlDatabase
from matinee.store.health import check_database
from matinee.store.log_reading import highest_sequence, last_sequence
from matinee.store.protocols import LiveEvent, Member, NotKept, Session
from matinee.store.sql import SqlEvents
from matinee.store.tables import UnstorableText
from matinee.store.urls import parse_url, without_password
from matinee.vocab import Vocab
from needs import require
from site_fixtures import count_events

ITEMS = Vocab.of([10, 20, 30])
WRITER = """
import sys
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab
log = SqlEvents(SqlDatabase(sys.argv[1]), Vocab.of([10]))  # all open an empty database at once
written = 0
for start in range(0, 120, 3):
    events = [LiveEvent(f"user {n % 7}", 10, "watched", 1, n, f"event {n}") for n in range(start, start + 3)]
    written += log.append(events) + log.append(events[:1])
log.close()
print(written)
"""
"""Writes 120 events, and every third once more."""


def watched(user: str, event_id: str | None = None, item: object = 10) -> LiveEvent:
    return LiveEvent(user, item, "watched", 1, 5, event_id)  # type: ignore[arg-type]


@pytest.mark.slow
def test_three_processes_with_the_same_ids_write_each_event_once(db_url: str) -> None:
    command = [sys.executable, "-c", WRITER, db_url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate(timeout=120) for process in started]
    assert [(process.returncode, err) for process, (_, err) in zip(started, outputs, strict=True)] == [(0, "")] * 3
    assert sum(int(out) for out, _ in outputs) == 120
    database = SqlDatabase(db_url)
    assert count_events(database) == 120
    database.close()


@pytest.mark.parametrize(
    "other", ["tom ", " tom", "TOM", "tóm", "to\u0301m", "tom\t", "ｔｏｍ", "tom\u200b", "t%m", "t_m"]
)
def test_names_that_differ_in_a_byte_are_different_people(database: SqlDatabase, other: str) -> None:
    log = SqlEvents(database, ITEMS)
    assert log.append([watched("tom", "e "), watched("tom", "e"), watched(other, "e")]) == 3
    assert log.append([watched("tom", "e "), watched(other, "e")]) == 0
    assert [len(log.activity(user).recent) for user in ("tom", other, f"{other}!")] == [1, 1, 0]
    assert log.histories(["tom", other]).starts.tolist() == [0, 1, 2]
    assert log.remove(other) == 1
    assert count_events(database) == 2


@pytest.mark.parametrize("name", ["한국 영화", "🎬🍿", "'; DROP TABLE events; --", "\\", '"', "%s %(x)s :x", "\n"])
def test_any_text_comes_back_as_it_was(database: SqlDatabase, name: str) -> None:
    SqlEvents(database, Vocab.of([name])).append([LiveEvent(name, name, "watched", 4.1, 5, name, name, name, 1, name)])
    with database.read() as connection:
        row = connection.execute(
            text("SELECT user_id, item_id, event_id, model, list_id, version, value FROM events")
        ).one()
    assert tuple(row) == (name,) * 6 + (4.1,)


@pytest.mark.parametrize("name", ["a\0", "\0", "\ud800", "x\udfffy"])
def test_text_that_not_every_database_holds_is_refused_by_all(database: SqlDatabase, name: str) -> None:
    log = SqlEvents(database, ITEMS)
    for ask in (lambda: log.append([watched(name)]), lambda: log.activity(name), lambda: log.remove(name)):
        with pytest.raises(UnstorableText, match="no database can hold"):
            ask()
    assert log.append([watched("tom")]) == 1


def test_the_highest_sequence_outlives_its_event(database: SqlDatabase) -> None:
    log = SqlEvents(database, ITEMS)
    assert highest_sequence(database) == 0
    log.append([watched(f"user {n}") for n in range(3)])
    before = last_sequence(database)
    assert highest_sequence(database) == before >= 3
    with database.write() as connection:
        connection.execute(text("DELETE FROM events WHERE user_id <> 'user 0'"))
    assert last_sequence(database) < before == highest_sequence(database)
    log.append([watched("user 4")])
    assert last_sequence(database) == highest_sequence(database) > before


def test_a_name_is_taken_once(database: SqlDatabase) -> None:
    book = SqlAccounts(database)
    for number, key, is_new in ((1, "ada", True), (2, "ada", False), (3, "ada ", True)):
        member = Member(f"user {number}", key, "hash", 1, 1)
        session = Session(member.user_id, f"s{number}", "", 1, 1, f"hash {number}")
        assert book.add_member(member, key, session, None) is is_new
    assert book.member_named("ada").user_id == "user 1"  # type: ignore[union-attr]


def test_a_writer_that_waits_too_long_is_refused_and_nothing_is_written(
    database_kind: str, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database_kind == "sqlite":
        pytest.skip("SQLite's own wait is tested with its lock")
    monkeypatch.setattr(servers, "TURN_SECONDS", 1)
    one, other = SqlDatabase(db_url), SqlDatabase(db_url)
    with one.write():
        begin = time.monotonic()
        with pytest.raises(NotKept):
            SqlEvents(other, ITEMS).append([watched("tom")])
        assert 0.5 < time.monotonic() - begin < 4
        assert other.is_readable()  # reading waits for nobody
    assert SqlEvents(other, ITEMS).append([watched("tom")]) == 1
    one.close()
    other.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_was_killed_is_found_again(kind: str) -> None:
    require(SERVERS[kind].is_installed(), SERVERS[kind].install)
    with SERVERS[kind]() as server:
        database = SqlDatabase(server.create("site"))
        log = SqlEvents(database, ITEMS)
        assert log.append([watched("tom", "e1")]) == 1
        server.kill()
        begin = time.monotonic()
        assert not database.is_readable()
        with pytest.raises((NotKept, SQLAlchemyError)) as refused:
            log.append([watched("tom", "e2")])
        assert time.monotonic() - begin < 5
        assert "secret" not in str(refused.value)
        server.start()
        assert database.is_readable()
        assert log.append([watched("tom", "e1"), watched("tom", "e2")]) == 1
        database.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense://u:hush@x", "not a database URL"),
        ("postgresql//u:hush@h/db", "not a database URL"),
        ("postgresql:/u:hush@h/db", "not a database URL"),
        ("postgresql://u:hush@hu@h:abc/db", "not a database URL"),
        ("postgresql+nope://u:hush@h/d", "not a database URL"),
        ("mysql://u:hush@h", "names no database"),
        ("mysql://u:hush@h/d?charset=latin1", "cannot hold every text"),
        ("mssql://u:hush@h/d", "not with mssql"),
        ("postgresql+asyncpg://u:hush@h/d", r"write --db postgresql\+psycopg"),
        ("postgresql+pg8000://u:hush@h/d", r"write --db postgresql\+psycopg"),
        ("mysql+mysqldb://u:hush@h/d", r"write --db mysql\+pymysql"),
    ],
)
def test_a_wrong_url_is_one_line_without_the_password(url: str, says: str) -> None:
    with pytest.raises(MatineeError, match=says) as error:
        SqlDatabase(url)
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)
    assert "hush" not in check_database(url).found


@pytest.mark.parametrize("url", ["postgresql://u:hush@127.0.0.1:1/d", "mysql://u:hush@127.0.0.1:1/d?password=hush"])
def test_a_server_that_is_not_there_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(MatineeError, match=r"cannot be opened: .*; check --db") as error:
        SqlDatabase(url)
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("url", "written"), [
    ("postgres://u:p@h/d", "postgresql+psycopg://u:***@h/d"),
    ("mariadb://u:p%40@h/d", "mariadb+pymysql://u:***@h/d?charset=utf8mb4"),
    ("a.db", "sqlite:///a.db"),
])  # fmt: skip
def test_a_url_gets_its_driver(url: str, written: str) -> None:
    assert without_password(parse_url(url)) == written


@pytest.mark.parametrize(("kind", "module"), [("postgresql", "psycopg"), ("mysql", "pymysql")])
def test_a_missing_driver_names_the_extra(kind: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MatineeError, match=rf"pip install 'matinee\[{kind}\]'") as error:
        SqlDatabase(f"{kind}://u:hush@h/d")
    assert "hush" not in str(error.value)


def test_the_doctor_counts_without_a_password(db_url: str) -> None:
    log = SqlEvents(db_url, ITEMS)
    log.append([watched("tom"), watched("tom ")])
    log.close()
    state = check_database(db_url)
    assert (state.ok, state.fix) == (True, "")
    assert "2 events, 0 members" in state.found
    assert "secret" not in state.found


def test_a_wrong_password_is_not_shown(
    database_kind: str, database_servers: Callable[[str], object], db_url: str
) -> None:
    if database_kind == "sqlite":
        pytest.skip("SQLite has no passwords")
    with pytest.raises(MatineeError, match="cannot be opened") as error:
        SqlDatabase(db_url.replace("secret-of-the-tests", "another-secret"))
    assert "another-secret" not in str(error.value)

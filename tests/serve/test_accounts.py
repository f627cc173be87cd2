"""Members and guests: a guest's events are never lost, and never written twice."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import event as sql_event
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from matinee.errors import MatineeError
from matinee.serve.accounts.members import (
    Accounts,
    Caller,
    RefusedError,
    device_of,
    name_key,
    name_of,
)
from matinee.serve.accounts.rate_limit import RateLimit, network_of
from matinee.serve.accounts.sessions import ABSOLUTE_SECONDS, IDLE_SECONDS, SEEN_EVERY, hash_token
from matinee.serve.logs import open_log
from matinee.serve.site import Site
from matinee.store.accounts import SqlAccounts
from matinee.store.database import SqlDatabase
from matinee.store.protocols import Identity, LiveEvent, Session
from matinee.store.sql import SqlEvents
from matinee.store.tables import members_table, metadata, moved_table, sessions_table, visitors_table
from matinee.vocab import Vocab
from site_fixtures import CHEAP, NOW, Clock, SiteClient, note_prepared

ALIEN, MATRIX, TOY_STORY = 1214, 2571, 1
PASSWORD = "correct horse battery"


def sign_up(client: SiteClient, name: str = "Ada", password: str = PASSWORD) -> str:
    answer = client.post("/sign-up", data={"name": name, "password": password, "next": "/about"})
    assert answer.status_code == 200, answer.text
    return answer.text


def log_in(client: SiteClient, name: str = "Ada", password: str = PASSWORD) -> str:
    answer = client.post("/log-in", data={"name": name, "password": password, "next": "/about"})
    assert answer.status_code == 200, answer.text
    return answer.text


def mark(client: SiteClient, item_id: int, what: str) -> str:
    return client.post("/mark", data={"item_id": str(item_id), "mark": what, "next": "/my"}).text


def mine(client: SiteClient) -> list[int]:
    return [int(found) for found in re.findall(r'data-item="(\d+)"', client.get("/my").text)]


def rows(app: FastAPI, query: str) -> list[tuple[object, ...]]:
    site: Site = app.state.site
    site.database.flush()
    with site.database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_a_guest_who_signs_up_keeps_all_events(client: SiteClient, app: FastAPI) -> None:
    mark(client, ALIEN, "5")
    mark(client, MATRIX, "watched")
    before = rows(app, "SELECT item_id, kind, value, at, model, list_id, position FROM events ORDER BY seq")
    page = sign_up(client)
    assert '<a href="/account" class="member">Ada</a>' in page
    assert mine(client) == [MATRIX, ALIEN]
    assert rows(app, "SELECT item_id, kind, value, at, model, list_id, position FROM events ORDER BY seq") == before
    assert rows(app, "SELECT DISTINCT user_id FROM events") == rows(app, "SELECT user_id FROM members")
    assert rows(app, "SELECT count(*) FROM visitors") == [(0,)]


def test_logging_in_elsewhere_takes_over_the_guests_events(app: FastAPI) -> None:
    one, other = SiteClient(app), SiteClient(app)
    mark(one, ALIEN, "5")
    sign_up(one)
    mark(other, TOY_STORY, "4")
    log_in(other)
    assert mine(other) == mine(one)
    assert sorted(mine(one)) == [TOY_STORY, ALIEN]
    log_in(other)  # again: no events are left to move
    assert rows(app, "SELECT count(*) FROM events") == [(2,)]
    assert len(rows(app, "SELECT * FROM sessions")) == 2


def test_after_logging_out_the_visitor_is_a_new_guest(client: SiteClient) -> None:
    mark(client, ALIEN, "5")
    sign_up(client)
    page = client.post("/log-out").text
    assert "Tell us three" in page
    assert "Ada" not in page
    assert mine(client) == []
    mark(client, MATRIX, "5")
    assert mine(client) == [MATRIX]
    log_in(client)
    assert sorted(mine(client)) == [ALIEN, MATRIX]


def test_a_guest_who_logs_out_stays_a_guest(client: SiteClient) -> None:
    mark(client, ALIEN, "5")
    client.post("/log-out")
    assert mine(client) == [ALIEN]


def test_two_clicks_on_signing_up_make_one_member(app: FastAPI) -> None:
    client = SiteClient(app)
    mark(client, ALIEN, "5")
    token = client.token

    def click(_: int) -> int:
        tab = SiteClient(app, token)
        data = {"name": "Ada", "password": PASSWORD}
        return tab.post("/sign-up", data=data, follow_redirects=False).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(click, range(4))) == [303] * 4
    assert rows(app, "SELECT name FROM members") == [("Ada",)]
    assert rows(app, "SELECT item_id FROM events") == [(str(ALIEN),)]
    assert rows(app, "SELECT DISTINCT user_id FROM events") == rows(app, "SELECT user_id FROM members")


def test_two_tabs_of_a_new_guest_that_rate_at_once_are_one_guest(app: FastAPI) -> None:
    first = SiteClient(app)
    first.get("/")

    def rate(item_id: int) -> int:
        tab = SiteClient(app, first.token)
        answer = tab.post("/mark", data={"item_id": str(item_id), "mark": "5"}, follow_redirects=False)
        return answer.status_code

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(rate, [ALIEN, MATRIX, TOY_STORY])) == [303] * 3
    assert len(rows(app, "SELECT DISTINCT user_id FROM events")) == 1
    assert sorted(mine(first)) == [TOY_STORY, ALIEN, MATRIX]


def test_a_rating_with_the_guests_cookie_after_signing_up_is_refused(app: FastAPI) -> None:
    client = SiteClient(app)
    mark(client, ALIEN, "5")
    old_tab = SiteClient(app, client.token)
    sign_up(client)
    answer = old_tab.post("/mark", data={"item_id": str(MATRIX), "mark": "5"}, follow_redirects=False)
    assert answer.status_code == 409
    assert "another tab" in answer.text
    assert "set-cookie" not in answer.headers  # it would log the member out
    event = {"item_id": MATRIX, "kind": "watched"}
    answer = old_tab.post("/api/v1/events", json=event)
    assert (answer.status_code, "set-cookie" in answer.headers) == (409, False)
    assert mine(client) == [ALIEN]


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("", PASSWORD, "1 to 40 characters"),
        (" \t ", PASSWORD, "1 to 40 characters"),
        ("x" * 41, PASSWORD, "1 to 40 characters"),
        ("--", PASSWORD, "one letter or digit"),
        ("a\u202eb", PASSWORD, "invisible"),
        ("a\x00b", PASSWORD, "invisible"),
        ("Ada", "short", "too short"),
        ("Ada", "x" * 201, "too long"),
        ("Ada Lovelace", "ada LOVELACE", "must differ from the name"),
    ],
)
def test_invalid_names_and_passwords_are_refused(
    client: SiteClient, app: FastAPI, name: str, password: str, says: str
) -> None:
    answer = client.post("/sign-up", data={"name": name, "password": password})
    assert answer.status_code == 422
    assert says in answer.text
    assert rows(app, "SELECT * FROM members") == []


def test_password_limits_are_characters_after_normalisation_and_bytes_at_most() -> None:
    accounts = Accounts(_NoBook(), lambda: NOW, CHEAP)
    for wrong in ("kd82hf93h", "e\u0301kd82hf9"[:10], "kd82hf93hs" * 21, "가나다" * 23, "가나다라마바사아자"):
        with pytest.raises(RefusedError, match="password_"):
            accounts.sign_up("Ada", wrong, Caller(None, "", ""))
    for right in ("kd82hf93hs", "e\u0301kd82hf93h", "five words of my own", "나는 영화를 좋아해요 정말"):
        accounts.sign_up("Ada", right, Caller(None, "", ""))


@pytest.mark.parametrize(
    "password",
    ["password123", "1234567890", "qwertyuiop", "Password1234", "iloveyou123", "aaaaaaaaaa", "P@ssw0rd123",
     "abcdefghij", "adaadaada1", "q1w2e3r4t5", "matinee123", "manchester", "0987654321"],
)  # fmt: skip
def test_common_passwords_are_refused(password: str) -> None:
    accounts = Accounts(_NoBook(), lambda: NOW, CHEAP)
    with pytest.raises(RefusedError, match="password_common"):
        accounts.sign_up("Ada", password, Caller(None, "", ""))


def test_a_session_ends_however_much_it_is_used(artefact_paths: list[Path], tmp_path: Path) -> None:
    from matinee.serve.app import create_app

    clock = Clock()
    app = create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/long.db", clock=clock, hasher=CHEAP)
    client = SiteClient(app)
    sign_up(client)
    while clock.now - NOW < ABSOLUTE_SECONDS - 30 * 86_400:
        clock.now += 30 * 86_400
        assert "Ada" in client.get("/").text
        app.state.site.database.flush()  # its last use is written later
    clock.now += 30 * 86_400 + 1
    assert "Ada" not in client.get("/").text


def test_the_security_log_has_no_secret(app: FastAPI, tmp_path: Path) -> None:
    path = tmp_path / "security.log"
    open_log("security", path)
    open_log("access", tmp_path / "access.log")
    try:
        client = SiteClient(app)
        sign_up(client)
        token = client.token
        client.post("/log-in", data={"name": "Ada", "password": "wrong\npassword"})
        client.get("/api/v1/recommendations?history=1,2", headers={"Authorization": "Bearer matinee_secret\t{}"})
        client.post("/account/delete", data={"password": PASSWORD})
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        requests = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    finally:
        open_log("security", None)
        open_log("access", None)
    assert [line["event"] for line in lines] == ["sign_up", "log_in_failed", "key_refused", "member_deleted"]
    assert {"at", "id", "address", "method", "path", "status", "ms", "bytes"} == set(requests[0])
    assert path.stat().st_mode & 0o777 == 0o600
    everything = path.read_text() + (tmp_path / "access.log").read_text()
    for secret in (PASSWORD, "wrong", token, "matinee_secret", "history", "csrf"):
        assert secret not in everything


class _NoBook(SqlAccounts):
    """A book without members, which stores nothing."""

    def __init__(self) -> None:
        pass

    def member_named(self, name_key: str) -> None:
        return None

    def add_member(self, *_: object) -> bool:
        return True


def test_names_are_the_same_without_case_width_and_spaces(app: FastAPI) -> None:
    assert name_of("  Ada \t Lovelace ") == "Ada Lovelace"
    keys = {name_key(name) for name in ("Ada", "ADA", "ａｄａ", " ada ")}
    assert len(keys) == 1
    assert name_key("Straße") == name_key("STRASSE")
    assert name_key("Ada") != name_key("Adah")
    sign_up(SiteClient(app), "Ada")
    answer = SiteClient(app).post("/sign-up", data={"name": "aDA", "password": "another password"})
    assert answer.status_code == 422
    assert "taken" in answer.text
    log_in(SiteClient(app), "ADA ")


def test_signing_up_again_with_the_right_password_is_logging_in(app: FastAPI) -> None:
    sign_up(SiteClient(app))
    assert "Ada" in sign_up(SiteClient(app))
    assert len(rows(app, "SELECT * FROM members")) == 1


def test_changing_the_password_logs_out_other_devices(app: FastAPI) -> None:
    one, other = SiteClient(app), SiteClient(app)
    sign_up(one)
    log_in(other)
    before = one.token
    wrong = one.post("/account/password", data={"old": "not it at all", "new": "a new password"})
    assert wrong.status_code == 422
    done = one.post("/account/password", data={"old": PASSWORD, "new": "a new password"})
    assert "has been changed" in done.text
    assert one.token != before
    assert "Log in" in other.get("/account").text
    assert SiteClient(app).post("/log-in", data={"name": "Ada", "password": PASSWORD}).status_code == 422
    log_in(SiteClient(app), "Ada", "a new password")


def test_sessions_are_listed_with_their_device_and_ended_one_by_one(app: FastAPI) -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604"
    one, two, three = (SiteClient(app, headers={"user-agent": agent}) for agent in (firefox, phone, "curl"))
    sign_up(one)
    log_in(two)
    log_in(three)
    page = one.get("/account").text
    assert page.count("This device") == 1
    assert "Firefox, Linux" in page
    assert "Safari, iPhone" in page
    assert "Unknown device" in page
    ids = dict(rows(app, "SELECT device, session_id FROM sessions"))
    done = one.post("/account/sessions", data={"session": str(ids["Safari, iPhone"])})
    assert "Logged out there" in done.text
    assert "Safari, iPhone" not in done.text
    assert "Log in" in two.get("/").text
    three.post("/account/sessions", data={"session": "others"})
    assert "Log in" in one.get("/").text
    assert "Ada" in three.get("/").text
    three.post("/account/sessions", data={"session": str(ids[""])})  # its own session: logs out
    assert rows(app, "SELECT * FROM sessions") == []


def test_a_device_is_browser_and_system() -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
    assert device_of(chrome) == "Chrome, Windows"
    assert device_of(chrome + " Edg/140.0") == "Edge, Windows"
    assert device_of("Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537.36") == "Chrome, Android"
    assert device_of("<script>alert(1)</script>") == ""


def test_a_session_without_use_ends(artefact_paths: list[Path], tmp_path: Path) -> None:
    from matinee.serve.app import create_app

    clock = Clock()
    app = create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/idle.db", clock=clock, hasher=CHEAP)
    client = SiteClient(app)
    sign_up(client)
    clock.now += SEEN_EVERY - 1
    client.get("/")
    assert rows(app, "SELECT seen FROM sessions") == [(NOW,)]
    clock.now += 1
    client.get("/")
    assert rows(app, "SELECT seen FROM sessions") == [(NOW + SEEN_EVERY,)]
    clock.now += IDLE_SECONDS
    assert "Ada" in client.get("/").text
    clock.now += IDLE_SECONDS + 1
    assert "Ada" not in client.get("/").text
    log_in(client)
    assert len(rows(app, "SELECT * FROM sessions")) == 1  # the old one was cleared away


def test_deleting_an_account_deletes_all_its_data(app: FastAPI) -> None:
    one, other = SiteClient(app), SiteClient(app)
    mark(one, ALIEN, "5")
    sign_up(one)
    log_in(other)
    one.get("/")
    assert one.post("/forget").url.path == "/account"  # a member needs the password
    assert one.post("/account/delete", data={"password": "not it at all"}).status_code == 422
    assert mine(one) == [ALIEN]
    assert "Everything is deleted" in one.post("/account/delete", data={"password": PASSWORD}).text
    for table in ("events", "lists", "members", "sessions", "visitors"):
        assert rows(app, f"SELECT * FROM {table}") == [], table
    assert "Log in" in other.get("/").text
    sign_up(SiteClient(app))  # the name is free again


def test_every_table_with_a_user_id_is_deleted_from_and_moved(database: SqlDatabase) -> None:
    """Fails for a new table until SqlAccounts deletes from it and moves a guest's rows to the member."""
    book = SqlAccounts(database)
    about_users = [table for table in metadata.sorted_tables if "user_id" in table.c]
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *rest: object) -> None:
        seen.append(statement.split("WHERE")[0])

    with database.write() as connection:
        sql_event.listen(connection.engine, "before_cursor_execute", note)
    book.open_guest("guest", "visitor-1", 1)
    book.open_session(Session("member-1", "s1", "", 2, 2, "hash"), "guest", 0)
    moved = " ".join(seen)
    for table in about_users:
        if table not in (members_table, sessions_table, visitors_table):
            assert f"UPDATE {table.name} " in moved, table.name
    seen.clear()
    book.forget("member-1")
    for table in about_users:
        assert any(statement.startswith(f"DELETE FROM {table.name}") for statement in seen), table.name


def test_a_guests_events_move_once_and_merge_by_event_id(database: SqlDatabase) -> None:
    log, book = SqlEvents(database, Vocab.of([10, 20, 30])), SqlAccounts(database)
    book.open_guest("g", "visitor-1", 1)
    log.append([LiveEvent("member-1", 10, "rating", 5, 1, "same"), LiveEvent("member-1", 20, "rating", 5, 1)])
    log.append([LiveEvent("visitor-1", 10, "rating", 5, 1, "same"), LiveEvent("visitor-1", 20, "rating", 5, 1)])
    log.append([LiveEvent("visitor-1", 30, "rating", 4, 2, "own"), LiveEvent("visitor-2", 10, "rating", 4, 2, "same")])
    for n in range(2):
        book.open_session(Session("member-1", f"s{n}", "", 3, 3, f"hash{n}"), "g", 0)
        kept = [(event["item_id"], event["event_id"]) for event in book.all_events("member-1")]
        assert kept == [("10", "same"), ("20", None), ("20", None), ("30", "own")]
    assert list(book.all_events("visitor-1")) == []
    assert len(list(book.all_events("visitor-2"))) == 1
    assert book.was_moved("g", 3)
    assert not book.was_moved("g", 4)
    assert not book.was_moved("other", 0)


def test_exports_are_read_in_pages_without_repeats(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.store.accounts.PAGE", 7)
    log, book = SqlEvents(database, Vocab.of(range(50))), SqlAccounts(database)
    for n in (6, 7, 8, 14, 15):
        log.append([LiveEvent(f"u{n}", item, "rating", 3, 5) for item in range(n)])
        assert [event["item_id"] for event in book.all_events(f"u{n}")] == [str(item) for item in range(n)]


def test_opening_a_guest_twice_gives_the_first(database: SqlDatabase) -> None:
    book = SqlAccounts(database)
    assert book.open_guest("g", "visitor-1", 1) == "visitor-1"
    assert book.open_guest("g", "visitor-2", 2) == "visitor-1"
    assert book.identity("g") == Identity("visitor-1", None, None, 1, 1)
    assert book.identity("nobody") is None


def test_an_identity_is_one_query(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    book = SqlAccounts(database)
    book.open_guest("g", "visitor-1", 1)
    asked: list[str] = []
    note_prepared(monkeypatch, asked)
    book.identity("g")
    assert len(asked) == 1


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect(), mysql.dialect()], ids=lambda d: d.name)
def test_the_tables_compile_for_every_database(dialect: object) -> None:
    for table in (members_table, sessions_table, visitors_table, moved_table):
        made = str(CreateTable(table).compile(dialect=dialect))  # type: ignore[arg-type]
        assert "PRIMARY KEY" in made
        assert "NULL" in made


def test_a_hash_with_old_settings_is_replaced_at_the_next_log_in(database: SqlDatabase) -> None:
    book, caller = SqlAccounts(database), Caller(None, "", "")
    Accounts(book, lambda: NOW, CHEAP).sign_up("Ada", PASSWORD, caller)
    before = book.member_named(name_key("Ada"))
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    opened = Accounts(book, lambda: NOW, stronger).log_in("Ada", PASSWORD, caller)
    after = book.member_named(name_key("Ada"))
    assert before is not None
    assert after is not None
    assert before.password.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert after.password.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert (after.created, after.changed, opened.identity.user_id) == (before.created, before.changed, before.user_id)


def test_the_default_password_hash_is_rfc_9106s() -> None:
    hasher = Accounts(_NoBook(), lambda: NOW)._hasher
    # RFC 9106, section 4, the second recommended option: 64 MiB, 3 passes, 4 lanes, 128 bits of salt, 256 of tag
    assert (hasher.memory_cost, hasher.time_cost, hasher.parallelism) == (65536, 3, 4)
    assert (hasher.salt_len, hasher.hash_len, hasher.type.name) == (16, 32, "ID")


def test_a_rate_limit_counts_tries_in_a_window_and_forgets() -> None:
    clock = Clock()
    limit = RateLimit(clock, limit=3, seconds=60)
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0]
    clock.now += 20
    assert limit.take("a") == 40
    assert limit.take("b") == 0
    clock.now += 39.5
    assert limit.take("a") == 1  # a refused try does not count
    clock.now += 0.5
    assert limit.take("a") == 0
    limit.reset("a")
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 60]


def test_a_rate_limit_remembers_a_bounded_number_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.serve.accounts.rate_limit.CAPACITY", 100)
    limit = RateLimit(Clock(), limit=1, seconds=60)
    for n in range(1000):
        limit.take(str(n))
    assert len(limit._tries) == 100
    assert limit.take("999") == 60


def test_simultaneous_tries_all_count() -> None:
    limit = RateLimit(Clock(), limit=5, seconds=60)
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: limit.take("a") == 0, range(40))) == [False] * 35 + [True] * 5


def test_addresses_of_one_household_count_as_one() -> None:
    assert network_of("203.0.113.9") == "203.0.113.9"
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::9") != network_of("2001:db8:1:3::9")
    assert network_of("::ffff:203.0.113.9") == "203.0.113.9"
    assert network_of("testclient") == "testclient"


def test_a_guest_has_no_account(client: SiteClient) -> None:
    for path in ("/account", "/account/password", "/account/sessions", "/account/delete"):
        fields = {"old": PASSWORD, "new": PASSWORD, "session": "others", "password": PASSWORD}
        answer = client.get(path) if path == "/account" else client.post(path, data=fields)
        assert answer.url.path == "/log-in"


def test_members_are_redirected_from_the_log_in_page(client: SiteClient) -> None:
    sign_up(client)
    assert client.get("/log-in").url.path == "/account"
    assert client.get("/sign-up?next=/my").url.path == "/my"


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/\\evil.example", "/log-in", "/log-out"])
def test_logging_in_redirects_within_the_site(client: SiteClient, next: str) -> None:
    data = {"name": "Ada", "password": PASSWORD, "next": next}
    answer = client.post("/sign-up", data=data, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_account_pages_are_in_korean(client: SiteClient) -> None:
    client.headers["accept-language"] = "ko"
    assert "가입하기" in client.get("/sign-up").text
    page = client.post("/log-in", data={"name": "누구", "password": "모르는비밀번호"}).text
    assert "이름 또는 비밀번호가 맞지 않아요" in page
    assert "누구" in sign_up(client, "누구", "나는 영화를 좋아해요 정말")
    page = client.get("/account").text
    assert "2025년 6월 15일 가입" in page
    assert "로그인한 기기" in page


def test_refusals_are_no_matinee_errors(database: SqlDatabase) -> None:
    accounts = Accounts(SqlAccounts(database), lambda: NOW, CHEAP)
    with pytest.raises(RefusedError, match="no_member"):
        accounts.member(Identity("visitor-1", None, None, 0, 0))
    assert not issubclass(RefusedError, MatineeError)  # each page handles it
    assert hash_token("x") != hash_token("y")

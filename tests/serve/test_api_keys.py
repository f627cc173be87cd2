"""API keys: who may read and write for whom, and what is refused."""

import json
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from matinee.cli.running import run
from matinee.serve.accounts.api_keys import DAY, ApiKeys
from matinee.serve.api.dependencies import require_scope
from matinee.store.api_keys import SCOPES, ApiKey, Scope, SqlApiKeys
from matinee.store.database import SqlDatabase
from site_fixtures import Clock, count_events, key_headers

ALIEN = 1214
EVENT = {"item_id": ALIEN, "kind": "watched", "user_id": "shopper-42"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: SqlDatabase, clock: Clock) -> ApiKeys:
    return ApiKeys(SqlApiKeys(database), clock)


def test_without_a_key_the_api_serves_the_callers_own_session_only(client: TestClient, app: FastAPI) -> None:
    read = client.get("/api/v1/recommendations?user_id=shopper-42")
    written = client.post("/api/v1/events", json=EVENT)
    assert [read.status_code, written.status_code] == [401, 401]
    assert {read.headers["www-authenticate"], written.headers["www-authenticate"]} == {"Bearer"}
    assert "matinee keys create" in read.json()["detail"]
    assert client.get("/api/v1/items/1214/why?user_id=shopper-42").status_code == 401
    assert count_events(app.state.site.database) == 0


def test_a_key_reads_and_writes_for_any_user_within_its_scopes(client: TestClient, app: FastAPI) -> None:
    read, write, admin = (key_headers(app, scope) for scope in SCOPES)
    assert client.post("/api/v1/events", json=EVENT, headers=read).status_code == 403
    answer = client.post("/api/v1/events", json=EVENT, headers=write)
    assert answer.status_code == 201
    assert "set-cookie" not in answer.headers
    refused = client.get("/api/v1/recommendations?user_id=shopper-42", headers=write)
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="read"'
    for headers in (read, admin):
        assert client.get("/api/v1/recommendations?user_id=shopper-42", headers=headers).json()["history_length"] == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda text: "",
        lambda text: text,
        lambda text: "Bearer",
        lambda text: "Bearer ",
        lambda text: f"Bearer  {text}",
        lambda text: f"Bearer {text} ",
        lambda text: f"Bearer {text} {text}",
        lambda text: f"Bearer {text.upper()}",
        lambda text: f"Bearer {text[:-1]}",
        lambda text: f"Bearer {text}A",
        lambda text: f"Bearer {text[:-1]}{'A' if text[-1] != 'A' else 'B'}",
        lambda text: f"Basic {text}",
        lambda text: "Bearer matinee_000000000000_" + "A" * 43,
        lambda text: "Bearer matinee_" + "0" * 10_000,
        lambda text: "Bearer ' OR 1=1 --",
        lambda text: f"Bearer {text}\t".encode() + b"\xff",
    ],
)  # fmt: skip
def test_a_wrong_key_is_refused_even_where_none_is_needed(client: TestClient, app: FastAPI, make) -> None:
    text = key_headers(app, "admin")["Authorization"].removeprefix("Bearer ")
    sent = make(text)
    headers = {b"Authorization": sent if isinstance(sent, bytes) else sent.encode()}
    if isinstance(sent, str) and sent == f"Bearer {text} ":
        headers = {
            b"Authorization": f"Bearer {text}\xa0".encode("latin-1")
        }  # blanks at the end are no part of a header
    answer = client.get("/api/v1/recommendations", headers=headers)
    assert answer.status_code == 401, answer.text
    assert text[-20:] not in answer.text


def test_two_keys_in_one_request_are_refused(client: TestClient, app: FastAPI) -> None:
    one = key_headers(app, "read")["Authorization"]
    answer = client.get("/api/v1/recommendations", headers=[("Authorization", one), ("Authorization", one)])
    assert answer.status_code == 401


def test_a_revoked_key_opens_nothing(client: TestClient, app: FastAPI) -> None:
    headers = key_headers(app, "read")
    assert client.get("/api/v1/recommendations?user_id=1", headers=headers).status_code == 200
    app.state.site.api_keys.revoke(app.state.site.api_keys.all()[-1].key_id)
    assert client.get("/api/v1/recommendations?user_id=1", headers=headers).status_code == 401


def test_an_expired_key_opens_nothing(keys: ApiKeys, clock: Clock) -> None:
    key, text = keys.create("shop", ["read"], days=2)
    assert keys.find(text) == key
    clock.now += 2 * DAY
    assert keys.find(text) is None


@pytest.mark.parametrize("scope", SCOPES)
def test_a_route_that_requires_a_scope(client: TestClient, app: FastAPI, scope: Scope) -> None:
    @app.get("/api/v1/needs")
    def needs(key: Annotated[ApiKey, Depends(require_scope(scope))]) -> str:
        return key.key_id

    assert client.get("/api/v1/needs").status_code == 401
    for held in SCOPES:
        answer = client.get("/api/v1/needs", headers=key_headers(app, held))
        assert answer.status_code == (200 if held in (scope, "admin") else 403)


def test_the_database_holds_no_key(keys: ApiKeys, database: SqlDatabase) -> None:
    _, text = keys.create("shop", ["read"])
    with database.read() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    secret = text.split("_", 2)[2]  # a secret may hold underscores of its own
    assert len(secret) == 43
    assert secret not in stored
    assert text[-20:] not in repr(keys.find(text))


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["keys", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_keys_are_made_listed_and_revoked_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = ("--db", f"sqlite:///{tmp_path}/site.db")
    code, text, note = command(capsys, "create", "shop", "--scopes", "write, read", *db)
    assert code == 0
    assert "it is not stored" in note
    assert text.startswith("matinee_")
    made = json.loads(command(capsys, "create", "shop", "--scopes", "read", "--days", "3", "--json", *db)[1])
    assert set(made) == {"key_id", "name", "scopes", "created", "expires", "revoked", "state", "key"}
    log = tmp_path / "security.log"
    assert command(capsys, "revoke", made["key_id"], "--security-log", str(log), *db)[0] == 0
    assert json.loads(log.read_text())["event"] == "key_revoked"
    listed = json.loads(command(capsys, "list", "--json", *db)[1])["keys"]
    states = {key["key_id"] == made["key_id"]: (key["scopes"], key["state"]) for key in listed}
    assert states == {False: (["read", "write"], "valid"), True: (["read"], "revoked")}
    assert "key" not in listed[0]
    assert "revoked" in command(capsys, "list", *db)[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "shop", "--scopes", "reed"), "did you mean 'read'"),
        (("create", "shop", "--scopes", "everything"), "known are: admin, read, write"),
        (("create", "shop", "--scopes", ""), "a key needs a scope"),
        (("create", "shop", "--scopes", ",,"), "a key needs a scope"),
        (("create", "", "--scopes", "read"), "1 to 100 printable letters"),
        (("create", "x" * 101, "--scopes", "read"), "1 to 100 printable letters"),
        (("create", "a\x1b[2Jb", "--scopes", "read"), "1 to 100 printable letters"),
        (("create", "shop", "--scopes", "read", "--days", "0"), "--days 0"),
        (("create", "shop", "--scopes", "read", "--days", "-1"), "--days -1"),
        (("list",), "there is no database at"),
        (("revoke", "000000000000"), "there is no database at"),
    ],
)
def test_wrong_arguments_get_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    code, _, err = command(capsys, *arguments, "--db", f"sqlite:///{tmp_path}/site.db")
    assert code in (1, 2)
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_revoking_twice_or_an_unknown_key_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = ("--db", f"sqlite:///{tmp_path}/site.db")
    made = json.loads(command(capsys, "create", "shop", "--scopes", "read", "--json", *db)[1])
    assert command(capsys, "revoke", made["key_id"], *db)[0] == 0
    assert "it was revoked before" in command(capsys, "revoke", made["key_id"], *db)[2]
    assert "no key has this id" in command(capsys, "revoke", "shop", *db)[2]

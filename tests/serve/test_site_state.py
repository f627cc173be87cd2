"""A site with unusable artefacts or databases says so, and doctor gives the fix."""

import json
import logging
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from matinee.cli.health import artefact_findings, model_of
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.serve.app import create_app, serve
from matinee.serve.http.middleware import HEADERS
from matinee.serve.http.server import Server, ServerSettings
from matinee.serve.startup import WaitingApp, load_compatible, unavailable_app
from matinee.store.database import DatabaseNotReady, SqlDatabase
from matinee.store.health import check_database
from matinee.store.migrations import newest
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab
from site_fixtures import CHEAP, NOW, train


@pytest.fixture(scope="module")
def odd(artefact_paths: list[Path], known_movies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Artefacts that cannot be served beside EASE of known_movies, by their problem."""
    folder = tmp_path_factory.mktemp("odd")
    damaged = shutil.copytree(artefact_paths[1], folder / "damaged")
    (damaged / "arrays.safetensors").write_bytes(b"\x00" * 100)
    some = known_movies.events.item_rows % 2 == 0
    other = train("item-knn", known_movies.keep(some), folder / "other")
    return {"missing": folder / "nothing", "damaged": damaged, "other data": other, "twice": artefact_paths[2]}


@pytest.mark.parametrize(
    ("matter", "logged"),
    [
        ("missing", "no artefact at"),
        ("damaged", "is damaged"),
        ("other data", "was fitted on other data"),
        ("twice", "two artefacts hold the model 'ease'"),
    ],
)
def test_unusable_artefacts_are_left_out_and_the_site_says_so(
    artefact_paths: list[Path], odd: dict[str, Path], tmp_path: Path, caplog: Any, matter: str, logged: str
) -> None:
    paths = [artefact_paths[2], odd[matter]]
    with pytest.raises(MatineeError):
        create_app(paths, db_url=f"sqlite:///{tmp_path}/s.db", clock=lambda: NOW, hasher=CHEAP)
    app = create_app(
        paths, db_url=f"sqlite:///{tmp_path}/s.db", clock=lambda: NOW, default="item-knn", hasher=CHEAP, strict=False
    )
    assert logged in caplog.text
    client = TestClient(app)
    page = client.get("/about").text
    assert "1 model of this site is not available" in page
    assert str(tmp_path.parent) not in page  # visitors see no folder of the server
    assert client.get("/health/ready").json()["models"] == ["ease"]
    assert client.get("/").status_code == 200


def test_a_complete_site_mentions_no_missing_models(client: TestClient) -> None:
    assert "not available" not in client.get("/about").text


def test_the_first_usable_artefact_decides_the_data(artefact_paths: list[Path], odd: dict[str, Path]) -> None:
    found, left_out = load_compatible([odd["missing"], odd["other data"], *artefact_paths])
    assert [artefact.name for artefact in found] == ["item-knn"]
    assert left_out == ["nothing", *(path.name for path in artefact_paths)]


def test_a_site_that_has_not_started_has_a_page_in_both_languages() -> None:
    client = TestClient(unavailable_app())
    for path in ("/", "/my", "/movie/1", "/no/such/page"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "Not open yet" in answer.text
        assert "matinee doctor" in answer.text
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    assert "아직 준비 중이에요" in client.get("/", headers={"accept-language": "ko"}).text
    assert client.post("/mark", data={"item_id": "1"}).status_code == 503
    for method, path in (
        ("GET", "/health"),
        ("GET", "/health/ready"),
        ("PUT", "/api/v1/items/1"),
        ("DELETE", "/api/v1/users/1"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["status"], answer.headers["retry-after"]) == (503, "not ready", "5")
    assert client.get("/api/v1/items").json()["status"] == "not ready"
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    assert client.get("/static/site.css").status_code == 200


def test_a_site_without_usable_artefacts_does_not_start(tmp_path: Path, caplog: Any) -> None:
    with pytest.raises(MatineeError, match="a site needs at least one artefact"):
        serve([tmp_path / "none"], ServerSettings(port=0), db=f"sqlite:///{tmp_path}/s.db")
    assert "no artefact at" in caplog.text


class Started(Server):
    """A server that only makes its application start, for as long as a test needs."""

    app: Any = None

    def run(self, sockets: object = None) -> None:
        """Use the application instead of listening."""
        Started.app = self.config.app


def test_a_locked_database_is_waited_for(artefact_paths: list[Path], tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "busy.db"
    SqlDatabase(f"sqlite:///{path}").close()
    monkeypatch.setattr("matinee.serve.http.server.Server", Started)
    error = sqlite3.OperationalError("database is locked")
    tries: list[int] = []

    def busy(connection: Connection) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("BEGIN IMMEDIATE", {}, error)

    monkeypatch.setattr("matinee.store.database.upgrade", busy)
    monkeypatch.setattr("matinee.serve.startup.RETRY_SECONDS", 0.01)
    serve([artefact_paths[0]], ServerSettings(port=0), db=f"sqlite:///{path}")
    with TestClient(Started.app) as client:
        assert client.get("/health/live").status_code == 200
        first = client.get("/health/ready")
        assert first.status_code in {200, 503}
        deadline = time.monotonic() + 20
        while client.get("/health/ready").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ("database is locked", True),
        ("connection to server at 127.0.0.1, port 5432 failed: Connection refused", True),
        ("FATAL:  the database system is starting up", True),
        ("(2003, \"Can't connect to MySQL server on 'db'\")", True),
        ("could not translate host name db to address", True),
        ("FATAL:  sorry, too many clients already", True),
        ('FATAL:  password authentication failed for user "m"', False),
        ('FATAL:  database "films" does not exist', False),
        ("unable to open database file", False),
        ("attempt to write a readonly database", False),
        ("no such table: events", False),
        ("Access denied for user 'm'@'127.0.0.1'", False),
    ],
)
def test_what_passes_by_itself_is_waited_for_and_nothing_else(
    tmp_path: Path, monkeypatch: Any, message: str, passes: bool
) -> None:
    def fail(connection: Connection) -> None:
        raise OperationalError("", {}, sqlite3.OperationalError(message))

    monkeypatch.setattr("matinee.store.database.upgrade", fail)
    with pytest.raises(MatineeError) as caught:
        SqlDatabase(f"sqlite:///{tmp_path}/s.db")
    assert isinstance(caught.value, DatabaseNotReady) == passes


def test_a_failure_that_waiting_does_not_help_ends_the_wait(caplog: Any) -> None:
    def make() -> FastAPI:
        raise MatineeError("the password is wrong")

    waiting, stopped = WaitingApp(make, "locked"), threading.Event()
    waiting.stop = stopped.set
    with TestClient(waiting):
        assert stopped.wait(10)
    assert str(waiting.failure) == "the password is wrong"


def test_doctor_gives_the_fix_for_each_artefact(artefact_paths: list[Path], odd: dict[str, Path]) -> None:
    ease = artefact_paths[2]
    findings = list(artefact_findings([ease, odd["missing"], odd["damaged"], odd["other data"], artefact_paths[0]]))
    assert [ok for _, ok, _, _ in findings] == [True, False, False, False, True]
    fixes = [fix for _, _, _, fix in findings]
    assert fixes[1] == f"train it again: matinee train MODEL --out {odd['missing']}"
    assert fixes[2] == f"train it again: matinee train item-knn --out {odd['damaged']}"
    assert "was fitted on other data" in findings[3][2]
    assert f"matinee train item-knn --data {known_name(ease)} --out {odd['other data']}" in fixes[3]
    assert model_of(ease) == "ease"
    assert model_of(odd["missing"]) is None


def known_name(path: Path) -> str:
    return str(json.loads((path / "manifest.json").read_text())["data"]["name"])


def test_check_database_does_not_change_it(tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    missing = check_database(f"sqlite:///{path}")
    assert missing.ok
    assert "none yet" in missing.found
    assert not path.exists()
    log = SqlEvents(SqlDatabase(f"sqlite:///{path}"), Vocab.of([1]))
    log.append([LiveEvent("u", 1, "rating", 3, n) for n in range(3)])
    log.close()
    before = path.read_bytes()
    state = check_database(f"sqlite:///{path}")
    assert state.ok
    assert "3 events, 0 members" in state.found
    assert path.read_bytes() == before


def test_check_database_reports_the_problem_and_the_fix(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be taken for one" * 20)
    newer = tmp_path / "newer.db"
    SqlDatabase(f"sqlite:///{newer}").close()
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (str(newest() + 5),))
    connection.close()
    broken = tmp_path / "broken.db"
    log = SqlEvents(SqlDatabase(f"sqlite:///{broken}"), Vocab.of(range(50)))
    log.append([LiveEvent(f"user {n}", n % 50, "rating", 3, n) for n in range(3000)])
    log.close()
    raw = bytearray(broken.read_bytes())
    raw[8192 : 8192 + 30_000] = b"\xff" * 30_000
    broken.write_bytes(raw)
    for url, says, fix in (
        (f"sqlite:///{text}", "not a database", "restore a backup"),
        (f"sqlite:///{newer}", "newer Matinee", "update Matinee"),
        (f"sqlite:///{broken}", "broken.db", "restore a backup"),
        ("nonsense", "none yet", ""),
        ("nonsense://x", "not a database URL", "for example"),
        (f"sqlite:///{text}/x.db", "is not writable", "make the folder writable"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/none", "", "start the server"),
    ):
        state = check_database(url)
        assert state.ok == (url == "nonsense"), url
        assert says in state.found
        assert fix in state.fix or "pip install" in state.fix
        assert "secret" not in state.found + state.fix
        assert "\n" not in state.found


def test_doctor_on_the_command_line(artefact_paths: list[Path], tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from matinee.cli import main; main()",
        "doctor",
        str(artefact_paths[2]),
        str(tmp_path / "gone"),
        "--json",
    ]
    command += ["--db", f"sqlite:///{tmp_path}/none.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks[str(artefact_paths[2])]["ok"]
    assert not checks[str(tmp_path / "gone")]["ok"]
    assert checks["database"]["ok"]
    assert done.returncode == 1


def test_an_empty_database_is_a_site_with_no_members(client: TestClient) -> None:
    for path in ("/", "/my", "/about", "/search?q=alien", "/my/data.json", "/log-in", "/sign-up"):
        assert client.get(path).status_code == 200


def test_reasons_are_logged_under_the_name_of_the_project(odd: dict[str, Path], caplog: Any) -> None:
    with caplog.at_level(logging.WARNING, logger="matinee"):
        load_compatible([odd["missing"]])
    assert [record.name for record in caplog.records] == ["matinee"]

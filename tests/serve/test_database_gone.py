"""A database file that is deleted, replaced or written over while the site runs: said, refused, and pages go on."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.serve.app import create_app
from matinee.store.database import SqlDatabase
from matinee.store.identity import settle
from site_fixtures import CHEAP, NOW, SiteClient, key_headers

WATCHED = {"item_id": 1214, "kind": "watched"}
RATED = {"item_id": "1214", "mark": "4", "next": "/"}


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.rename(path.with_suffix(".aside"))
    path.write_bytes(path.with_suffix(".aside").read_bytes())


def write_over(path: Path, data: bytes) -> None:
    """As `cp` does: the file stays the same one."""
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(data)


def other_site(path: Path) -> bytes:
    """The database of another site, of the same version."""
    other = path.with_name("other.db")
    database = SqlDatabase(f"sqlite:///{other}")
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO site_identity VALUES ('another', '{}')")
    database.close()
    return other.read_bytes()


def empty_database(path: Path) -> bytes:
    with closing(sqlite3.connect(path.with_name("empty.db"))) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.commit()
    return path.with_name("empty.db").read_bytes()


CHANGES: dict[str, Callable[[Path], None]] = {
    "deleted": delete,
    "replaced": replace,
    "another site's": lambda path: write_over(path, other_site(path)),
    "another application's": lambda path: write_over(path, empty_database(path)),
    "no database": lambda path: write_over(path, b"no database at all" * 1000),
    "empty": lambda path: write_over(path, b""),
    "cut short": lambda path: write_over(path, path.read_bytes()[:5000]),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "site.db"


@pytest.fixture
def site(artefact_paths: list[Path], path: Path) -> Iterator[FastAPI]:
    app = create_app(artefact_paths, db_url=f"sqlite:///{path}", clock=lambda: NOW, hasher=CHEAP)
    yield app
    app.state.site.database.close()


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_said_and_refused_and_pages_go_on(site: FastAPI, path: Path, change: str) -> None:
    client, headers = SiteClient(site), key_headers(site, "write")
    client.post("/api/v1/events", json=WATCHED)
    assert "not available" not in client.get("/").text
    CHANGES[change](path)
    site.state.site.database.look()  # as the site does each second
    health = client.get("/health/ready")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert "database" in health.json()["why"][0]
    assert "put it back, or start the site again" in health.json()["why"][0]
    for sent in ({"json": WATCHED}, {"json": WATCHED | {"user_id": "u"}, "headers": headers}):
        refused = client.post("/api/v1/events", **sent)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    for page in ("/", "/movie/1214", "/models/ease", "/search?q=alien", "/compare?models=ease,item-knn", "/about"):
        answer = client.get(page)
        assert (answer.status_code, "not available" in answer.text) == (200, True), page
    assert client.get("/my").status_code == 503
    assert client.get("/api/v1/recommendations").status_code == 503  # not a stranger's list in silence
    assert client.get("/api/v1/recommendations?history=1214").status_code == 200
    assert client.post("/mark", data=RATED).status_code in (403, 503)


def test_it_goes_on_when_the_file_is_back(site: FastAPI, path: Path) -> None:
    client = TestClient(site)
    path.rename(path.with_suffix(".aside"))
    assert client.post("/api/v1/events", json=WATCHED).status_code == 503
    path.with_suffix(".aside").rename(path)
    assert client.post("/api/v1/events", json=WATCHED).status_code == 201
    assert client.get("/health/ready").json()["status"] == "ready"


def test_an_older_copy_of_itself_is_noticed_and_erasing_is_none(site: FastAPI, path: Path) -> None:
    database, client = site.state.site.database, SiteClient(site)

    def say(n: int) -> None:
        for _ in range(n):
            assert client.post("/api/v1/events", json=WATCHED).status_code == 201
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        database.look()
        assert database.gone is None

    say(2)
    older = path.read_bytes()
    say(3)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM events")
    say(0)  # the numbers of erased events are not given back
    newer = path.read_bytes()
    write_over(path, older)
    database.look()
    assert client.post("/api/v1/events", json=WATCHED).status_code == 503
    assert "an older copy of itself" in client.get("/health/ready").json()["why"][0]
    write_over(path, newer)
    database.look()
    assert client.get("/health/ready").json()["status"] == "ready"


def test_looking_drops_no_lock_of_the_database(site: FastAPI, path: Path) -> None:
    """POSIX drops a process's locks of a file when it closes any of its descriptors; SQLite must know of all."""
    database = site.state.site.database
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM lists")
        database.look()
        for _ in range(2):
            code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN EXCLUSIVE')"
            found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
            assert "database is locked" in found.stderr


def test_the_site_looks_each_second(artefact_paths: list[Path], path: Path) -> None:
    app = create_app(artefact_paths[:1], db_url=f"sqlite:///{path}", clock=lambda: NOW, hasher=CHEAP)
    looked = []
    app.state.site.database.look = lambda: looked.append(1)
    with TestClient(app) as client:
        for _ in range(100):
            client.get("/health/live")
            if looked:
                break
            time.sleep(0.1)
    assert looked


def test_a_locked_database_is_not_taken_for_another(site: FastAPI, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        site.state.site.database.look()
        assert site.state.site.database.gone is None
        other.execute("ROLLBACK")


def test_a_site_does_not_start_over_another_catalogue(site: FastAPI, path: Path, artefact_paths: list[Path]) -> None:
    database = site.state.site.database
    settle(database, next(iter(site.state.site.engine.artefacts.values())))
    with database.write() as connection:
        connection.exec_driver_sql("""UPDATE site_identity SET catalogue = json_set(catalogue, '$.kind', 'click')""")
    with pytest.raises(Exception, match="another catalogue"):
        create_app(artefact_paths, db_url=f"sqlite:///{path}", clock=lambda: NOW, hasher=CHEAP)

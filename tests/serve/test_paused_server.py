"""A database server that keeps its connections and answers nothing: said within seconds, and found again."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from database_servers import SERVERS
from matinee.store import servers
from server_fixtures import FindServer, ServerDatabases

EVENT = {"item_id": 1, "kind": "click"}


@pytest.fixture(params=SERVERS)
def databases(
    request: pytest.FixtureRequest, database_servers: FindServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServerDatabases]:
    """Those of a running server, of which a site expects an answer within a second."""
    for deadline in ("SILENCE_SECONDS", "CONNECT_SECONDS"):
        monkeypatch.setattr(servers, deadline, 1)
    databases = database_servers(request.param)
    yield databases
    databases.server.resume()


@pytest.fixture
def db_url(databases: ServerDatabases) -> str:
    return databases.empty(0)


@pytest.mark.slow
def test_a_server_that_is_paused_is_said_within_seconds_and_found_again(
    databases: ServerDatabases, client: TestClient
) -> None:
    assert client.post("/api/v1/events", json=EVENT | {"event_id": "before"}).status_code == 201
    databases.server.pause()
    begin = time.monotonic()
    refused = client.post("/api/v1/events", json=EVENT | {"event_id": "while"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    with ThreadPoolExecutor(3) as several:
        health = several.submit(client.get, "/health/ready")
        pages = [several.submit(client.get, path) for path in ("/my", "/api/v1/recommendations")]
    assert (health.result().status_code, health.result().json()["status"]) == (503, "not ready")
    assert [page.result().status_code for page in pages] == [503, 503]
    assert time.monotonic() - begin < 15
    databases.server.resume()
    deadline = time.monotonic() + 20
    while client.get("/health/ready").status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    for event_id in ("before", "while"):
        assert client.post("/api/v1/events", json=EVENT | {"event_id": event_id}).status_code in (200, 201)
    assert len(client.get("/api/v1/users/me").json()["events"]) == 2

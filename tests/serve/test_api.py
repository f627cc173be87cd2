"""The JSON API: its answers, who may ask, and what it refuses."""

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.serve.api.events import MAX_EVENTS
from matinee.serve.site import MAX_K, Site
from site_fixtures import NOW, count_events

ALIEN, MATRIX, TOY_STORY = 1214, 2571, 1


def site_of(app: FastAPI) -> Site:
    site: Site = app.state.site
    return site


def rate(client: TestClient, item_id: int, value: float = 5, **more: object) -> dict[str, int]:
    answer = client.post("/api/v1/events", json={"item_id": item_id, "kind": "rating", "value": value, **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, int] = answer.json()
    return found


def test_a_given_history_gets_the_list_of_rank(client: TestClient, app: FastAPI) -> None:
    site = site_of(app)
    answer = client.get("/api/v1/recommendations", params={"history": f"{ALIEN},{MATRIX}", "k": 7, "explain": True})
    rows = site.engine.items.rows([ALIEN, MATRIX]).tolist()
    wanted = rank(site.engine.artefacts["ease"].model, Histories.of([rows]), 7)
    found = answer.json()
    assert found["model"] == "ease"
    assert [item["item_id"] for item in found["items"]] == [site.engine.items.id(int(row)) for row in wanted.items[0]]
    np.testing.assert_allclose([item["score"] for item in found["items"]], wanted.scores[0], atol=1e-6)
    assert [item["rank"] for item in found["items"]] == list(range(1, 8))
    assert {reason["item_id"] for item in found["items"] for reason in item["because"]} <= {ALIEN, MATRIX}
    assert found["items"][0]["because"]


def test_a_list_from_given_items_or_without_them(client: TestClient) -> None:
    ask = {"history": str(ALIEN), "k": 5}
    found = client.get("/api/v1/recommendations", params=ask | {"among": f"{MATRIX}, {TOY_STORY},zzz,{ALIEN}"}).json()
    assert {item["item_id"] for item in found["items"]} == {MATRIX, TOY_STORY}
    assert found["notes"] == ["among: 1 of 4 ids are unknown and skipped (zzz)"]
    best = [item["item_id"] for item in client.get("/api/v1/recommendations", params=ask | {"k": 7}).json()["items"]]
    rest = client.get("/api/v1/recommendations", params=ask | {"without": f"{best[0]},{best[2]}"}).json()
    assert [item["item_id"] for item in rest["items"]] == [best[1], *best[3:7]]
    assert "notes" not in rest
    popular = client.get("/api/v1/recommendations", params={"among": str(MATRIX)}).json()  # no history yet
    assert [item["item_id"] for item in popular["items"]] == [MATRIX]
    refused = client.get("/api/v1/recommendations", params=ask | {"among": ""})
    assert refused.status_code == 422
    assert "among has no ids" in refused.text


def test_a_visitors_events_change_their_own_list_at_once(client: TestClient) -> None:
    guest = client.get("/api/v1/recommendations").json()
    assert {item["model"] for item in guest["items"]} == {"popularity"}
    assert rate(client, ALIEN) == {"accepted": 1, "duplicates": 0}
    mine = client.get("/api/v1/recommendations", params={"explain": True}).json()
    assert mine["history_length"] == 1
    assert ALIEN not in [item["item_id"] for item in mine["items"]]
    assert [reason["title"] for reason in mine["items"][0]["because"]] == ["Alien (1979)"]


def test_events_are_safe_to_send_twice_and_go_all_or_none(client: TestClient, app: FastAPI) -> None:
    event = {"item_id": ALIEN, "kind": "rating", "value": 4, "event_id": "tap-1"}
    assert client.post("/api/v1/events", json=[event, event | {"event_id": "tap-2"}]).json()["accepted"] == 2
    assert client.post("/api/v1/events", json=event).json() == {"accepted": 0, "duplicates": 1}
    bad = [{"item_id": MATRIX, "kind": "click"}, {"item_id": 99999999, "kind": "click"}]
    assert client.post("/api/v1/events", json=bad).status_code == 422
    assert count_events(site_of(app).database) == 2


def test_items_are_found_and_described(client: TestClient) -> None:
    found = client.get("/api/v1/items", params={"query": "the matrx", "k": 3}).json()
    assert found[0] == client.get(f"/api/v1/items/{MATRIX}").json() | {"matched": "title"}
    assert found[0]["title"] == "Matrix, The (1999)"
    assert found[0]["year"] == 1999
    popular = client.get("/api/v1/items", params={"k": 5}).json()
    assert [item["popularity"] for item in popular] == sorted((item["popularity"] for item in popular), reverse=True)


def test_similar_items(client: TestClient) -> None:
    found = client.get(f"/api/v1/items/{TOY_STORY}/similar", params={"k": 5}).json()
    assert found["model"] == "item-knn"
    assert len(found["items"]) == 5
    assert TOY_STORY not in [item["item_id"] for item in found["items"]]
    refused = client.get(f"/api/v1/items/{TOY_STORY}/similar?model=popularity")
    assert refused.status_code == 422
    assert "item-knn" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (f"/api/v1/recommendations?k={MAX_K + 1}", 422, "less than or equal"),
        ("/api/v1/recommendations?k=0", 422, "greater than or equal"),
        ("/api/v1/recommendations?k=many", 422, "integer"),
        ("/api/v1/recommendations?model=eaze", 422, "did you mean 'ease'"),
        ("/api/v1/recommendations?history=1,matrx", 422, "did you mean 2571 (Matrix, The (1999))"),
        ("/api/v1/recommendations?history=1,99999999", 422, "no item '99999999'"),
        ("/api/v1/recommendations?history=1&user_id=2", 422, "give one of them"),
        ("/api/v1/recommendations?history=" + "1," * 1500, 422, "at most 1000"),
        ("/api/v1/items/99999999", 404, "no item"),
        ("/api/v1/items/-1", 404, "no item"),
        ("/api/v1/items/%F0%9F%8E%AC/similar", 404, "no item"),
        ("/api/v1/items?query=" + "x" * 101, 422, "at most 100"),
        ("/api/v1/nothing", 404, "Not Found"),
    ],
)
def test_invalid_requests_get_json_errors(client: TestClient, path: str, status: int, says: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.text


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"item_id": ALIEN},
        {"item_id": ALIEN, "kind": "rating"},
        {"item_id": ALIEN, "kind": "rating", "value": 9},
        {"item_id": ALIEN, "kind": "rating", "value": 0},
        {"item_id": ALIEN, "kind": "click", "value": 3},
        {"item_id": ALIEN, "kind": "stolen"},
        {"item_id": True, "kind": "click"},
        {"item_id": [1], "kind": "click"},
        {"item_id": ALIEN, "kind": "click", "at": -1},
        {"item_id": ALIEN, "kind": "click", "at": NOW + 10_000},
        {"item_id": ALIEN, "kind": "click", "event_id": "x" * 101},
        {"item_id": ALIEN, "kind": "click", "surprise": 1},
        {"item_id": "'; DROP TABLE events; --", "kind": "click"},
        [],
        [{"item_id": ALIEN, "kind": "click"}] * (MAX_EVENTS + 1),
        "text",
        None,
    ],
)
def test_an_invalid_event_is_refused_and_nothing_is_written(client: TestClient, app: FastAPI, event: object) -> None:
    answer = client.post("/api/v1/events", json=event)
    assert answer.status_code == 422, answer.text
    assert "detail" in answer.json()
    assert count_events(site_of(app).database) == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"item_id": 1214, "kind": "rating", "value": NaN}', b"\xff\xfe", b"[" * 5000]
)
def test_a_body_that_is_not_json_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert "detail" in answer.json()


def test_health(client: TestClient, app: FastAPI) -> None:
    assert client.get("/health/live").json()["status"] == "alive"
    ready = client.get("/health/ready")
    assert ready.json() == {
        "status": "ready",
        "why": [],
        "lists_waiting": 0,
        "lists_dropped": 0,
        "models": ["popularity", "item-knn", "ease"],
        "items": ready.json()["items"],
        "version": None,
        "lists": [],
    }


def test_a_closed_database_is_not_ready(client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(site_of(app).database), "is_readable", lambda self: False)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")


def test_the_api_documentation_loads_nothing_from_other_hosts(client: TestClient) -> None:
    schema = client.get("/api/openapi.json").json()
    page = client.get("/api/docs").text
    for path in schema["paths"]:
        assert path in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://testserver/", "/")
    assert "https://" not in page


def test_the_first_request_of_a_program_can_be_sent_again(app: FastAPI) -> None:
    sent = {"item_id": ALIEN, "kind": "rating", "value": 4, "event_id": "first"}
    headers = {"X-Client-Id": "a-secret-of-a-program-1"}
    answers = [
        TestClient(app).post("/api/v1/events", json=sent, headers=headers) for _ in range(2)
    ]  # no cookie is kept
    assert [answer.json() for answer in answers] == [{"accepted": 1, "duplicates": 0}, {"accepted": 0, "duplicates": 1}]
    other = TestClient(app).post("/api/v1/events", json=sent | {"value": 3}, headers=headers)
    assert other.status_code == 409
    assert "'first'" in other.json()["detail"]
    assert "value" in other.json()["detail"]
    for client_id, status in (("another-secret-of-another", 201), ("too short", 422), ("x" * 101, 422)):
        answer = TestClient(app).post("/api/v1/events", json=sent, headers={"X-Client-Id": client_id})
        assert answer.status_code == status

"""Lists asked for in a body, events with an outcome each, users, and errors as problems."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.dataset import Dataset
from matinee.histories import EventSource
from matinee.ranking.rank import rank
from site_fixtures import count_events, key_headers

ALIEN, MATRIX, TOY_STORY = 1214, 2571, 1


def ids_of(found: dict) -> list:
    return [item["item_id"] for item in found["items"]]


def test_a_user_of_the_training_log_gets_the_list_of_the_model(
    client: TestClient, app: FastAPI, known_movies: Dataset
) -> None:
    user_id = int(known_movies.users.ids[3])
    history = EventSource(known_movies.events, known_movies.users).histories([user_id])
    engine = app.state.site.engine
    wanted = [engine.items.id(int(row)) for row in rank(engine.artefacts["ease"].model, history, 10).items[0]]
    headers = key_headers(app, "read")
    found = client.get(f"/api/v1/recommendations?user_id={user_id}", headers=headers).json()
    assert (found["model"], found["history_length"], ids_of(found)) == ("ease", len(history.items), wanted)
    stranger = client.get("/api/v1/recommendations?user_id=nobody", headers=headers).json()
    assert (stranger["model"], stranger["history_length"]) == ("popularity", 0)


def test_what_a_known_user_does_on_the_site_counts_after_the_training_log(
    client: TestClient, app: FastAPI, known_movies: Dataset
) -> None:
    user_id, headers = int(known_movies.users.ids[3]), key_headers(app, "read", "write")
    before = client.get(f"/api/v1/recommendations?user_id={user_id}", headers=headers).json()
    first = ids_of(before)[0]
    client.post("/api/v1/events", json={"item_id": first, "kind": "watched", "user_id": user_id}, headers=headers)
    after = client.get(f"/api/v1/recommendations?user_id={user_id}", headers=headers).json()
    assert after["history_length"] == before["history_length"] + 1
    assert first not in ids_of(after)


@pytest.mark.sqlite_only
def test_several_users_get_the_lists_that_each_gets_alone(
    client: TestClient, app: FastAPI, known_movies: Dataset
) -> None:
    users = [int(user) for user in known_movies.users.ids[:3]]
    headers = key_headers(app, "read")
    found = client.post("/api/v1/recommendations", json={"user_ids": [*users, "new"], "k": 5}, headers=headers).json()
    assert [one.get("user_id") for one in found["lists"]] == [*users, "new"]
    for user, together in zip(users, found["lists"], strict=False):
        alone = client.get(f"/api/v1/recommendations?user_id={user}&k=5", headers=headers).json()
        assert ids_of(together) == ids_of(alone)
    assert client.post("/api/v1/recommendations", json={"user_ids": users}).status_code == 401


@pytest.mark.sqlite_only
def test_unknown_ids_of_a_history_are_skipped_and_counted(client: TestClient) -> None:
    plain = client.get(f"/api/v1/recommendations?history={ALIEN},{MATRIX}").json()
    found = client.post("/api/v1/recommendations", json={"history": [ALIEN, "zzz", 99999999, MATRIX]}).json()
    assert ids_of(found["lists"][0]) == ids_of(plain)
    assert found["notes"] == ["history: 2 of 4 ids are unknown and skipped (zzz, 99999999)"]


@pytest.mark.sqlite_only
def test_filters_and_explanations_in_a_body(client: TestClient) -> None:
    asked = {"history": [ALIEN], "genres": ["Comedy"], "from_year": 1990, "to_year": 1995, "explain": True, "k": 5}
    items = client.post("/api/v1/recommendations", json=asked).json()["lists"][0]["items"]
    assert items
    assert all("Comedy" in item["genres"] and 1990 <= item["year"] <= 1995 for item in items)
    best = client.post("/api/v1/recommendations", json={"history": [ALIEN], "among": [MATRIX, TOY_STORY]}).json()
    assert set(ids_of(best["lists"][0])) == {MATRIX, TOY_STORY}


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "body",
    [
        {"user_ids": [1], "history": [1]},
        {"user_ids": []},
        {"user_ids": [""]},
        {"user_ids": list(range(101))},
        {"history": [1] * 1001},
        {"history": [True]},
        {"history": [1.5]},
        {"k": 0},
        {"k": 101},
        {"from_year": 2000, "to_year": 1990},
        {"novelty": 1.1},
        {"genres": ["Comedie"]},
        {"among": []},
        {"model": "eaze"},
        {"surprise": 1},
        [],
        None,
    ],
)
def test_wrong_bodies_are_problems(client: TestClient, app: FastAPI, body: object) -> None:
    answer = client.post("/api/v1/recommendations", json=body, headers=key_headers(app, "read"))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["request_id"] == answer.headers["x-request-id"]
    assert (found["status"], found["title"]) == (422, "Unprocessable Content") or found["title"]
    assert found["detail"]


def test_what_comes_after_an_item_leaves_the_item_and_withdrawn_ones_out(client: TestClient, app: FastAPI) -> None:
    found = ids_of(client.get(f"/api/v1/items/{ALIEN}/next?k=5").json())
    assert ALIEN not in found
    client.delete(f"/api/v1/items/{found[0]}", headers=key_headers(app, "admin"))
    left = ids_of(client.get(f"/api/v1/items/{ALIEN}/next?k=5").json())
    assert left[:4] == found[1:]
    asked = client.post("/api/v1/recommendations", json={"history": [ALIEN], "k": 100}).json()
    assert found[0] not in ids_of(asked["lists"][0])


def test_a_batch_says_what_became_of_each_row(client: TestClient, app: FastAPI) -> None:
    event = {"item_id": ALIEN, "kind": "rating", "value": 4, "event_id": "a"}
    rows = [event, event, event | {"value": 3}, {"kind": "click"}, {"item_id": 99999999, "kind": "click"}, 7]
    found = client.post("/api/v1/events/batch", json=rows).json()
    assert [row["status"] for row in found["rows"]] == ["accepted", "duplicate", *["rejected"] * 4]
    assert (found["accepted"], found["duplicate"], found["rejected"]) == (1, 1, 4)
    assert all(row["reason"] for row in found["rows"][2:])
    assert "value" in found["rows"][2]["reason"]
    assert count_events(app.state.site.database) == 1
    assert client.post("/api/v1/events/batch", json=[]).status_code == 422
    assert client.post("/api/v1/events/batch", json=[event | {"user_id": 1}]).status_code == 401


def test_an_event_id_is_that_of_its_api_key(client: TestClient, app: FastAPI) -> None:
    one, two = key_headers(app, "write"), key_headers(app, "write")
    event = {"item_id": ALIEN, "kind": "rating", "value": 4, "event_id": "x" * 100, "user_id": 42}
    sent = [client.post("/api/v1/events", json=event, headers=headers).json() for headers in (one, two, one)]
    assert [answer["accepted"] for answer in sent] == [1, 1, 0]
    conflict = client.post("/api/v1/events", json=event | {"value": 1}, headers=two)
    assert conflict.status_code == 409
    assert repr("x" * 100) in conflict.json()["detail"]


def test_users_are_exported_and_erased_by_themselves_or_a_key(client: TestClient, app: FastAPI) -> None:
    assert client.get("/api/v1/users/me").status_code == 404
    assert client.delete("/api/v1/users/me").status_code == 404
    client.post("/api/v1/events", json={"item_id": ALIEN, "kind": "watched"})
    mine = client.get("/api/v1/users/me").json()
    assert [event["item_id"] for event in mine["events"]] == [str(ALIEN)]
    user_id = mine["user_id"]
    statuses = {}
    for scope in ("read", "write", "admin"):
        statuses[scope] = client.get(f"/api/v1/users/{user_id}", headers=key_headers(app, scope)).status_code
    assert statuses == {"read": 200, "write": 403, "admin": 200}
    assert client.get(f"/api/v1/users/{user_id}").status_code == 401
    assert client.delete(f"/api/v1/users/{user_id}").status_code == 401
    assert client.delete(f"/api/v1/users/{user_id}", headers=key_headers(app, "write")).status_code == 403
    erased = client.delete(f"/api/v1/users/{user_id}", headers=key_headers(app, "admin")).json()
    assert erased == {"user_id": user_id, "events": 1, "in_training": False}
    assert count_events(app.state.site.database) == 0
    client.post("/api/v1/events", json={"item_id": ALIEN, "kind": "watched"})
    assert client.delete("/api/v1/users/me").json()["events"] == 1


@pytest.mark.sqlite_only
def test_every_route_describes_its_errors_as_problems(client: TestClient) -> None:
    schema = client.get("/api/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert "application/problem+json" in operation["responses"]["500"]["content"], (method, path)
            assert ("422" in operation["responses"]) == bool(
                operation.get("parameters") or operation.get("requestBody")
            )
    assert "HTTPValidationError" not in str(schema)

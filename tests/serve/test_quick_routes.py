"""The quick way to answer a request gives what FastAPI's gives: each header and each byte."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.serve import impressions
from matinee.serve.api import asked_lists, lists
from matinee.serve.api.asked_query import read_query
from matinee.serve.api.schemas import ListOut, UserListsOut
from matinee.serve.http import access
from site_fixtures import key_headers

ALIEN, MATRIX = 1214, 2571
USUAL = [
    "", "k=3", "k=100", "explain=true", "explain=false&k=5", "model=ease", "model=item-knn&explain=true&k=4",
    f"history={ALIEN},{MATRIX}&explain=true", f"history={ALIEN}%2C%20{MATRIX}", "history=%20,", "user_id=1&k=2",
    "model=no-such-model", "history=zzz", f"user_id=1&history={ALIEN}", "user_id=no%00one",
]  # fmt: skip
"""Queries that are answered quickly, errors included."""
UNUSUAL = [
    "k=0", "k=101", "k=05", "k=x", "k=3&k=4", "explain=yes", "explain=maybe", "model=", f"model={'m' * 101}",
    "history=", "new=true", "rerank=novelty=0.5", "rerank=nonsense", "among=zzz", f"without={ALIEN}",
    "offset=3", "list=unknown", "unknown=1", f"user_id={'u' * 201}", "k=%C2%B2",
]  # fmt: skip
"""Queries that are left to FastAPI."""
PATH = "/api/v1/recommendations"


def compare(client: TestClient, patch: pytest.MonkeyPatch, method: str, query: str, headers: dict[str, str]) -> int:
    """Ask quickly and by FastAPI, and return the status of both."""
    answers = []
    for read in (read_query, lambda query: None):
        patch.setattr(lists, "read_query", read)
        answer = client.request(method, f"{PATH}?{query}", headers=headers)
        answers.append((answer.status_code, answer.headers.multi_items(), answer.content))
    assert answers[0] == answers[1]
    return answer.status_code


@pytest.mark.parametrize("language", ["en", "ko"])
def test_both_ways_give_the_same_answer(
    client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    client.post("/api/v1/events", json={"item_id": ALIEN, "kind": "rating", "value": 5})
    key = key_headers(app, "read")
    monkeypatch.setattr(impressions, "new_list_id", lambda: "a list")
    monkeypatch.setattr(access.secrets, "token_hex", lambda n: "00" * n)
    statuses = set()
    for query in USUAL + UNUSUAL:
        for more in (
            {},
            key,
            {"Authorization": "Bearer wrong"},
            {"Accept-Encoding": "gzip", "Origin": "http://a.test"},
        ):
            headers = {"Accept-Language": language} | more
            for method in ("GET", "HEAD"):
                statuses.add(compare(client, monkeypatch, method, query, headers))
    assert statuses == {200, 401, 404, 422}


BODIES = [
    {"history": [ALIEN, MATRIX]}, {"history": []}, {"history": [ALIEN, 999_999, "x"], "k": 3, "explain": True},
    {"history": [MATRIX], "model": "item-knn", "without": [ALIEN, 123_456]}, {"history": [MATRIX], "genres": ["Drama"]},
    {"history": [ALIEN], "k": 0}, {"history": [ALIEN], "model": "no-such-model"},
    {"history": [ALIEN], "user_ids": [1]},
    {"history": [ALIEN], "from_year": 2000, "to_year": 1990}, {"history": [ALIEN], "x": 1},
    {"user_ids": [1, 2]}, {}, [],
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ko"])
def test_both_ways_give_the_same_answer_to_a_body(
    client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    key = key_headers(app, "read")
    monkeypatch.setattr(impressions, "new_list_id", lambda: "a list")
    monkeypatch.setattr(access.secrets, "token_hex", lambda n: "00" * n)
    read, statuses = asked_lists.read_usual, set()

    async def nothing(request: object) -> None:
        return None

    for body in BODIES:
        for more in ({}, key, {"Authorization": "Bearer wrong"}):
            answers = []
            for reader in (read, nothing):
                monkeypatch.setattr(asked_lists, "read_usual", reader)
                answer = client.post(PATH, json=body, headers={"Accept-Language": language} | more)
                answers.append((answer.status_code, answer.headers.multi_items(), answer.content))
            assert answers[0] == answers[1]
            statuses.add(answer.status_code)
            if answer.status_code == 200:  # as its description says, byte for byte
                described = UserListsOut.model_validate_json(answer.content).model_dump_json(exclude_none=True)
                assert described.encode() == answer.content
    assert statuses == {200, 401, 422}


def test_usual_queries_are_read_and_no_others() -> None:
    assert all(read_query(query.encode()) for query in USUAL)
    assert not any(read_query(query.encode()) for query in [*UNUSUAL, "offset=0"])


def test_a_quick_list_is_logged_and_counted_as_any(client: TestClient, app: FastAPI) -> None:
    client.post("/api/v1/events", json={"item_id": ALIEN, "kind": "rating", "value": 5})
    found = client.get(f"{PATH}?k=3").json()
    logged = app.state.site.impressions.find(found["list_id"])
    assert list(logged.item_ids) == [item["item_id"] for item in found["items"]]
    assert (
        f'matinee_requests_total{{method="GET",route="{PATH}",status="200"}} 1.0'
        in app.state.site.metrics.text().decode()
    )


@pytest.mark.parametrize("query", ["", "explain=true", f"explain=true&history={ALIEN},{MATRIX}", "model=item-knn&k=2"])
def test_a_list_is_written_as_its_description_says(client: TestClient, query: str) -> None:
    client.post("/api/v1/events", json={"item_id": ALIEN, "kind": "rating", "value": 5})
    for _ in range(2):  # made, and kept
        written = client.get(f"{PATH}?{query}").content
        assert ListOut.model_validate_json(written).model_dump_json(exclude_none=True).encode() == written

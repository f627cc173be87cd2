"""A list that is kept is read on as it was made, whatever happened in between, until it expires."""

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.serve.api.paging import KEPT_ITEMS, KEPT_SECONDS
from matinee.store.kept_lists import REMEMBERED
from site_fixtures import NOW, key_headers

LISTS, ALIEN, MATRIX = "/api/v1/recommendations", 1214, 2571


def ids_of(found: dict[str, Any]) -> list[int]:
    return [item["item_id"] for item in found["items"]]


def read_all(client: TestClient, first: dict[str, Any], k: int, **headers: str) -> list[dict[str, Any]]:
    """All pages of a list."""
    pages = [first]
    while (offset := pages[-1].get("next_offset")) is not None:
        pages.append(client.get(f"{LISTS}?list={first['list_id']}&offset={offset}&k={k}", headers=headers).json())
    return pages


def watch(client: TestClient, item_id: int) -> None:
    assert client.post("/api/v1/events", json={"item_id": item_id, "kind": "watched"}).status_code == 201


def test_pages_make_up_the_list_as_it_was_while_events_come_in(client: TestClient) -> None:
    watch(client, ALIEN)
    whole = client.get(f"{LISTS}?k=100").json()
    first = client.get(f"{LISTS}?k=30&offset=0").json()
    assert (first["total"], first["offset"], first["next_offset"]) == (KEPT_ITEMS, 0, 30)
    assert first["expires"] == NOW + KEPT_SECONDS
    for item_id in ids_of(whole)[30:33]:
        watch(client, item_id)
    pages = read_all(client, first, 30)
    assert [page["list_id"] for page in pages] == [first["list_id"]] * 7
    items = [item for page in pages for item in page["items"]]
    assert [item["item_id"] for item in items][:100] == ids_of(whole)
    assert [item["rank"] for item in items] == list(range(1, KEPT_ITEMS + 1))
    assert "next_offset" not in pages[-1]
    assert ids_of(client.get(f"{LISTS}?k=100").json()) != ids_of(whole)
    assert client.get(f"{LISTS}?list={first['list_id']}&offset={KEPT_ITEMS}").json()["items"] == []


def test_reasons_filters_and_new_lists_are_kept_too(client: TestClient) -> None:
    asked = f"{LISTS}?history={ALIEN},{MATRIX}&explain=true&rerank=genres=Comedy&k=3&offset=0"
    first = client.get(asked).json()
    second = client.get(f"{LISTS}?list={first['list_id']}&offset=3&k=3").json()
    both = client.get(asked.replace("k=3&offset=0", "k=6")).json()
    assert ids_of(first) + ids_of(second) == ids_of(both)
    assert all("Comedy" in item["genres"] for item in second["items"])
    assert any(item.get("sentence") for item in first["items"])


def test_an_expired_list_says_so(client: TestClient, app: FastAPI) -> None:
    now = [NOW]
    object.__setattr__(app.state.site, "clock", lambda: now[0])
    list_id = client.get(f"{LISTS}?history={ALIEN}&offset=0").json()["list_id"]
    page = f"{LISTS}?list={list_id}&offset=10"
    for later, status in ((KEPT_SECONDS - 1, 200), (KEPT_SECONDS, 410), (KEPT_SECONDS + REMEMBERED, 410)):
        now[0] = NOW + later
        assert client.get(page).status_code == status
    assert str(NOW + KEPT_SECONDS) in client.get(page).json()["detail"]
    now[0] += 1
    client.get(f"{LISTS}?history={ALIEN}&offset=0")  # keeping one forgets the oldest
    assert client.get(page).status_code == 404


def test_a_list_is_read_by_whom_it_was_made_for(client: TestClient, app: FastAPI) -> None:
    watch(client, ALIEN)
    mine = client.get(f"{LISTS}?offset=0").json()["list_id"]
    headers = key_headers(app, "read")
    users = client.get(f"{LISTS}?user_id=1&offset=0", headers=headers).json()["list_id"]
    stranger = TestClient(app)
    watch(stranger, MATRIX)
    assert client.get(f"{LISTS}?list={mine}").status_code == 200
    assert stranger.get(f"{LISTS}?list={mine}").status_code == 404
    assert stranger.get(f"{LISTS}?list={users}").status_code == 401
    assert stranger.get(f"{LISTS}?list={users}", headers=key_headers(app, "write")).status_code == 403
    assert stranger.get(f"{LISTS}?list={users}", headers=headers).status_code == 200
    client.delete("/api/v1/users/me")
    assert client.get(f"{LISTS}?list={mine}").status_code == 404


def test_withdrawn_items_are_left_out(client: TestClient, app: FastAPI) -> None:
    first = client.get(f"{LISTS}?history={ALIEN}&offset=0&k=5").json()
    gone = ids_of(client.get(f"{LISTS}?list={first['list_id']}&offset=5&k=5").json())[1]
    client.delete(f"/api/v1/items/{gone}", headers=key_headers(app, "admin"))
    after = client.get(f"{LISTS}?list={first['list_id']}&offset=5&k=5").json()
    assert [item["rank"] for item in after["items"]] == [6, 8, 9, 10]


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("offset=5", 422),
        ("offset=-1", 422),
        (f"offset={KEPT_ITEMS + 1}", 422),
        ("offset=0&list=", 422),
        ("list=nothing", 404),
        ("list=nothing&model=ease", 422),
        ("list=nothing&history=1", 422),
        ("list=nothing&k=0", 422),
        ("list=" + "x" * 101, 422),
        ("list=%00", 422),
    ],
)
def test_wrong_pages_are_problems(client: TestClient, query: str, status: int) -> None:
    answer = client.get(f"{LISTS}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_without_a_database_there_is_a_first_page(
    client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(app.state.site.database), "gone", "the database file was deleted")
    found = client.get(f"{LISTS}?history={ALIEN}&offset=0&k=5").json()
    assert len(found["items"]) == 5
    assert "no further pages" in found["notes"][-1]
    assert "total" not in found

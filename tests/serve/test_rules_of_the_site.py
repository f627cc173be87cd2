"""What docs/serving.md states with a number, at the number and just beyond it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.serve.app import create_app
from matinee.serve.site import Site
from matinee.store.protocols import LiveEvent
from site_fixtures import CHEAP, NOW, Clock, SiteClient

ALIEN, MATRIX, TOY_STORY, PULP = 1214, 2571, 1, 296
DAY = 86_400


def items(page: str, section: str) -> list[int]:
    """The item ids of a section of a page, none where there is no such section."""
    found = re.search(rf'<section[^>]*id="{section}".*?</section>', page, re.DOTALL)
    return [int(item) for item in re.findall(r'data-item="(\d+)"', found.group(0))] if found else []


def mark(client: TestClient, item_id: int, what: str) -> str:
    answer = client.post("/mark", data={"item_id": str(item_id), "mark": what})
    assert answer.status_code == 200
    return answer.text


# What the API takes --------------------------------------------------------


@pytest.mark.parametrize(("k", "status"), [(0, 422), (1, 200), (100, 200), (101, 422)])
def test_a_list_has_1_to_100_items(client: TestClient, k: int, status: int) -> None:
    for path in ("recommendations", f"items/{ALIEN}/similar", "items"):
        assert client.get(f"/api/v1/{path}", params={"k": k}).status_code == status
    if status == 200:
        assert len(client.get("/api/v1/recommendations", params={"k": k}).json()["items"]) == k


@pytest.mark.parametrize(("n_events", "status"), [(0, 422), (1000, 201), (1001, 422)])
def test_a_request_has_up_to_1000_events(client: TestClient, n_events: int, status: int) -> None:
    sent = [{"item_id": ALIEN, "kind": "watched", "at": n} for n in range(n_events)]
    assert client.post("/api/v1/events", json=sent).status_code == status


@pytest.mark.parametrize(("n_items", "status"), [(1000, 200), (1001, 422)])
def test_a_history_has_up_to_1000_items(client: TestClient, n_items: int, status: int) -> None:
    history = ",".join([str(ALIEN), str(MATRIX)] * (n_items // 2) + [str(PULP)] * (n_items % 2))
    assert client.get("/api/v1/recommendations", params={"history": history}).status_code == status


@pytest.mark.parametrize(("seconds", "status"), [(300, 201), (301, 422)])
def test_an_event_may_be_5_minutes_ahead_of_the_clock(client: TestClient, seconds: int, status: int) -> None:
    event = {"item_id": ALIEN, "kind": "watched", "at": NOW + seconds}
    assert client.post("/api/v1/events", json=event).status_code == status


@pytest.mark.parametrize(("value", "status"), [(0.5, 201), (5, 201), (0.4, 422), (5.1, 422)])
def test_a_rating_is_half_a_star_to_five(client: TestClient, value: float, status: int) -> None:
    event = {"item_id": ALIEN, "kind": "rating", "value": value}
    assert client.post("/api/v1/events", json=event).status_code == status


def test_searching_takes_100_letters(client: TestClient) -> None:
    assert client.get("/api/v1/items", params={"query": "x" * 100}).status_code == 200
    assert client.get("/api/v1/items", params={"query": "x" * 101}).status_code == 422


@pytest.mark.parametrize(("more", "status"), [(0, 200), (4, 200), (5, 422), (-1, 422)])
def test_there_are_five_pages_of_movies_to_begin_with(client: TestClient, more: int, status: int) -> None:
    assert client.get("/", params={"more": more}).status_code == status


def test_pages_of_movies_to_begin_with_share_none(client: TestClient) -> None:
    pages = [items(client.get("/", params={"more": more}).text, "start") for more in range(5)]
    shown = [item for page in pages for item in page]
    assert len(shown) == len(set(shown)) == 60


# The first page ------------------------------------------------------------


def test_the_invitation_stays_with_one_row_after_three_movies(client: TestClient) -> None:
    for n, item_id in enumerate((ALIEN, MATRIX, TOY_STORY), start=1):
        mark(client, item_id, "5")
        assert len(items(client.get("/").text, "start")) == (12 if n < 3 else 6)


def test_five_genres_by_events_with_each_movie_on_the_first_that_it_fits(client: TestClient, app: FastAPI) -> None:
    site: Site = app.state.site
    catalogue, engine = site.catalogue, site.engine
    page = client.get("/").text
    shown = re.findall(r'<section[^>]*id="genre-(\d+)"', page)
    events = [
        sum(int(engine.popularity[row]) for row in range(len(catalogue)) if genre in catalogue.genres[row])
        for genre in catalogue.genre_names
    ]
    expected = sorted(range(len(events)), key=lambda column: (-events[column], column))[:5]
    assert [int(column) for column in shown] == expected
    above = re.findall(r'data-item="([^"]+)"', page.partition('id="genre-')[0])
    listed = set(engine.items.rows(above).tolist())  # no movie is on the page twice
    by_popularity = sorted(range(len(catalogue)), key=lambda row: (-engine.popularity[row], row))
    for column in expected:
        genre = catalogue.genre_names[column]
        rows = [row for row in by_popularity if genre in catalogue.genres[row] and row not in listed][:6]
        assert items(page, f"genre-{column}") == [engine.items.id(row) for row in rows]
        listed |= set(rows)


def test_three_stars_are_called_liked_and_two_are_not(client: TestClient) -> None:
    assert "Because you liked" in mark(client, ALIEN, "3")
    assert "Because you liked" not in mark(client, ALIEN, "2")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lately(artefact_paths: list[Path], tmp_path: Path, clock: Clock) -> Iterator[tuple[SiteClient, Site]]:
    """A browser and its site, whose clock is set by hand."""
    app = create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/lately.db", clock=clock, hasher=CHEAP)
    with SiteClient(app) as client:
        yield client, app.state.site


def test_popular_now_is_what_three_visitors_watched_in_28_days(lately: tuple[SiteClient, Site], clock: Clock) -> None:
    client, site = lately
    old, one, two = (site.engine.items.id(row) for row in np.argsort(site.engine.popularity, kind="stable")[:3])
    limit = NOW - 28 * DAY
    site.log.append([LiveEvent(user, old, "watched", 1, limit - 1) for user in ("a", "b", "c", "d")])
    site.log.append([LiveEvent("a", one, "rating", 4, NOW)])
    site.log.append([LiveEvent(user, two, "rating", 4, limit) for user in ("a", "b", "c")])
    shown = items(client.get("/").text, "popular-now")
    assert shown[0] == two
    assert not {old, one} & set(shown)
    # read again in the next minute, and not before
    site.log.append([LiveEvent(user, one, "watched", 1, NOW) for user in ("b", "c", "d")])
    clock.now = NOW - NOW % 60 + 59
    assert items(client.get("/").text, "popular-now")[0] == two
    clock.now += 1
    assert items(client.get("/").text, "popular-now")[0] == one


def test_new_guests_do_not_move_popular_now(lately: tuple[SiteClient, Site], clock: Clock) -> None:
    client, site = lately
    rare = site.engine.items.id(int(np.argsort(site.engine.popularity, kind="stable")[0]))
    for _ in range(10):
        guest = SiteClient(client.app)  # type: ignore[arg-type]
        guest.post("/mark", data={"item_id": str(rare), "mark": "5"})
    clock.now += 120
    assert rare not in items(client.get("/").text, "popular-now")
    clock.now += DAY
    assert items(client.get("/").text, "popular-now")[0] == rare


# Imports -------------------------------------------------------------------


def test_a_report_shows_the_first_300_rows_of_a_kind(client: TestClient) -> None:
    for n_rows, left in ((300, 0), (301, 1)):
        lines = ["title,year,rating"] + [f"No such film {n},1850,4" for n in range(n_rows)]
        files = {"files": ("films.csv", "\n".join(lines).encode(), "text/csv")}
        page = client.post("/my/import", data={"report": "page"}, files=files).text
        shown = {int(number) for number in re.findall(r"No such film (\d+)", page)}
        assert shown == set(range(300)), left

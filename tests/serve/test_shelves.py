"""Which movies the shelves "because you liked" start from."""

import re

from starlette.testclient import TestClient

ALIEN, MATRIX, TOY_STORY, PULP = 1214, 2571, 1, 296


def mark(client: TestClient, item_id: int, what: str) -> None:
    assert client.post("/mark", data={"item_id": str(item_id), "mark": what}).status_code == 200


def started_from(client: TestClient) -> list[str]:
    """The item ids that the shelves start from, in the order of the page."""
    page = client.get("/").text
    sections = re.findall(r'<section[^>]*id="because-\d+".*?</section>', page, re.DOTALL)
    return [re.search(r'href="/movie/(\d+)', section).group(1) for section in sections]  # type: ignore[union-attr]


def test_three_stars_start_no_shelf_if_a_movie_has_more(client: TestClient) -> None:
    mark(client, ALIEN, "4")
    mark(client, MATRIX, "3")  # the last one rated
    assert started_from(client) == [str(ALIEN)]


def test_a_watch_starts_a_shelf_and_the_last_two_liked_come_first(client: TestClient) -> None:
    for item_id, what in ((ALIEN, "5"), (MATRIX, "watched"), (TOY_STORY, "1"), (PULP, "4")):
        mark(client, item_id, what)
    assert started_from(client) == [str(PULP), str(MATRIX)]


def test_without_liked_movies_the_last_watched_start_the_shelves(client: TestClient) -> None:
    mark(client, ALIEN, "3")
    mark(client, MATRIX, "1")
    assert started_from(client) == [str(MATRIX), str(ALIEN)]

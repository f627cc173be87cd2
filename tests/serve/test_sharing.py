"""The picture of nine, descriptions, manifest and robots; small print of covers; a comparison in words."""

import re
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from matinee.serve.art.covers import draw_cover


def rate(client: TestClient, n: int) -> list[str]:
    items = [str(one["item_id"]) for one in client.get(f"/api/v1/items?k={n}").json()]
    for place, item_id in enumerate(items):
        client.post("/mark", data={"item_id": item_id, "mark": "5" if place % 2 else "3"})
    return items


@pytest.mark.parametrize("n", [1, 4, 12])
def test_the_picture_of_nine_is_well_formed_and_holds_the_best_rated(client: TestClient, n: int) -> None:
    rate(client, n)
    answer = client.get("/my/nine.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    root = ElementTree.fromstring(answer.text)
    assert len([one for one in root if one.tag.endswith("svg")]) == min(n, 9)
    assert f"My taste in {min(n, 9)} " in answer.text
    assert "style=" not in answer.text


def test_without_a_rating_there_is_no_picture_and_the_page_says_why(client: TestClient) -> None:
    answer = client.get("/my/nine.svg")
    assert answer.status_code == 404
    assert "nothing to show yet" in answer.text


def test_pages_have_descriptions_of_their_own(client: TestClient) -> None:
    found = set()
    for path in ("/", "/movie/1214", "/models", "/models/ease", "/models/sasrec", "/compare", "/about"):
        html = client.get(path).text
        (description,) = re.findall(r'<meta name="description" content="([^"]+)">', html)
        assert f'<meta property="og:description" content="{description}">' in html
        found.add(description)
    assert len(found) == 7


def test_manifest_and_robots_answer_get_and_head(client: TestClient) -> None:
    assert client.get("/manifest.webmanifest").json()["start_url"] == "/"
    assert "Disallow: /my" in client.get("/robots.txt").text
    for path in ("/", "/robots.txt", "/manifest.webmanifest", "/models/ease"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_small_print_of_a_cover_is_eleven_pixels_on_a_desktop_and_stays_beside_the_year() -> None:
    cover = draw_cover("Alien (1979)", 1979, ("Documentary", "Animation"))
    sizes = [float(size) for size in re.findall(r'class="cover-small"[^>]*font-size="(\d+)"', cover)]
    assert min(sizes) * 184 / 240 >= 11
    assert "Documentary / Animation" not in cover
    assert "Documentary" in cover


def test_a_comparison_names_what_only_one_list_has_and_what_it_lacks(client: TestClient) -> None:
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    page = client.get("/compare?models=ease,popularity").text
    columns = re.split(r'<div class="column" id="by-', page)[1:]
    lists = {part.partition('"')[0]: set(re.findall(r'data-item="(\d+)"', part)) for part in columns}
    for part in columns:
        name = part.partition('"')[0]
        own, missed = (set(re.findall(r'href="/movie/(\d+)', one)) for one in re.findall(r'of-list">(.*?)</p>', part))
        (other,) = lists.keys() - {name}
        assert own == lists[name] - lists[other]
        assert missed == lists[other] - lists[name]

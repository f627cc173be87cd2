"""The picture of nine, descriptions, manifest and robots; small print of covers; a comparison in words."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from matinee.serve.art.covers import draw_cover
from matinee.serve.art.png import draw_png
from matinee.serve.art.shared import draw_item_preview, draw_nine


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


def picture_of(client: TestClient, path: str) -> Image.Image:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.slow
def test_pictures_to_share_are_png_of_the_size_that_is_asked_for(client: TestClient) -> None:
    rate(client, 4)
    assert picture_of(client, "/my/nine.png").size[0] == 832
    for path in ("/preview.png", "/preview/1214"):
        assert picture_of(client, path).size == (1200, 630)
    assert client.get("/preview/none").status_code == 404


@pytest.mark.parametrize("title", ["Alien (1979)", "기생충 (2019)", "Amélie (2001)", "값 뷁 쌩 (2020)"])
def test_every_letter_of_a_cover_is_drawn_in_a_png(title: str) -> None:
    cover = str(draw_cover(title, 0, ()))
    standing = cover.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    (words,) = re.findall(r'<text class="cover-title".*?</text>', cover)

    def dark(svg: str) -> int:
        return int(np.sum(np.asarray(Image.open(io.BytesIO(draw_png(svg, 240))).convert("L")) < 128))

    whole, letters = dark(standing), len(words.partition(">")[2].partition("<")[0].replace(" ", ""))
    assert whole - dark(standing.replace(words, "")) > 60 * letters


def test_a_preview_escapes_titles_and_cuts_what_is_too_long() -> None:
    for svg in (draw_item_preview("", "<script>" * 40, "&" * 200, "<b>"), draw_nine([], "<i>", "&")):
        root = ElementTree.fromstring(svg)
        assert {one.tag.rpartition("}")[2] for one in root.iter()} <= {"svg", "rect", "text", "g"}


PAGES = (
    *("/", "/movie/1214", "/search?q=star", "/models", "/models/ease", "/models/sasrec", "/compare", "/about"),
    *("/api/docs", "/my", "/my/later", "/my/import", "/log-in", "/sign-up", "/why/1214"),
)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_page_has_a_description_a_picture_and_answers_head(client: TestClient, language: str) -> None:
    client.post("/mark", data={"item_id": "2571", "mark": "5"})
    found = set()
    for path in PAGES:
        answer = client.get(path, headers={"accept-language": language})
        html = answer.text
        assert f'<html lang="{language}">' in html
        assert '<link rel="manifest" href="/manifest.webmanifest">' in html
        (description,) = re.findall(r'<meta name="description" content="([^"]+)">', html)
        (picture,) = re.findall(r'<meta property="og:image" content="([^"]+)">', html)
        assert picture.startswith("http://testserver/preview")
        assert "svg" not in picture
        found.add(description)
        head = client.head(path, headers={"accept-language": language})
        assert (head.status_code, head.content) == (answer.status_code, b"")
    assert len(found) == len(PAGES)


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

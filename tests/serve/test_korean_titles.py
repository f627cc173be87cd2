"""Films have their Korean names on Korean pages, where they are known, with the name in the data beside them."""

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI

import matinee.serve.korean_titles
from matinee.dataset import Dataset
from matinee.serve.art.covers import draw_cover
from matinee.serve.korean_titles import korean_title
from matinee.titles import split_year, spoken_title, title_key
from site_fixtures import SiteClient

MATRIX, ALIEN, KOREAN = "2571", "1214", {"accept-language": "ko"}
REMAKES = {
    "12angrymen", "batman", "beautybeast", "casinoroyale", "ghostbusters", "oldboy", "psycho", "titanic",
}  # fmt: skip
"""Films of one English and one Korean name."""
TITLES = tomllib.loads(Path(matinee.serve.korean_titles.__file__).with_name("korean_titles.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("title", "korean"),
    [
        ("Matrix, The (1999)", "매트릭스"),
        ("Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "아멜리에"),
        ("Seven (a.k.a. Se7en) (1995)", "세븐"),
        ("Host, The (Gwoemul) (2006)", "괴물"),
        ("Host, The (2013)", ""),
        ("Mother (Madeo) (2009)", "마더"),
        ("Mother (1996)", ""),
        ("Frozen (2013)", "겨울왕국"),
        ("Frozen (2010)", ""),
        ("Matrix Revisited, The (2001)", ""),
        ("", ""),
    ],
)
def test_a_film_has_the_name_of_its_korean_release(title: str, korean: str) -> None:
    assert korean_title(title) == korean


def test_a_name_without_a_year_is_of_one_film_or_of_remakes_that_share_it(bundled: Dataset) -> None:
    films: dict[str, set[int]] = {}
    for title in bundled.catalogue.titles:
        if korean_title(title):
            films.setdefault(title_key(spoken_title(title).name), set()).add(split_year(title)[1])
    shared = {name for name, years in films.items() if len(years) > 1}
    assert shared == REMAKES
    assert len(films) > 300


def test_korean_pages_have_korean_names_and_english_ones_have_none(app: FastAPI) -> None:
    client = SiteClient(app, lab=False)
    for item in (MATRIX, ALIEN):
        client.post("/mark", data={"item_id": item, "mark": "5"})
    film = client.get(f"/movie/{MATRIX}", headers=KOREAN).text
    assert "<title>매트릭스 (1999) · Matinee</title>" in film
    assert "<h1>매트릭스</h1>" in film
    assert '<p class="other" lang="en">The Matrix</p>' in film
    mine = client.get("/my", headers=KOREAN).text
    assert ">에이리언</a>" in mine
    assert '<span class="original" lang="en">Alien</span>' in mine
    assert ">에이리언</a>" in client.get("/", headers=KOREAN).text  # in the reasons
    assert "<b>매트릭스</b>" in client.get("/search/suggest?q=matrix", headers=KOREAN).text
    for path in (f"/movie/{MATRIX}", "/my", "/", "/search/suggest?q=matrix"):
        english = client.get(path).text
        assert re.findall("[가-힣]+", english.replace("한국어", "")) == [], path


def test_a_cover_has_the_korean_name_large_and_the_other_below() -> None:
    cover = draw_cover("Matrix, The (1999)", 1999, ("Action",), ("액션",), "매트릭스")
    large, below = re.findall(r'<text class="(cover-title[^"]*)"[^>]*font-size="([\d.]+)"[^>]*>([^<]*)', cover)
    assert (large[0], large[2]) == ("cover-title", "매트릭스")
    assert (below[0], below[2]) == ("cover-title cover-rest", "THE MATRIX")
    assert float(large[1]) > 2 * float(below[1])
    english = draw_cover("Matrix, The (1999)", 1999, ("Action",))
    colours = [set(re.findall("#[0-9a-f]{6}", drawn)) for drawn in (cover, english)]
    assert colours[0] == colours[1]  # the same cover but for its lettering


def test_every_korean_name_fits_its_cover() -> None:
    for korean in TITLES["titles"].values():
        cover = draw_cover("Some Film (1999)", 1999, ("Drama",), ("드라마",), korean)
        ElementTree.fromstring(cover)
        widths = [float(width) for width in re.findall(r'textLength="([\d.]+)"', cover)]
        assert max(widths) <= 240 - 2 * 16 + 0.1

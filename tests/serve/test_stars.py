"""Stars count: what a visitor rates low and high changes their lists, and no reason cites what they disliked."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from matinee import workflow
from matinee.dataset import Dataset
from matinee.serve.app import create_app
from matinee.store.artefact import save
from site_fixtures import CHEAP, NOW, SiteClient

ALIEN, MATRIX, TOY_STORY, PULP, RYAN = 1214, 2571, 1, 296, 2028
MODELS = ("ease", "item-knn", "user-knn", "ials", "autorec", "popularity")
CLAIM = MODELS[:-1]


@pytest.fixture(scope="module")
def valued_paths(known_movies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("valued")
    settings = {"ials": {"epochs": 4, "dim": 32}, "autorec": {"epochs": 3, "dim": 50}}
    for name in MODELS:
        save(workflow.fit(name, known_movies, **settings.get(name, {})), folder / name)
    return [folder / name for name in MODELS]


@pytest.fixture
def visitor(valued_paths: list[Path], tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(valued_paths, db_url=f"sqlite:///{tmp_path}/site.db", clock=lambda: NOW, hasher=CHEAP)
    with SiteClient(app) as client:
        yield client


def rate(client: TestClient, mark: str, *items: int) -> None:
    for item in items:
        assert client.post("/mark", data={"item_id": str(item), "mark": mark}).status_code == 200


def for_you(page: str) -> list[str]:
    section = re.search(r'<section id="for-you">.*?</section>', page, re.DOTALL)
    return re.findall(r'data-item="(\d+)"', section.group(0)) if section else []


@pytest.mark.parametrize("name", CLAIM)
@pytest.mark.parametrize("low", ["0.5", "1", "2"])
def test_three_films_at_low_stars_and_at_five_give_lists_that_overlap_by_at_most_half(
    visitor: TestClient, name: str, low: str
) -> None:
    trio = (RYAN, MATRIX, PULP)
    rate(visitor, low, *trio)
    disliked = for_you(visitor.get("/", params={"model": name}).text)
    rate(visitor, "5", *trio)
    liked = for_you(visitor.get("/", params={"model": name}).text)
    assert len(liked) == len(disliked) == 24
    assert len(set(liked) & set(disliked)) <= 12


def test_a_dislike_takes_effect_at_once_and_is_no_reason(visitor: TestClient) -> None:
    rate(visitor, "5", TOY_STORY, MATRIX)
    before = for_you(visitor.get("/").text)
    rate(visitor, "1", RYAN)
    page = visitor.get("/").text
    assert for_you(page) != before
    assert "your stars brought in" in page
    reasons = re.findall(r'<p class="because">(.*?)</p>', page, re.DOTALL)
    assert reasons
    assert not any(f"/movie/{RYAN}" in reason for reason in reasons)
    for model in CLAIM:
        sent = visitor.get("/api/v1/recommendations", params={"k": 24, "explain": True, "model": model}).json()
        cited = {because["item_id"] for item in sent["items"] for because in item["because"]}
        assert RYAN not in cited


def test_who_dislikes_everything_is_told_and_gets_other_genres(visitor: TestClient) -> None:
    rate(visitor, "1", ALIEN)  # horror, science fiction
    page = visitor.get("/").text
    assert "You have not liked a movie yet" in page
    items = visitor.get("/api/v1/recommendations", params={"k": 24}).json()["items"]
    assert {item["model"] for item in items} == {"popularity"}
    assert not any({"Horror", "Sci-Fi"} & set(item["genres"]) for item in items)


def test_the_api_takes_half_stars_only(visitor: TestClient) -> None:
    event = {"item_id": ALIEN, "kind": "rating"}
    assert visitor.post("/api/v1/events", json=event | {"value": 3.5}).status_code == 201
    for value in (3.3, 0.25, 5.5, 0):
        assert visitor.post("/api/v1/events", json=event | {"value": value}).status_code == 422


@pytest.mark.parametrize("stars", ["0.5", "2.5", "4.5", "5"])
def test_half_stars_can_be_given_and_are_shown(visitor: TestClient, stars: str) -> None:
    rate(visitor, stars, ALIEN)
    page = visitor.get(f"/movie/{ALIEN}").text
    assert f"You gave it {stars} of 5" in page
    form = page.partition('class="yours"')[2]
    assert re.findall(r'value="([\d.]+)"[^>]*aria-pressed="true"', form)[:1] == [stars]
    assert form.partition("</span>")[0].count('class="on"') == 2 * float(stars)


@pytest.mark.parametrize("mark", ["0", "5.5", "0.3", "3.50", "-1", "nan", "inf", "1e0"])
def test_other_numbers_of_stars_are_refused(visitor: TestClient, mark: str) -> None:
    assert visitor.post("/mark", data={"item_id": str(ALIEN), "mark": mark}).status_code == 422


def test_why_shows_signed_bars_and_says_although(visitor: TestClient) -> None:
    rate(visitor, "5", TOY_STORY, MATRIX)
    rate(visitor, "0.5", ALIEN)
    page = visitor.get("/why/1200", params={"model": "ease"}).text  # Aliens
    assert "Although you disliked" in page
    assert f"/movie/{ALIEN}" in page.partition("Although you disliked")[2].partition("</p>")[0]
    bars = re.findall(r'<rect class="bar" x="(-?[\d.]+)" width="([\d.]+)"', page)
    amounts = [float(text) for text in re.findall(r'class="amount">([+-][\d.]+)<', page)]
    assert len(bars) == len(amounts) == 3
    for (x, width), amount in zip(bars, amounts, strict=True):
        assert float(x) == pytest.approx(-float(width) if amount < 0 else 0)
        assert float(width) == pytest.approx(100 * abs(amount) / max(map(abs, amounts)), abs=1)


def test_watches_and_stars_differ_under_autorec(visitor: TestClient) -> None:
    rate(visitor, "watched", ALIEN, PULP)
    watched = for_you(visitor.get("/", params={"model": "autorec"}).text)
    rate(visitor, "1", ALIEN, PULP)
    assert not np.array_equal(watched, for_you(visitor.get("/", params={"model": "autorec"}).text))


def test_stars_mean_the_same_on_a_site_whose_log_has_another_scale(known_movies: Dataset, tmp_path: Path) -> None:
    """A log of 1 to 100: five stars are 100, one is a dislike; lists and reasons are those of the log of half stars."""
    percent = replace(known_movies, events=replace(known_movies.events, values=20 * known_movies.events.values))
    lists = {}
    for name, data in (("stars", known_movies), ("percent", percent)):
        save(workflow.fit("ease", data), tmp_path / name)
        app = create_app([tmp_path / name], db_url=f"sqlite:///{tmp_path}/{name}.db", clock=lambda: NOW, hasher=CHEAP)
        with SiteClient(app) as client:
            rate(client, "4.5", TOY_STORY, MATRIX)
            rate(client, "1", RYAN)
            sent = client.get("/api/v1/recommendations", params={"k": 20, "explain": True}).json()
            lists[name] = [(item["item_id"], [each["value"] for each in item["because"]]) for item in sent["items"]]
            assert "Because you liked" in client.get("/").text
    assert lists["percent"] == lists["stars"]
    assert {value for _, values in lists["stars"] for value in values} == {4.5}


def test_more_like_this_weighs_more_than_a_watch_and_less_like_this_against(visitor: TestClient) -> None:
    rate(visitor, "5", TOY_STORY)
    adds = {}
    for mark in ("watched", "more", "less"):
        rate(visitor, mark, ALIEN)
        found = visitor.get("/api/v1/items/1200/why", params={"model": "ease"}).json()["because"]  # Aliens
        adds[mark] = next(each["contribution"] for each in found if each["item_id"] == ALIEN)
        assert all(each["value"] is None for each in found if each["item_id"] == ALIEN)
    assert adds["more"] > 1.2 * adds["watched"] > 0 > adds["less"]
    assert "Less like this" in visitor.get("/my").text
    assert "You asked for less like this" in visitor.get(f"/movie/{ALIEN}").text
    for model in MODELS:
        assert len(for_you(visitor.get("/", params={"model": model}).text)) == 24
    exported = visitor.get("/my/data.csv")
    assert ",less," in exported.text
    rate(visitor, "removed", ALIEN)
    assert "Less like this" not in visitor.get("/my").text


def test_every_recommendation_offers_more_and_less_like_it(visitor: TestClient) -> None:
    rate(visitor, "5", TOY_STORY)
    page = visitor.get("/").text
    section = page.partition('<section id="for-you">')[2].partition("</section>")[0]
    assert section.count('value="more"') == section.count('value="less"') == 24


def test_less_like_this_is_no_trend(visitor: TestClient) -> None:
    rate(visitor, "less", ALIEN)
    rate(visitor, "watched", PULP)
    log = visitor.app.state.site.log  # type: ignore[attr-defined]
    assert log.watched_since(0, 1) == [(str(PULP), 1)]

"""Model pages, comparison, trending and also-liked movies, against plain loops and the saved scores."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee import renamed
from matinee.dataset import Dataset
from matinee.serve.app import create_app
from matinee.serve.pages.also_liked import LEAST, PRIOR_PEOPLE, AlsoLiked
from matinee.serve.pages.model_quality import curves, model_scores, with_baselines
from matinee.serve.pages.trending import DATA_DAYS, DAY, LEAST_PEOPLE, LIVE_DAYS, Trending
from matinee.serve.site import Site
from matinee.store.artefact import load, save
from matinee.store.protocols import LiveEvent
from site_fixtures import NOW


def measured(path: Path, folder: Path, mean: float, method: str = "random", **more: object) -> Path:
    found = load(path)
    score = {"ndcg@10": {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}}
    about = {"metrics": score, "measured": {"on": "test", "users": 500, "split": {"method": method}}} | more
    return save(found.with_manifest(about), folder / found.name).path or folder


def test_a_score_is_compared_only_with_scores_on_its_own_split(artefact_paths: list[Path], tmp_path: Path) -> None:
    popularity, item_knn, ease = artefact_paths
    baselines = {"popularity": {"ndcg@10": {"mean": 0.01, "low": 0.0, "high": 0.02}}}
    paths = [
        measured(popularity, tmp_path, 0.2),
        measured(item_knn, tmp_path, 0.3),
        measured(ease, tmp_path, 0.05, "leave-last", baselines=baselines),
    ]
    artefacts = [load(path) for path in paths]
    known = model_scores(artefacts)
    assert [(one.model, one.mean, one.users) for one in with_baselines(artefacts[1], known)] == [
        ("item-knn", 0.3, 500),
        ("popularity", 0.2, 500),
    ]
    assert [(one.model, one.mean) for one in with_baselines(artefacts[2], known)] == [
        ("ease", 0.05),
        ("popularity", 0.01),
    ]
    assert model_scores([load(popularity)]) == {}
    app = create_app(paths, db_url=f"sqlite:///{tmp_path}/f.db", clock=lambda: NOW)
    with TestClient(app) as client:
        page = client.get("/models/item-knn").text
        assert "ItemKNN: 0.300, 95% interval 0.280 to 0.320" in page
        assert "EASE: " not in page
        assert "500 people" in page
        order = re.findall(r'<li class="model"><a href="/models/([\w-]+)"', client.get("/models").text)
        assert order == ["item-knn", "popularity", "ease"]


def test_baselines_of_a_format_1_manifest_are_read(artefact_paths: list[Path], tmp_path: Path) -> None:
    baselines = {"popularity": {"ndcg@10": {"mean": 0.01, "low": 0.0, "high": 0.02}}}
    path = measured(artefact_paths[2], tmp_path, 0.05, "leave-last", baselines=baselines)
    manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    (old_name,) = (old for old, new in renamed.MANIFEST.items() if new == "baselines")
    manifest[old_name] = manifest.pop("baselines")
    (path / "manifest.json").write_text(json.dumps(manifest | {"format": 1}), "utf-8")
    ease = load(path)
    assert [one.model for one in with_baselines(ease, model_scores([ease]))] == ["ease", "popularity"]


def test_a_fit_without_scores_or_curves_says_so(client: TestClient) -> None:
    page = client.get("/models/ease").text
    assert "saved without an evaluation" in page
    assert "<polyline" not in page


@pytest.mark.parametrize(
    ("written", "points"),
    [
        (
            '[{"epoch": 1, "loss": 4}, {"epoch": 2, "loss": 2}, {"epoch": 3, "loss": 3}]',
            "0.0,0.0 260.0,180.0 520.0,90.0",
        ),
        ('[{"epoch": 1, "loss": 4.0}]', ""),
        ('[{"loss": 4.0}, {"loss": 2.0}]', ""),
        ("{", ""),
    ],
)
def test_curves_are_drawn_if_they_are_valid(
    artefact_paths: list[Path], tmp_path: Path, written: str, points: str
) -> None:
    artefact = save(load(artefact_paths[0]), tmp_path / "popularity")
    (tmp_path / "popularity" / "curves.json").write_text(written, "utf-8")
    assert "".join(curve.points for curve in curves(artefact)) == points


def test_a_model_page_lists_the_models_own_ranking(client: TestClient, app: FastAPI) -> None:
    site: Site = app.state.site
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    for name in ("ease", "item-knn"):
        page = client.get(f"/models/{name}").text
        shown = re.findall(r'<li class="place" data-item="(\d+)"', page)
        with site.database.read() as connection:
            user_id = str(connection.exec_driver_sql("SELECT user_id FROM events").scalar())
        wanted = site.engine.recommend_for(site.engine.history(user_id), 20, name)
        assert shown == [str(item.item_id) for item in wanted]
    client.post("/mark", data={"item_id": "2571", "mark": "4"})
    assert 'data-item="2571"' not in client.get("/models/popularity").text
    with_own = client.get("/models/popularity?seen=true").text
    assert 'data-item="2571"' in with_own
    assert "Your rating: 4 of 5" in with_own


def test_overlaps_equal_a_count_by_hand(client: TestClient) -> None:
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    page = client.get("/compare?models=ease,item-knn&models=popularity").text
    columns = re.split(r'<div class="column" id="by-', page)[1:]
    lists = {part.partition('"')[0]: re.findall(r'data-item="(\d+)"', part) for part in columns}
    assert list(lists) == ["ease", "item-knn", "popularity"]
    holds = Counter(item for items in lists.values() for item in items)
    assert f"EASE and ItemKNN share {len(set(lists['ease']) & set(lists['item-knn']))} of 12" in page
    assert page.count('class="place shared"') == sum(count for count in holds.values() if count > 1)
    n_in_all = sum(count == 3 for count in holds.values())
    assert (f"In every list, {n_in_all}:" in page) == (n_in_all > 0)


@pytest.mark.parametrize("path", ["/models/eaze", "/models/<script>", "/compare?models=ease,eaze"])
def test_an_unknown_model_page_offers_the_served_models(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "<script>" not in answer.text.partition("<main")[2]
    assert 'href="/models/item-knn"' in answer.text


def test_also_liked_movies_as_counted_by_a_loop(app: FastAPI, known_movies: Dataset) -> None:
    site: Site = app.state.site
    matrix = known_movies.items.row(2571)
    events = known_movies.events
    liked: dict[int, set[int]] = {}
    for user, item, value in zip(events.user_rows, events.item_rows, events.values, strict=True):
        if value >= 4:
            liked.setdefault(int(item), set()).add(int(user))
    fans = liked[matrix]
    share = {
        item: len(fans & people) / (len(people) + PRIOR_PEOPLE)
        for item, people in liked.items()
        if item != matrix and len(fans & people) >= LEAST
    }
    wanted = sorted(share, key=lambda item: (-share[item], item))
    also_liked = AlsoLiked(site)
    assert also_liked.n_people(matrix) == len(fans)
    assert [item.item_row for item in also_liked.recommend(matrix, 8, set())] == wanted[:8]
    assert [item.item_row for item in also_liked.recommend(matrix, 8, {wanted[0]})] == wanted[1:9]


def test_trending_movies_are_those_of_the_live_log_then_of_the_data(app: FastAPI, known_movies: Dataset) -> None:
    site: Site = app.state.site
    events = known_movies.events
    late = events.times >= events.times.max() - DATA_DAYS * DAY
    counts = Counter(events.item_rows[late].tolist())
    first = Trending(site).recommend(6, set())
    assert [counts[item.item_row] for item in first] == sorted(counts.values(), reverse=True)[:6]
    rare, once, old = 7, 8, 9
    ids = {row: site.engine.items.id(row) for row in (rare, once, old)}
    long_ago = NOW - (LIVE_DAYS + 1) * DAY
    site.log.append([LiveEvent(f"u{n}", ids[rare], "rating", 4, NOW - 5) for n in range(LEAST_PEOPLE)])
    site.log.append([LiveEvent("u1", ids[once], "watched", 1, NOW - 4)])
    site.log.append([LiveEvent(f"u{n}", ids[old], "watched", 1, long_ago) for n in range(9)])
    site.log.append([LiveEvent(f"u{n}", ids[once], "click", 1, NOW - 4) for n in range(9)])
    trending = Trending(site)
    assert [item.item_row for item in trending.recommend(3, set())] == [rare, *(item.item_row for item in first[:2])]
    assert [item.item_row for item in trending.recommend(2, {rare})] == [item.item_row for item in first[:2]]
    site.log.append([LiveEvent(f"u{n}", ids[once], "watched", 1, NOW - 3) for n in range(4)])
    assert trending.recommend(1, set())[0].item_row == rare  # read once a minute
    later = Trending(replace(site, clock=lambda: NOW + 60))
    assert later.recommend(1, set())[0].item_row == once


def test_no_shelf_of_the_home_page_is_empty_or_repeats_a_watched_movie(client: TestClient) -> None:
    for item_id in ("1214", "2571", "1"):
        client.post("/mark", data={"item_id": item_id, "mark": "5"})
    client.post("/mark", data={"item_id": "1200", "mark": "dismissed"})
    page = client.get("/").text
    sections = re.findall(r'<section id="([^"]+)">(.*?)</section>', page, re.DOTALL)
    names = [name for name, _ in sections]
    assert names[:2] == ["tonight", "for-you"]
    assert {"recent", "popular-now", "popular"} <= set(names)
    assert sum(name.startswith("because-") for name in names) == 2
    for name, html in sections:
        items = re.findall(r'data-item="(\d+)"', html)
        assert items, name
        assert len(set(items)) == len(items), name
        if name != "recent":
            assert not {"1214", "2571", "1", "1200"} & set(items), name
            assert name == "tonight" or 'href="/models/' in html, name


@pytest.mark.parametrize(
    ("typed", "wanted"), [("/models/", "/models"), ("/models/ease/", "/models/ease"), ("/models///", "/models")]
)
def test_a_slash_too_many_leads_to_the_page(client: TestClient, typed: str, wanted: str) -> None:
    answer = client.get(typed, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, wanted)
    assert client.get(wanted).status_code == 200

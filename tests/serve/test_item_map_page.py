"""The map of items: where they are, whose they are, and how much a page of them weighs."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI

from matinee.dataset import Dataset
from matinee.models.projection import most_popular, project
from matinee.serve.app import create_app
from matinee.store.artefact import load
from site_fixtures import CHEAP, NOW, SiteClient, train

DOT = re.compile(
    r'<a href="([^"]+)" tabindex="-1"(?: class="([^"]*)")?><circle cx="(\d+)" cy="(\d+)" r="(\d)" class="g(\d)"/>'
    r"<title>([^<]+)</title></a>"
)


@pytest.fixture(scope="module")
def mapped_paths(known_movies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("mapped")
    return [train(name, known_movies, folder) for name in ("popularity", "ials")]


@pytest.fixture
def mapped(mapped_paths: list[Path], tmp_path: Path) -> Iterator[FastAPI]:
    app = create_app(mapped_paths, db_url=f"sqlite:///{tmp_path}/map.db", clock=lambda: NOW, hasher=CHEAP)
    yield app
    app.state.site.database.close()


def test_the_map_has_the_best_known_items_and_mine_marked(mapped: FastAPI) -> None:
    client = SiteClient(mapped)
    rare = int(np.argsort(mapped.state.site.engine.popularity, kind="stable")[0])
    rare_id = str(mapped.state.site.engine.items.id(rare))
    for item_id in ("1214", rare_id):
        client.post("/mark", data={"item_id": item_id, "mark": "4"})
    answer = client.get("/lab/map")
    dots = DOT.findall(answer.text)
    assert len({url for url, *_ in dots}) == len(dots) == 701
    assert sorted(url for url, kind, *_ in dots if "own" in kind) == sorted(["/movie/1214", f"/movie/{rare_id}"])
    assert all(0 <= int(x) <= 1000 and 0 <= int(y) <= 680 for _, _, x, y, *_ in dots)
    assert len(answer.content) < 200_000
    assert ">mine (2)<" in answer.text
    assert 'href="/lab/map"' in client.get("/models").text


def test_a_title_is_found_and_marked_and_an_unknown_model_is_refused(mapped: FastAPI) -> None:
    client = SiteClient(mapped)
    page = client.get("/lab/map?find=alien").text
    assert {"Alien (1979)", "Aliens (1986)"} <= {dot[6] for dot in DOT.findall(page) if "found" in dot[1]}
    for find in ("", "   ", "zzzzzz", "<script>", "'" * 150):
        assert client.get("/lab/map", params={"find": find}).status_code == 200
    assert "&lt;script&gt;" in client.get("/lab/map?find=<script>").text
    assert client.get("/lab/map?find=" + "a" * 201).status_code == 422
    assert client.get("/lab/map?model=popularity").status_code == 404
    assert client.get("/lab/map?model=eaze").status_code == 404


def test_a_site_without_vectors_has_no_map(client: SiteClient) -> None:
    assert client.get("/lab/map").status_code == 404
    assert "/lab/map" not in client.get("/models").text


def test_positions_keep_the_order_along_each_axis_for_items_that_join_later(mapped_paths: list[Path]) -> None:
    """Against principal components by hand: an item that is not among the shown ones stands between its neighbours."""
    artefact = load(mapped_paths[1])
    shown = most_popular(artefact.popularity, 200)
    rest = np.setdiff1d(np.flatnonzero(artefact.popularity), shown)[:50]
    found = project(artefact.model, artefact.popularity, shown, rest)
    assert (found[:200] == project(artefact.model, artefact.popularity, shown)).all()
    vectors = np.asarray(artefact.model.items, dtype=float)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = (vectors / lengths)[np.concatenate([shown, rest])]
    weights = np.sqrt(artefact.popularity[shown])
    centred = directions - np.average(directions[:200], axis=0, weights=weights)
    covariance = centred[:200].T @ centred[:200]
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :2]
    flat = centred @ axes
    for axis in (0, 1):
        order = np.corrcoef(flat[:200, axis], found[:200, axis])[0, 1]
        flat[:, axis] *= np.sign(order)
        below = [(flat[:200, axis] < value).sum() for value in flat[200:, axis]]
        expected = 2 * np.minimum(below, 199) / 199 - 1
        np.testing.assert_allclose(found[200:, axis], expected, atol=2 / 199 + 1e-9)
    assert np.abs(found).max() == 1

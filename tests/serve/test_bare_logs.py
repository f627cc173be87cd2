"""A site over a log of plays without titles, categories, years and times: no empty choices, and no rating of nobody."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.serve.app import create_app
from matinee.store.artefact import save
from site_fixtures import CHEAP, NOW, SiteClient

N_PEOPLE, N_ARTISTS, EACH = 60, 80, 10


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteClient]:
    """A visitor of a site over 600 rows `user,item,plays`, of which most are of few plays and some of thousands."""
    folder, rng = tmp_path_factory.mktemp("plays"), np.random.default_rng(1)
    rows = [
        f"{user},{artist},{int(rng.pareto(0.7) * 10) + 1}"
        for user in range(N_PEOPLE)
        for artist in rng.choice(N_ARTISTS, EACH, replace=False)
    ]
    log = folder / "plays.csv"
    log.write_text("\n".join(["user,item,plays", *rows]), "utf-8")
    data = mt.load(log)
    paths: list[Path] = []
    for name in ("ease", "item-knn"):
        save(mt.fit(name, data), folder / name)
        paths.append(folder / name)
    app = create_app(paths, db_url=f"sqlite:///{folder}/site.db", clock=lambda: NOW, hasher=CHEAP)
    with SiteClient(app) as client:
        client.get("/")
        for artist in ("3", "4"):
            client.post("/mark", data={"item_id": artist, "mark": "4"})
        yield client


@pytest.mark.parametrize("language", ["en", "ko"])
def test_nothing_is_offered_that_the_data_do_not_have(listener: SiteClient, language: str) -> None:
    listener.get("/language", params={"to": language})
    pages = {path: listener.get(path).text for path in ("/", "/item/5", "/models/ease", "/models/ease?novelty=0.5")}
    assert "<legend>" in pages["/"]
    for path, page in pages.items():
        assert 'class="genres"' not in page, path
        assert 'class="years"' not in page, path
        assert 'class="kicker"' not in page, path


def test_plays_are_no_ratings(listener: SiteClient) -> None:
    """What a visitor rates still counts, and is shown as it was given."""
    listener.get("/language", params={"to": "en"})
    page = listener.get("/item/3").text
    assert 'class="ratings"' not in page
    assert re.findall(r'value="([^"]+)"[^>]*aria-pressed="true"', page.partition('class="yours"')[2]) == ["4"]


@pytest.mark.parametrize("header", ["item,plays", "artist,plays", "product_id,plays"])
def test_a_file_with_the_columns_of_a_log_is_imported(listener: SiteClient, header: str) -> None:
    column = header.encode().partition(b",")[0]
    content = header.encode() + b"\n7,12\n8,3\nnothing,1\n"
    answer = listener.post("/my/import", files={"files": (f"{column.decode()}.csv", content)})
    assert answer.status_code == 200
    mine = listener.get("/my").text
    assert 'data-item="7"' in mine
    assert 'data-item="8"' in mine
    listener.post("/mark", data={"item_id": "7", "mark": "removed"})
    listener.post("/mark", data={"item_id": "8", "mark": "removed"})

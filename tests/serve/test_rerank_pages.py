"""Reranking on the site equals reranking offline; impossible values are errors with a fix."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from typer.testing import CliRunner

from matinee.cli.commands import app as commands
from matinee.config import Rerank
from matinee.histories import Histories
from matinee.ranking.rerank import Reranker
from matinee.serve.site import Site

ALIEN, MATRIX, TOY_STORY = 1214, 2571, 1
STRONG = "novelty=0.5&diversity=0.5&genre=Drama&genre=Comedy&from=1970&to=1995"
ASKED = Rerank(novelty=0.5, diversity=0.5, genres=("Drama", "Comedy"), from_year=1970, to_year=1995)


def mark(client: TestClient, item_id: int, what: str) -> None:
    assert client.post("/mark", data={"item_id": str(item_id), "mark": what}).status_code == 200


def listed(page: str, name: str) -> list[int]:
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', page, re.DOTALL)
    return [int(item) for item in re.findall(r'data-item="(\d+)"', found.group(0))] if found else []


@pytest.mark.parametrize("model", ["ease", "item-knn"])
def test_page_api_and_offline_give_the_same_reranked_list(client: TestClient, app: FastAPI, model: str) -> None:
    for item_id in (ALIEN, TOY_STORY, MATRIX):
        mark(client, item_id, "5")
    site: Site = app.state.site
    engine = site.engine
    history = Histories.of([engine.items.rows([ALIEN, TOY_STORY, MATRIX]).tolist()])
    reranker = Reranker(engine.catalogue, engine.popularity)
    wanted = reranker.rank(engine.artefacts[model].model, history, 24, ASKED)
    items = [engine.items.id(int(row)) for row, score in zip(wanted.items[0], wanted.scores[0], strict=True) if score]
    assert len(items) > 12
    page = client.get(f"/?model={model}&{STRONG}").text
    assert (listed(page, "tonight") + listed(page, "for-you"))[: len(items)] == items
    assert listed(client.get(f"/models/{model}?{STRONG}").text, "list")[:10] == items[:10]
    query = {"model": model, "k": 24, "rerank": str(ASKED)}
    answer = client.get("/api/v1/recommendations", params=query).json()["items"]
    assert [item["item_id"] for item in answer] == [engine.items.id(int(row)) for row in wanted.items[0] if row >= 0]


def test_the_rerank_form_keeps_its_values(client: TestClient) -> None:
    mark(client, ALIEN, "5")
    page = client.get(f"/?model=ease&{STRONG}").text
    assert '<details class="rerank" id="rerank" open>' in page
    assert re.search(r'value="Drama" checked', page)
    assert not re.search(r'value="Horror" checked', page)
    assert re.search(r'name="novelty"[^>]*value="0.5"', page)
    assert re.search(r'name="from"[^>]*value="1970"', page)
    assert "/?model=item-knn&amp;genre=Drama&amp;genre=Comedy&amp;from=1970&amp;to=1995&amp;novelty=0.5" in page
    plain = client.get("/").text
    assert '<details class="rerank" id="rerank">' in plain
    same, model_own = client.get("/?novelty=0.25&diversity=0&from=&to=").text, client.get("/?novelty=0").text
    assert listed(same, "for-you") == listed(plain, "for-you")  # a quarter of novelty is the default
    assert listed(model_own, "for-you") != listed(plain, "for-you")
    assert "novelty=0" in model_own


def test_filters_without_results_say_so(client: TestClient) -> None:
    mark(client, ALIEN, "5")
    answer = client.get("/?to=1900")
    assert answer.status_code == 200
    assert "No movie matches these filters" in answer.text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("novelty=2", "a number from -1 to 1"),
        ("novelty=nan", "a number from -1 to 1"),
        ("diversity=-0.1", "a number from 0 to 1"),
        ("from=soon", "a number from 0 to 9999"),
        ("from=1990&to=1980", "is later than the last"),
        ("genre=Comdy", "There is no genre Comdy"),
        ("genre=%3Cscript%3Ealert(1)%3C/script%3E", "There is no genre"),
    ],
)
def test_impossible_values_are_errors(client: TestClient, query: str, says: str) -> None:
    answer = client.get(f"/?{query}")
    assert answer.status_code == 422
    assert says in answer.text
    assert "<script>alert" not in answer.text


def test_the_api_names_the_fix(client: TestClient) -> None:
    for rerank, says in (("varity=1", "did you mean 'diversity'"), ("genres=Comdy", "did you mean 'Comedy'")):
        answer = client.get("/api/v1/recommendations", params={"rerank": rerank, "history": str(ALIEN)})
        assert answer.status_code == 422
        assert says in answer.json()["detail"]


def test_dismissed_movies_stay_out_of_a_reranked_list(client: TestClient, app: FastAPI) -> None:
    mark(client, ALIEN, "5")
    first = listed(client.get("/?genre=Drama").text, "for-you")
    mark(client, first[0], "dismissed")
    after = listed(client.get("/?genre=Drama").text, "for-you")
    assert first[0] not in after
    assert after[:3] == first[1:4]
    site: Site = app.state.site
    catalogue, items = site.catalogue, site.engine.items
    assert all("Drama" in catalogue.genres[items.row(item)] for item in after)
    assert first[0] in listed(client.get("/my").text, "dismissed")


def test_the_commands_give_the_same_reranked_list(artefact_paths: list[Path], app: FastAPI) -> None:
    run = CliRunner()
    path = str(next(path for path in artefact_paths if path.name == "ease"))
    common = ["recommend", path, "--history", f"{ALIEN},{TOY_STORY}", "-k", "12", "--json"]
    shown = run.invoke(commands, [*common, "--rerank", str(ASKED)])
    site: Site = app.state.site
    history = Histories.of([site.engine.items.rows([ALIEN, TOY_STORY]).tolist()])
    wanted = site.engine.recommend_for(history, 12, "ease", rerank=ASKED)
    found = json.loads(shown.stdout)
    assert [movie["item_id"] for movie in found["movies"]] == [item.item_id for item in wanted]
    reports = [
        json.loads(run.invoke(commands, ["evaluate", "popularity", "--json", *extra]).stdout)
        for extra in ([], ["--rerank", "novelty=1"])
    ]
    novelty, reranked = (report["metrics"]["novelty@10"]["mean"] for report in reports)
    assert reranked > novelty + 1
    assert reports[1]["evaluation"]["rerank"]["novelty"] == 1
    assert np.isfinite(reranked)
    result = run.invoke(commands, ["evaluate", "popularity", "--rerank", "novelty=1"])
    assert "the lists are reranked: novelty=1.0" in result.output
    assert "reranked" not in run.invoke(commands, ["evaluate", "popularity"]).output

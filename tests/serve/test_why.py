"""Why a movie is recommended: page and API agree with the model's arrays."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import matinee as mt
from matinee.dataset import Dataset
from matinee.histories import Histories
from matinee.serve.app import create_app
from matinee.serve.site import Site
from site_fixtures import CHEAP, NOW, SiteClient, train

ALIEN, MATRIX, TOY_STORY, PULP, BLADE_RUNNER = 1214, 2571, 1, 296, 541


def rate(client: TestClient, item_id: int, mark: str) -> str:
    return client.post("/mark", data={"item_id": str(item_id), "mark": mark}).text


def rows_of(page: str) -> list[tuple[str, float]]:
    table = page.partition('<table class="parts">')[2]
    found = re.findall(r'<th scope="row"><a href="/movie/(\d+)">.*?class="amount">([+-][\d.]+)<', table, re.DOTALL)
    return [(item_id, float(amount)) for item_id, amount in found]


def test_the_page_shows_the_models_weights(client: TestClient, app: FastAPI) -> None:
    for item_id, mark in ((ALIEN, "5"), (TOY_STORY, "4"), (PULP, "2")):
        rate(client, item_id, mark)
    page = client.get(f"/why/{MATRIX}", params={"model": "ease"}).text
    site: Site = app.state.site
    weights = site.engine.artefacts["ease"].model.weights
    row = site.engine.items.row
    wanted = {str(item): float(weights[row(item), row(MATRIX)]) for item in (ALIEN, TOY_STORY, PULP)}
    shown = rows_of(page)
    assert [item for item, _ in shown] == sorted(wanted, key=lambda item: -abs(wanted[item]))
    for item, amount in shown:
        assert amount == pytest.approx(wanted[item], abs=5e-5)
    score = float(re.search(r"<dt>Score</dt><dd>([-\d.]+)", page).group(1))  # type: ignore[union-attr]
    assert score == pytest.approx(sum(wanted.values()), abs=5e-5)
    assert "Exact: with EASE" in page
    assert "style=" not in page


def test_each_recommendation_has_a_sentence_and_a_link_to_its_detail(client: TestClient) -> None:
    rate(client, ALIEN, "5")
    page = client.get("/", params={"model": "item-knn"}).text
    listed = re.search(r'<section id="for-you">.*?</section>', page, re.DOTALL).group(0)  # type: ignore[union-attr]
    cards = re.findall(r'<li class="card".*?</li>', listed, re.DOTALL)
    assert cards
    for card in cards:
        assert re.search(r'<p class="because">(Because you|Popular)', card)
    detail = re.search(r'href="(/why/\d+\?model=item-knn)"', listed).group(1)  # type: ignore[union-attr]
    assert "Because you liked" in client.get(detail).text


def test_the_page_names_the_method_of_other_models(
    artefact_paths: list[Path], known_movies: Dataset, tmp_path: Path
) -> None:
    paths = [*artefact_paths, train("user-knn", known_movies, tmp_path)]
    app = create_app(paths, db_url=f"sqlite:///{tmp_path}/w.db", clock=lambda: NOW, hasher=CHEAP)
    with SiteClient(app) as client:
        page = client.get(f"/why/{MATRIX}").text
        assert "You have not rated a movie yet" in page
        rate(client, ALIEN, "5")
        assert "No movie of yours adds anything" in client.get(f"/why/{MATRIX}?model=popularity").text
        assert "Exact: with UserKNN" in client.get(f"/why/{MATRIX}?model=user-knn").text


def test_a_model_without_explain_leaves_events_out(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    rate(client, ALIEN, "5")
    rate(client, TOY_STORY, "5")
    exact = client.get(f"/api/v1/items/{MATRIX}/why").json()
    monkeypatch.setattr("matinee.ranking.explain.is_exact", lambda model: False)
    left_out = client.get(f"/api/v1/items/{MATRIX}/why").json()
    assert (exact["method"], left_out["method"], left_out["looked_at"]) == ("exact", "left-out", 2)
    for one, other in zip(exact["because"], left_out["because"], strict=True):  # equal for a linear model
        assert one["item_id"] == other["item_id"]
        assert one["contribution"] == pytest.approx(other["contribution"], abs=1e-6)
    assert "when one of your last 2 movies is left out" in client.get(f"/why/{MATRIX}").text
    assert "Because you liked" in client.get("/").text  # lists use left-out contributions too


def test_the_api_takes_a_history_and_adds_up(client: TestClient) -> None:
    answer = client.get(f"/api/v1/items/{MATRIX}/why", params={"history": f"{ALIEN},{TOY_STORY}", "model": "item-knn"})
    found = answer.json()
    assert found["method"] == "exact"
    assert sum(part["contribution"] for part in found["because"]) + found["share"] == pytest.approx(found["score"])
    assert {part["item_id"] for part in found["because"]} <= {ALIEN, TOY_STORY}
    sizes = [abs(part["contribution"]) for part in found["because"]]
    assert sizes == sorted(sizes, reverse=True)


def test_unknown_items_and_models_are_errors(client: TestClient) -> None:
    assert client.get("/why/999999").status_code == 404
    page = client.get(f"/why/{MATRIX}?model=eaze")
    assert page.status_code == 404
    assert "eaze" in page.text
    assert client.get("/api/v1/items/999999/why").status_code == 404
    assert client.get(f"/api/v1/items/{MATRIX}/why?model=eaze&history=1").status_code == 422
    assert client.get(f"/api/v1/items/{MATRIX}/why?user_id=1").status_code == 401
    odd = client.get("/why/<script>alert(1)</script>")
    assert odd.status_code == 404
    assert "<script>alert" not in odd.text


def test_engine_why_is_explain(app: FastAPI) -> None:
    site: Site = app.state.site
    rows = site.engine.items.rows([ALIEN, TOY_STORY])
    history = Histories.of([rows.tolist()])
    found = site.engine.why(history, site.engine.items.row(MATRIX), "ease")
    weights = site.engine.artefacts["ease"].model.weights
    np.testing.assert_allclose(found.contributions[:, 0], weights[rows, site.engine.items.row(MATRIX)])


@pytest.fixture(scope="module")
def kprn_site(known_movies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteClient]:
    """The site with a fitted KPRN that knows genres, and who directed two movies; Alien and Toy Story are liked."""
    folder = tmp_path_factory.mktemp("kprn")
    directed = mt.graph({"head": [ALIEN, BLADE_RUNNER], "relation": ["directed_by"] * 2, "tail": ["Ridley Scott"] * 2})
    settings = {"epochs": 1, "max_users": 100, "first_settings": {"l2": 200}}
    mt.save_artefact(mt.fit("kprn", known_movies, graph=directed, **settings), folder / "kprn")
    app = create_app([folder / "kprn"], db_url=f"sqlite:///{folder}/k.db", clock=lambda: NOW, hasher=CHEAP)
    with SiteClient(app) as client:
        rate(client, ALIEN, "5")
        rate(client, TOY_STORY, "4")
        yield client
    app.state.site.database.close()


@pytest.mark.slow
def test_a_fitted_kprn_says_what_its_strongest_path_leads_over(kprn_site: SiteClient) -> None:
    engine = kprn_site.app.state.site.engine
    rows = engine.items.rows([ALIEN, TOY_STORY])
    paths = engine.artefacts["kprn"].model.paths_to(
        Histories.of([rows.tolist()]), [engine.items.row(BLADE_RUNNER)], 1000
    )[0]
    assert "Ridley Scott" in {path.nodes[1].name for path in paths}
    assert next(path.nodes[1].name for path in paths if path.nodes[1].name) == "Sci-Fi"
    page = kprn_site.get(f"/why/{BLADE_RUNNER}").text
    assert 'Because you liked <a href="/movie/1214">Alien (1979)</a>, also Sci-Fi' in page
    assert "Sci-Fi" in re.search(r'<section id="path">.*?</section>', page, re.DOTALL).group(0)  # type: ignore[union-attr]
    assert "Estimate: KPRN adds up the score of another model and the paths to this movie" in page
    assert [item for item, _ in rows_of(page)] == [str(ALIEN), str(TOY_STORY)]
    korean = kprn_site.get(f"/why/{BLADE_RUNNER}", headers={"accept-language": "ko-KR"}).text
    assert "같은 SF 장르인" in korean
    assert "추정값: KPRN 모델은" in korean


@pytest.mark.slow
def test_a_fitted_kprn_names_the_people_who_liked_both_where_nothing_else_is_shared(kprn_site: SiteClient) -> None:
    engine = kprn_site.app.state.site.engine
    history = Histories.of([engine.items.rows([ALIEN, TOY_STORY]).tolist()], [[5, 4]])
    scores = engine.artefacts["kprn"].model.score(engine.artefacts["kprn"].model.state_of(history))[0]
    found = (engine.reasons_of(history, int(row), float(scores[row])) for row in np.argsort(-scores))
    over_users = next(each for each in found if each.shared and not each.shared.value)
    page = kprn_site.get(f"/why/{over_users.item_id}").text
    assert re.search(r'Because you liked <a href="/movie/\d+">[^<]*</a>, and people who (liked|watched) it also', page)
    assert re.search("(fans|audience) of both", page)
    korean = kprn_site.get(f"/why/{over_users.item_id}", headers={"accept-language": "ko-KR"}).text
    assert re.search("이 영화를 (좋아한|본) 사람들이 함께 (좋아한|본) ", korean)

"""Routes take what they need as dependencies, which a test or another application may replace."""

from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.serve.pages.context import get_visitor
from matinee.serve.pages.dependencies import get_served_model
from matinee.serve.site import Site
from matinee.serve.visitor_state import VisitorState
from matinee.store.protocols import LiveEvent
from site_fixtures import NOW

ALIEN, MATRIX = 1214, 2571


def test_a_page_shows_the_visitor_of_its_dependency(app: FastAPI) -> None:
    site: Site = app.state.site
    site.log.append([LiveEvent("ada", ALIEN, "rating", 5, NOW), LiveEvent("ada", MATRIX, "watched", 1, NOW)])

    def get_ada() -> VisitorState:
        return site.state_of("ada")

    app.dependency_overrides[get_visitor] = get_ada
    with TestClient(app) as client:
        page = client.get("/my").text
    assert page.count('<li class="line"') == 2


def test_a_page_uses_the_model_of_its_dependency(app: FastAPI) -> None:
    app.dependency_overrides[get_served_model] = lambda: "item-knn"
    with TestClient(app) as client:
        page = client.get("/why/1214", params={"model": "ease"}).text
    assert '<p class="kicker">ItemKNN</p>' in page


def test_the_site_is_built_by_keyword(app: FastAPI) -> None:
    site: Site = app.state.site
    assert site.catalogue is site.engine.catalogue
    assert site.now() == NOW

"""The lab: closed at first, opened by a switch; a page for every model of the registry."""

import pytest
from fastapi import FastAPI

from matinee.models import MODELS, model_class
from matinee.serve.pages.i18n import LANGUAGES
from matinee.serve.pages.model_cards import model_card
from released import RELEASED
from site_fixtures import SiteClient


@pytest.fixture
def film_lover(app: FastAPI) -> SiteClient:
    client = SiteClient(app, lab=False)
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    return client


def test_a_film_lover_sees_no_models_name_until_the_lab_is_opened(film_lover: SiteClient) -> None:
    for path in ("/", "/movie/1214"):
        page = film_lover.get(path).text.partition("<main")[2]
        assert 'href="/models/' not in page
        assert "EASE" not in page
        assert "ItemKNN" not in page
    assert "lab is open" in film_lover.post("/lab", data={"state": "open"}).text
    page = film_lover.get("/").text
    assert 'href="/models/ease"' in page
    assert 'class="choices"' in page
    assert "lab is closed" in film_lover.post("/lab", data={"state": "closed"}).text
    assert 'class="choices"' not in film_lover.get("/").text


def test_the_switch_takes_two_states_and_leads_to_this_site_only(film_lover: SiteClient) -> None:
    assert film_lover.post("/lab", data={"state": "ajar"}).status_code == 422
    answer = film_lover.post("/lab", data={"state": "open", "next": "//evil.example"}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_every_model_of_the_registry_has_a_page(film_lover: SiteClient) -> None:
    for language in LANGUAGES:
        for name in MODELS:
            answer = film_lover.get(f"/models/{name}", headers={"accept-language": language})
            assert answer.status_code == 200, name
            assert 'id="settings"' in answer.text or not model_class(name).Config.model_fields, name
    page = film_lover.get("/models/sasrec").text
    assert "Not trained here" in page
    assert "matinee train sasrec" in page
    assert "matinee[train]" in page
    assert 'href="/models/sasrec"' in film_lover.get("/models").text


def test_a_page_has_the_fit_and_highlights_settings_that_differ(film_lover: SiteClient) -> None:
    page = film_lover.get("/models/ease").text
    assert 'id="fit"' in page
    assert film_lover.app.state.site.engine.version("ease") in page
    assert "<code>l2</code>" in page


@pytest.mark.parametrize("name", RELEASED)
def test_every_model_is_reviewed_in_both_languages_with_its_paper(name: str) -> None:
    card = model_card(model_class(name))
    assert len(card.words["en"].review.split()) > 60
    assert len(card.words["ko"].review.split()) > 40

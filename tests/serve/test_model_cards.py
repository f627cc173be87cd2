"""Model cards: every model of ours has a whole one, a model without one still has a page, a broken one is an error."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from matinee.config import Config
from matinee.errors import MatineeError
from matinee.models import MODELS, model_class
from matinee.models.base import Recommender
from matinee.models.neighbours.popularity import Popularity
from matinee.serve.app import create_app
from matinee.serve.art.models import NEUTRAL, PICTURES, draw_picture
from matinee.serve.pages import model_cards
from matinee.serve.pages.i18n import LANGUAGES
from matinee.serve.pages.mathml import mathml
from matinee.serve.pages.model_cards import card_path, model_card
from released import RELEASED

ModelMaker = Callable[[str], type[Recommender[Any]]]

OUTSIDE = '''
from matinee.config import Config
from matinee.models.neighbours.popularity import Popularity


class NewestConfig(Config):
    smooth: bool = False
    window: int | None = None
    metric: str = "cosine"


class Newest(Popularity):
    """The newest movies first.

    And more.
    """

    name = "newest"
    Config = NewestConfig
'''


@pytest.fixture
def make_model(tmp_path: Path) -> ModelMaker:
    """A model in a module outside the package, with a card beside it unless that is empty."""

    def make(card: str) -> type[Recommender[Any]]:
        name = f"newest_{tmp_path.name}"
        path = tmp_path / f"{name}.py"
        path.write_text(OUTSIDE, "utf-8")
        if card:
            path.with_suffix(".toml").write_text(card, "utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        found: type[Recommender[Any]] = module.Newest
        return found

    return make


@pytest.mark.parametrize("name", RELEASED)
def test_every_released_model_has_a_whole_card(name: str) -> None:
    model = model_class(name)
    card = model_card(model)
    assert card.paper
    assert card.picture != NEUTRAL
    assert card.formulas_for(model().config), "no formula for the default settings"
    for formula in card.formulas:
        ElementTree.fromstring(mathml(formula.tex))
    assert set(card.words) == set(LANGUAGES)
    for language, said in card.words.items():
        assert said.words, language
        assert said.plain, language
        assert said.when, language
        assert not said.words.endswith("."), "a few words, no sentence"


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_well_formed(name: str) -> None:
    ElementTree.fromstring(draw_picture(name))


def test_no_card_is_left_without_its_model() -> None:
    cards = {card_path(model_class(name)) for name in MODELS}
    models = Path(str(sys.modules["matinee.models"].__file__)).parent
    assert set(models.rglob("*.toml")) <= cards


def test_a_model_without_a_card_has_its_name_its_docstring_and_a_neutral_picture(make_model: ModelMaker) -> None:
    model = make_model("")
    card = model_card(model)
    assert (card.label, card.words_in("ko").words) == ("Newest", "The newest movies first")
    assert (card.paper, card.picture, card.formulas_for(model().config)) == ("", NEUTRAL, [])
    assert card.words_in("en").plain == card.words_in("en").when == ""


def test_the_page_of_a_model_without_a_card(
    artefact_paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cards, "card_path", lambda model: None)
    model_card.cache_clear()
    try:
        with TestClient(create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/plain.db")) as client:
            page = client.get("/models/popularity")
            assert client.get("/models").status_code == client.get("/about").status_code == 200
    finally:
        model_card.cache_clear()
    assert page.status_code == 200
    assert '<h1 class="name">Popularity</h1>' in page.text
    assert "<math" not in page.text
    assert 'id="when"' not in page.text


def test_a_model_that_comes_from_no_file_has_a_card_too() -> None:
    bare = type("Bare", (Popularity,), {"__module__": "nowhere", "__doc__": None})
    assert card_path(bare) is None
    assert (model_card(bare).label, model_card(bare).words_in("en").words) == ("Bare", "")


def test_a_model_from_outside_brings_its_own_card(make_model: ModelMaker) -> None:
    card = model_card(make_model('label = "The newest"\n[words.en]\nwords = "what came out last"\n'))
    assert (card.label, card.picture) == ("The newest", NEUTRAL)
    assert card.words_in("ko").words == "what came out last", "English where the language is missing"


@pytest.mark.parametrize(
    ("when", "settings", "shown"),
    [
        ("{ metric = 'cosine' }", {}, True),
        ("{ metric = 'cosine' }", {"metric": "dot"}, False),
        ("{ metric = ['dot', 'jaccard'] }", {"metric": "dot"}, True),
        ("{ metric = ['dot', 'jaccard'] }", {}, False),
        ("{ window = 3 }", {"window": 3}, True),
        ("{ window = false }", {}, True),
        ("{ window = true }", {"window": 3}, True),
        ("{ smooth = true }", {}, False),
        ("{ smooth = true, metric = 'cosine' }", {"smooth": True}, True),
        ("{ smooth = true, metric = 'dot' }", {"smooth": True}, False),
    ],
)
def test_a_formula_is_shown_where_the_settings_meet_its_conditions(
    make_model: ModelMaker, when: str, settings: dict[str, object], shown: bool
) -> None:
    model = make_model(f"[[formulas]]\ntex = 's(i)'\nwhen = {when}\n")
    config: Config = model(**settings).config
    assert model_card(model).formulas_for(config) == (["s(i)"] if shown else [])


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("label = ", "cannot be read as TOML"),
        ("lable = 'x'", "did you mean 'label'"),
        ("picture = 'graphs'", "did you mean 'graph'"),
        ("[[formulas]]\ntex = 'x_{1'", "not closed"),
        ("[[formulas]]\ntex = 'x'\nwhen = { metrik = 'dot' }", "no setting 'metrik'; did you mean 'metric'"),
        ("[words.en]\nword = 'x'", "word"),
    ],
)
def test_a_broken_card_is_an_error_that_names_the_file(make_model: ModelMaker, card: str, message: str) -> None:
    model = make_model(card)
    with pytest.raises(MatineeError, match=message) as caught:
        model_card(model)
    assert str(card_path(model)) in str(caught.value)


def test_mathml_of_a_formula_by_hand() -> None:
    wanted = (
        '<math display="block"><mrow><munder><mo>∑</mo><mi>j</mi></munder>'
        "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup><mo>−</mo><mfrac><mrow><mn>1</mn></mrow><mi>λ</mi></mfrac>"
        '<mo lspace="0" rspace="0.12em">ln</mo><mo>&lt;</mo></mrow></math>'
    )
    assert mathml(r"\sum_j x_i^2 - \frac{1}\lambda \ln <") == wanted
    with pytest.raises(ValueError, match="not closed"):
        mathml("x_{1")


def test_a_comma_separates_equations_only_outside_parentheses() -> None:
    assert mathml("a = f(b, c), d = e").count("<mspace") == 1
    assert "<mspace" not in mathml("f(a, b) + x_{i, j}")

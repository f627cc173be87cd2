"""What each model is, how good it is, and its list for the visitor."""

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from matinee.models import create, model_class
from matinee.serve.art.models import draw_picture
from matinee.serve.pages.context import Page, PageContext, Visitor, taste_of
from matinee.serve.pages.dependencies import AskedRerank
from matinee.serve.pages.errors import require_served
from matinee.serve.pages.mathml import mathml
from matinee.serve.pages.model_facts import fit_facts, settings_of, split_words
from matinee.serve.pages.model_lists import model_list, rank_cards
from matinee.serve.pages.model_quality import CURVE_HEIGHT, CURVE_WIDTH, curves, data_of, scale_of, with_baselines
from matinee.serve.pages.own_fits import refit_form

LISTED = 20

router = APIRouter()


@router.get("/models")
def index(page: Page) -> Response:
    """Every model with its picture and its score, the best first."""
    quality = page.resources.quality
    names = quality.best_first()
    art = {name: draw_picture(page.resources.model_cards[name].picture) for name in names}
    known = page.resources.model_cards if page.site.wording.is_movies else ()  # papers and names speak of movies
    others = [name for name in known if name not in names]
    return page.respond(
        "models.html",
        names=names,
        others=others,
        art=art,
        scores=quality.scores,
        scales=quality.scales(),
        data=data_of(page.site.engine),
        people=_people(page),
        has_map=bool(page.resources.maps.models),
    )


@router.get("/models/{name:path}")
def model(page: Page, visitor: Visitor, rerank: AskedRerank, name: str, seen: bool = False) -> Response:
    """One model: its list for the visitor, how it works and how good it is. seen: list watched movies too."""
    quality, engine = page.resources.quality, page.site.engine
    if name.endswith("/") or not name:
        return RedirectResponse(f"/models/{name}".rstrip("/"), status_code=307)
    if name not in quality.names and name in page.resources.model_cards:
        return _untrained(page, name)
    require_served(name, quality.names)
    artefact = engine.artefacts.get(name)
    items = model_list(page.site, visitor, name, LISTED, repeat=seen, rerank=rerank.asked)
    list_id = page.impressions.add("model", name, items)
    card = page.resources.model_cards[name]
    config = (artefact.model if artefact else create(name)).config
    scores = with_baselines(artefact, quality.scores) if artefact else []
    return page.respond(
        "model.html",
        model=name,
        names=quality.names,
        rerank=rerank,
        ranked=rank_cards(items, page.cards.ranked(items, visitor.watched, list_id)),
        repeat=seen and bool(visitor.watched),
        card=card,
        words=card.words_in(page.texts.language).filled(page.texts.fill),
        formulas=[mathml(tex) for tex in card.formulas_for(config)],
        art=draw_picture(card.picture),
        scores=scores,
        scale=scale_of(scores),
        parts=artefact.manifest.get("against_best_part") if artefact else None,
        curves=curves(artefact) if artefact else [],
        curve_size=(CURVE_WIDTH, CURVE_HEIGHT),
        n_watched=len(visitor.watched),
        settings=settings_of(config),
        fit=fit_facts(artefact, engine.version(name)) if artefact else None,
        lists=next((each for each in engine.tested_indexes if each.model == name), None),
        split=split_words(artefact) if artefact else ("", ""),
        refit=refit_form(page, name),
    )


def _people(page: PageContext) -> list[dict[str, object]]:
    """The sample people, by taste, with what they like best."""
    return [
        {
            "key": person.key,
            "taste": taste_of(page.texts, person),
            "cards": page.cards.plain(person.favourites, {}),
            "titles": ", ".join(page.cards.facts(row).title.name for row in person.favourites),
            "n_items": len(person.state.watched),
        }
        for person in page.resources.sample_people.people
    ]


def _untrained(page: PageContext, name: str) -> Response:
    """The page of a model that this site does not serve: what it is, and how to train it."""
    card, config = page.resources.model_cards[name], create(name).config
    return page.respond(
        "model_untrained.html",
        model=name,
        names=page.resources.quality.names,
        card=card,
        words=card.words_in(page.texts.language).filled(page.texts.fill),
        formulas=[mathml(tex) for tex in card.formulas_for(config)],
        art=draw_picture(card.picture),
        settings=settings_of(config),
        needs_torch=model_class(name).trained_by_torch,
    )

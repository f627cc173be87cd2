"""What makes lists that stand side by side: the served models, and the visitor's own fits that they kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matinee.arrays import BoolArray
from matinee.config import Rerank
from matinee.ranking.recommendation import Recommendation
from matinee.serve.own_fits.fits import OwnFit
from matinee.serve.pages.cards import Card
from matinee.serve.pages.context import PageContext
from matinee.serve.pages.model_lists import RankedCard, model_list, rank_cards
from matinee.serve.pages.model_quality import ModelScore, model_scores
from matinee.serve.site import Site
from matinee.serve.visitor_state import VisitorState

OWN = "own-"
"""What the name of an own fit begins with in addresses."""


@dataclass(frozen=True, slots=True)
class Lister:
    """A model whose list can stand beside others'. name: in addresses; fit: of a visitor, None for a served model."""

    name: str
    label: str
    url: str
    words: str
    score: ModelScore | None
    fit: OwnFit | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One list of several. only: what no other holds; missed: what it lacks and two others hold, or the only other."""

    lister: Lister
    rows: frozenset[int]
    ranked: list[RankedCard]
    only: list[Card]
    missed: list[Card]


def listers_of(page: PageContext) -> dict[str, Lister]:
    """All that can make a list for the visitor, by name: the served models, then the fits that they kept."""
    quality, cards = page.resources.quality, page.resources.model_cards
    language = page.texts.language
    found = {
        name: Lister(
            name,
            cards[name].label,
            f"/models/{name}",
            page.texts.fill(cards[name].words_in(language).words),
            quality.scores.get(name),
        )
        for name in quality.names
    }
    kept = [lister_of_fit(page, fit) for fit in page.kept_fits if fit.like.name in cards]
    return found | {each.name: each for each in kept}


def lister_of_fit(page: PageContext, fit: OwnFit) -> Lister:
    """A fit that is done. Raises MatineeError if what it wrote cannot be read."""
    score = model_scores([fit.artefact]).get(fit.like.name)
    label, address = fit.label(page.resources.model_cards[fit.like.name].label), f"/lab/fits/{fit.fit_id}"
    return Lister(f"{OWN}{fit.fit_id}", label, address, page.texts("own.words"), score, fit)


def home_list_of(
    page: PageContext, fit: OwnFit, k: int, rerank: Rerank | None, among: BoolArray | None
) -> list[Recommendation]:
    """The list of an own fit for the visitor's home page, as `Site.for_you`. It names the fit as its model.

    Raises MatineeError if what the fit wrote cannot be read.
    """
    site, visitor = _site_of(page, fit), page.visitor
    items = site.for_you(visitor.with_history(visitor.history), k, fit.like.name, rerank, among)
    return _named(items, fit)


def list_of(page: PageContext, visitor: VisitorState, lister: Lister, k: int) -> list[Recommendation]:
    """The list of a lister for the visitor, best first, without reasons. Those of an own fit name it as their model."""
    if lister.fit is None:
        return model_list(page.site, visitor, lister.name, k, explain=False)
    own = visitor.with_history(visitor.history)  # what was kept of the state was made by the served models
    items = model_list(_site_of(page, lister.fit), own, lister.fit.like.name, k, explain=False)
    return _named(items, lister.fit)


def _site_of(page: PageContext, fit: OwnFit) -> Site:
    """The site as if it served the fit alone."""
    engine = fit.engine_of(page.site.engine.now)
    return replace(page.site, engine=engine, options=replace(page.site.options, experiment=None))


def _named(items: Sequence[Recommendation], fit: OwnFit) -> list[Recommendation]:
    """A list that names an own fit, not the model that it is like."""
    return [replace(item, model=f"{OWN}{fit.fit_id}") if item.model == fit.like.name else item for item in items]


def sides_of(page: PageContext, visitor: VisitorState, listers: Sequence[Lister], k: int) -> list[Side]:
    """The lists of several, with what they share; those of served models are recorded as displayed."""
    lists = [list_of(page, visitor, each, k) for each in listers]
    rows = [frozenset(item.item_row for item in items) for items in lists]
    n_lists = {row: sum(row in found for found in rows) for found in rows for row in found}
    needed = min(2, len(listers) - 1)
    sides = []
    for lister, items, own in zip(listers, lists, rows, strict=True):
        list_id = page.impressions.add("compare", lister.name, items) if lister.fit is None else ""
        ranked = rank_cards(items, page.cards.ranked(items, visitor.watched, list_id), n_lists)
        lacking = [row for row, n in n_lists.items() if row not in own and n >= needed]
        only = [one.card for one in ranked if one.n_lists == 1]
        sides.append(Side(lister, own, ranked, only, page.cards.plain(lacking, visitor.watched)))
    return sides

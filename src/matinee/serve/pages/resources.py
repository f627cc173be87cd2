"""What the pages of a site compute once, when the application is made."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from matinee.errors import MatineeError
from matinee.models import model_class, model_names
from matinee.models.base import Recommender
from matinee.serve.accounts.rate_limit import RateLimit
from matinee.serve.pages.also_liked import AlsoLiked
from matinee.serve.pages.cards import Cards
from matinee.serve.pages.i18n import LANGUAGES
from matinee.serve.pages.item_positions import ItemMaps
from matinee.serve.pages.model_cards import ModelCard, model_card
from matinee.serve.pages.model_quality import ModelQuality, best_next_model
from matinee.serve.pages.rating_counts import RatingCounts
from matinee.serve.pages.rendering import Renderer
from matinee.serve.pages.trending import Trending
from matinee.serve.people import People
from matinee.serve.sample_people import SamplePeople
from matinee.serve.site import Site

STARTERS = 12
STARTER_PAGES = 5
"""How many times a visitor who knows none of the movies may ask for others."""
IMPORTS, IMPORTS_SECONDS = 30, 3600
"""Imports from one address in an hour: the largest keeps a core busy for seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResources:
    """Shared by all requests; safe to use from any thread.

    cards: by language; starters: item rows to rate first; next_model: the best served model of what comes next, empty
    without one.
    """

    site: Site
    renderer: Renderer
    cards: Mapping[str, Cards]
    model_cards: Mapping[str, ModelCard]
    starters: list[int]
    trending: Trending
    also_liked: AlsoLiked
    ratings: RatingCounts
    people: People
    quality: ModelQuality
    next_model: str
    import_limit: RateLimit
    maps: ItemMaps
    sample_people: SamplePeople

    @classmethod
    def of(cls, site: Site) -> Self:
        """The resources of a site."""
        models = {name: type(artefact.model) for name, artefact in site.engine.artefacts.items()}
        model_cards = {name: model_card(model) for name, model in (_known_models() | models).items()}
        return cls(
            site=site,
            renderer=Renderer(site, model_cards),
            cards=_cards(site),
            model_cards=model_cards,
            starters=site.engine.starters(STARTERS * STARTER_PAGES),
            trending=Trending(site),
            also_liked=AlsoLiked(site),
            ratings=RatingCounts(site),
            people=People(next(iter(site.engine.artefacts.values())).item_table, site.engine.popularity),
            quality=ModelQuality(site.engine),
            next_model=best_next_model(site.engine),
            import_limit=RateLimit(site.options.ticks, IMPORTS, IMPORTS_SECONDS),
            maps=ItemMaps(site.engine),
            sample_people=SamplePeople(site.engine, site.wording.kind),
        )

    def of_site(self, site: Site) -> Self:
        """The resources of a site with another catalogue, which share what was learned in training."""
        return replace(
            self,
            site=site,
            renderer=self.renderer.of_site(site),
            cards=_cards(site),
            starters=site.engine.starters(STARTERS * STARTER_PAGES),
            trending=self.trending.of_site(site),
            also_liked=self.also_liked.of_site(site),
        )


def _cards(site: Site) -> dict[str, Cards]:
    """What builds the cards of a site, by language."""
    return {language: Cards(site, language) for language in LANGUAGES}


def _known_models() -> dict[str, type[Recommender[Any]]]:
    """The models of the registry by name, without those of other packages that cannot be imported."""
    found = {}
    for name in model_names():
        with suppress(MatineeError):
            found[name] = model_class(name)
    return found

"""Shelves: the titled lists of movies on the home page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee.recommender import NEWEST, Recommendation
from matinee.serve.experiments import MadeList
from matinee.serve.pages.cards import Card
from matinee.serve.pages.context import PageContext
from matinee.serve.ratings import LIKED

BECAUSE_SHELVES = 2
"""Shelves that start from one movie of the visitor's."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A shelf.

    name: of its section; title, words: texts; model: empty where the list is a plain count; url: of its title's link.
    """

    name: str
    title: str
    words: str
    model: str
    cards: list[Card]
    url: str = ""


class ShelfBuilder:
    """Builds the shelves of a page for its visitor, without movies that they watched or dismissed."""

    def __init__(self, page: PageContext) -> None:
        self._page, self._site, self._texts = page, page.site, page.texts
        self._visitor, self._excluded = page.visitor, page.visitor.excluded

    def build(self, name: str, title: str, words: str, items: Sequence[Recommendation], url: str = "") -> Shelf:
        """A shelf of recommendations, recorded as an impression."""
        model = items[0].model if items else ""
        list_id = self._page.impressions.add(name, model, items) if model else ""
        by_model = "" if model == NEWEST else model
        return Shelf(name, title, words, by_model, self._page.cards.ranked(items, self._visitor.watched, list_id), url)

    def cards(self, name: str, made: MadeList) -> list[Card]:
        """The cards of a list that may be part of an experiment, recorded as an impression if it has items."""
        list_id = self._page.impressions.add_made(name, made) if made.items else ""
        return self._page.cards.ranked(made.items, self._visitor.watched, list_id)

    def trending(self, k: int) -> Shelf:
        """What people watch now."""
        items = self._page.resources.trending.recommend(k, self._excluded)
        return self.build("popular-now", self._texts("home.now"), self._texts("home.now_words"), items)

    def popular(self, k: int) -> Shelf:
        """What most people watched."""
        words = self._texts("home.popular_not_yet" if self._visitor.watched else "home.popular_all")
        return self.build("popular", self._texts("home.popular"), words, self._popular(k))

    def newest(self, model: str, k: int) -> Shelf:
        """What came since training, what fits the visitor first."""
        allowed = np.ones(len(self._site.engine.items), dtype=bool)
        allowed[list(self._excluded)] = False
        items = self._site.engine.newest(self._visitor.history, k, model, allowed=allowed)
        words = self._texts("home.new_for_you" if items and items[0].model != NEWEST else "home.new_words")
        return self.build("new", self._texts("home.new"), words, items)

    def genres(self, n_shelves: int, k: int) -> list[Shelf]:
        """The most watched movies of the most watched genres; a movie is on the first shelf that it fits."""
        catalogue, engine = self._site.catalogue, self._site.engine
        weight = engine.popularity @ catalogue.genre_matrix  # [G]
        shelves, excluded = [], set(self._excluded)
        for column in np.argsort(-weight, kind="stable")[:n_shelves].tolist():
            genre = catalogue.genre_names[column]
            items = self._popular(k, excluded, genre)
            excluded |= {item.item_row for item in items}
            if items:
                words = self._texts("home.genre_words")
                shelves.append(self.build(f"genre-{column}", self._texts.genre(genre), words, items))
        return shelves

    def next_for_you(self, model: str, k: int, listed: set[int]) -> Shelf:
        """The list of a model of what comes next, without the items that the page lists already."""
        items = self._site.for_you(self._visitor, k + len(listed), model)
        fresh = [item for item in items if item.item_row not in listed]
        last = self._site.title_of(next(iter(self._visitor.watched))).name
        return self.build("next", self._texts("home.next"), self._texts("home.next_words", title=last), fresh[:k])

    def because(self, k: int) -> list[Shelf]:
        """Movies similar to those that the visitor liked last, or watched last if they liked none."""
        engine, watched = self._site.engine, self._visitor.watched
        if not engine.similar_models:
            return []
        liked = [
            row
            for row, event in watched.items()
            if (event.kind != "rating" and event.kind != "less") or event.value > LIKED
        ]
        shelves = []
        for row in liked or list(watched):
            near = engine.similar(row, k, out=self._excluded)
            if len(near) < k // 2:
                continue
            title = self._texts("home.because", title=self._site.title_of(row).name)
            shelves.append(self.build(f"because-{row}", title, "", near, self._page.cards.facts(row).url))
            if len(shelves) == BECAUSE_SHELVES:
                break
        return shelves

    def _popular(self, k: int, excluded: set[int] | None = None, genre: str = "") -> list[Recommendation]:
        allowed = np.ones(len(self._site.engine.items), dtype=bool)
        allowed[list(self._excluded if excluded is None else excluded)] = False
        if genre:
            catalogue = self._site.catalogue
            allowed &= catalogue.genre_matrix[:, catalogue.genre_names.index(genre)]
        return self._site.engine.popular(k, allowed=allowed)

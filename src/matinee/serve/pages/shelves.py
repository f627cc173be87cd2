"""Shelves: the titled lists of movies on the home page."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray
from matinee.ranking.recommendation import Recommendation
from matinee.recommender import NEWEST
from matinee.serve.experiments import MadeList
from matinee.serve.pages.cards import Card
from matinee.serve.pages.context import PageContext
from matinee.serve.pages.later import stays_listed
from matinee.serve.pages.tonight import mask_of_tonight, tonight_asked
from matinee.serve.ratings import LIKED
from matinee.serve.tonight import lengths_of, something_like
from matinee.serve.visitor_state import LONGEST_KEPT
from matinee.vocab import UNKNOWN

BECAUSE_SHELVES = 2
"""Shelves that start from one movie of the visitor's."""
MOST_LISTED = LONGEST_KEPT
"""Items of a list of which the page may show many already."""


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
    """Builds the shelves of a page for its visitor, each without what is on a shelf before it.

    No shelf has what the visitor watched, dismissed, or keeps for later unless they want it listed too; and all obey
    the mood of tonight. mask: [I], what the mood lets through, None for all.
    """

    def __init__(self, page: PageContext) -> None:
        self._page, self._site, self._texts = page, page.site, page.texts
        self._visitor, self._excluded = page.visitor, page.visitor.excluded
        self.mood = tonight_asked(page.request, page.site)
        self.mask = mask_of_tonight(page.site, self.mood)
        self._later = set() if stays_listed(page.request) else set(page.visitor.for_later)
        self._excluded |= self._later

    def leave_out(self, rows: Iterable[int]) -> None:
        """Leave items out of the shelves that follow."""
        self._excluded.update(rows)

    def not_listed(self, rows: Iterable[int]) -> list[int]:
        """Those items that are on no shelf yet and may be on one, whatever the mood is."""
        return [row for row in rows if row not in self._excluded]

    @property
    def is_filtered(self) -> bool:
        """Whether lists leave out more than what the visitor watched and dismissed."""
        return self.mask is not None or bool(self._later)

    @property
    def allowed(self) -> BoolArray:
        """What may be on the next shelf. [I]."""
        allowed = np.ones(len(self._site.engine.items), dtype=bool) if self.mask is None else self.mask.copy()
        allowed[list(self._excluded)] = False
        return allowed

    @property
    def has_lengths(self) -> bool:
        """Whether the data know how long items are."""
        return lengths_of(next(iter(self._site.engine.artefacts.values())).item_table.numbers) is not None

    @property
    def liked_title(self) -> str:
        """The title of the item that the mood asks for something like, empty without one."""
        row = self._liked_row
        return "" if row == UNKNOWN else self._page.plain_cards.facts(row).title.name

    @property
    def _liked_row(self) -> int:
        return self._site.engine.items.row(self.mood.like) if self.mood.like else UNKNOWN

    def something_like(self, k: int) -> list[Card]:
        """What the mood asks for with "something like", empty if it does not, or if there is nothing."""
        row = self._liked_row
        if row == UNKNOWN:
            return []
        engine, lighter = self._site.engine, self.mood.lighter
        found = something_like(engine, row, k, lighter=lighter, mask=self.mask, excluded={row, *self._excluded})
        return self.build("tonight", "", "", found).cards

    def build(self, name: str, title: str, words: str, items: Sequence[Recommendation], url: str = "") -> Shelf:
        """A shelf of recommendations, recorded as an impression."""
        model = items[0].model if items else ""
        self.leave_out(item.item_row for item in items)
        list_id = self._page.impressions.add(name, model, items) if model else ""
        by_model = "" if model == NEWEST else model
        return Shelf(name, title, words, by_model, self._page.cards.ranked(items, self._visitor.watched, list_id), url)

    def cards(self, name: str, made: MadeList, *, is_recorded: bool) -> list[Card]:
        """The cards of a list that may be part of an experiment.

        is_recorded: as an impression if it has items; what a visitor's own fit lists is none.
        """
        list_id = self._page.impressions.add_made(name, made) if made.items and is_recorded else ""
        self.leave_out(item.item_row for item in made.items)
        return self._page.cards.ranked(made.items, self._visitor.watched, list_id)

    def trending(self, k: int) -> Shelf:
        """What people watch now."""
        items = self._page.resources.trending.recommend(k, self._excluded, self.mask)
        return self.build("popular-now", self._texts("home.now"), self._texts("home.now_words"), items)

    def popular(self, k: int) -> Shelf:
        """What most people watched."""
        words = self._texts("home.popular_not_yet" if self._visitor.watched else "home.popular_all")
        return self.build("popular", self._texts("home.popular"), words, self.popular_rows(k))

    def newest(self, model: str, k: int) -> Shelf:
        """What came since training, what fits the visitor first."""
        items = self._site.engine.newest(self._visitor.history, k, model, allowed=self.allowed)
        words = self._texts("home.new_for_you" if items and items[0].model != NEWEST else "home.new_words")
        return self.build("new", self._texts("home.new"), words, items)

    def genres(self, n_shelves: int, k: int) -> list[Shelf]:
        """The most watched movies of the most watched genres; a movie is on the first shelf that it fits."""
        catalogue, engine = self._site.catalogue, self._site.engine
        weight = engine.popularity @ catalogue.genre_matrix  # [G]
        shelves = []
        for column in np.argsort(-weight, kind="stable")[:n_shelves].tolist():
            genre = catalogue.genre_names[column]
            items = self.popular_rows(k, genre)
            if items:
                words = self._texts("home.genre_words")
                shelves.append(self.build(f"genre-{column}", self._texts.genre(genre), words, items))
        return shelves

    def next_for_you(self, model: str, k: int) -> Shelf:
        """The list of a model of what comes next, without the items that the page lists already."""
        if self.is_filtered:
            items = self._site.for_you(self._visitor, k, model, among=self.allowed, explain=False)
        else:  # a list that is kept until the visitor's state changes
            items = self._site.for_you(self._visitor, MOST_LISTED, model, explain=False)
        fresh = [item for item in items if item.item_row not in self._excluded]
        last = self._page.plain_cards.facts(next(iter(self._visitor.watched))).title.name
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
            near = engine.similar(row, k, out=self._out)
            if len(near) < k // 2:
                continue
            title = self._texts("home.because", title=self._page.plain_cards.facts(row).title.name)
            shelves.append(self.build(f"because-{row}", title, "", near, self._page.cards.facts(row).url))
            if len(shelves) == BECAUSE_SHELVES:
                break
        return shelves

    @property
    def _out(self) -> Collection[int]:
        return self._excluded if self.mask is None else set(np.flatnonzero(~self.allowed).tolist())

    def popular_rows(self, k: int, genre: str = "") -> list[Recommendation]:
        """The most popular items that are on no shelf yet, of a genre if one is given."""
        allowed = self.allowed
        if genre:
            catalogue = self._site.catalogue
            allowed &= catalogue.genre_matrix[:, catalogue.genre_names.index(genre)]
        return self._site.engine.popular(k, allowed=allowed)

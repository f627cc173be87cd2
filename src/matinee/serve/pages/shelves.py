"""Rows of movies, as the first page and the movie page show them: a heading, whose work it is, and cards."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import Request

from matinee.recommender import Recommendation
from matinee.serve.pages.base import Frame
from matinee.serve.pages.cards import LIKED, Card, movie_url
from matinee.serve.pages.i18n import texts_for
from matinee.serve.pages.trending import PopularNow
from matinee.titles import spoken_title

BECAUSE = 2
"""Rows that start from one movie of the visitor's."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row. name: of its section; title and words: texts; model: who made it, empty where nobody but a count did."""

    name: str
    title: str
    words: str
    model: str
    cards: list[Card]
    url: str = ""
    """Where its title leads."""


class Rows:
    """Makes the rows of one page for one visitor; movies watched or hidden are in none of them."""

    def __init__(self, frame: Frame, request: Request) -> None:
        self._site, self._cards, self._t = frame.site, frame.cards, texts_for(request)
        self._seen, self._showing = frame.seen(request), frame.showing(request)
        self._out = self._seen.out

    def of(self, name: str, title: str, words: str, items: Sequence[Recommendation], url: str = "") -> Row:
        """A row of recommendations, written down as shown."""
        model = items[0].model if items else ""
        list_id = self._showing.add(name, model, items) if model else ""
        return Row(name, title, words, model, self._cards.listed(items, self._seen.watched, list_id), url)

    def popular_now(self, now: PopularNow, k: int) -> Row:
        """What people watch now."""
        return self.of("popular-now", self._t("home.now"), self._t("home.now_words"), now.listed(k, self._out))

    def popular(self, k: int) -> Row:
        """What most people watched."""
        words = self._t("home.popular_not_yet" if self._seen.watched else "home.popular_all")
        return self.of("popular", self._t("home.popular"), words, self._popular(k))

    def genres(self, n_rows: int, k: int) -> list[Row]:
        """The most watched movies of the genres watched most; a movie stands in the first row that it fits."""
        catalogue, engine = self._site.catalogue, self._site.engine
        weight = engine.popularity @ catalogue.genre_matrix  # [G]
        rows, out = [], set(self._out)
        for column in np.argsort(-weight, kind="stable")[:n_rows].tolist():
            genre = catalogue.genre_names[column]
            items = self._popular(k, out, genre)
            out |= {item.item_row for item in items}
            if items:
                words = self._t("home.genre_words")
                rows.append(self.of(f"genre-{column}", self._t.genre(genre), words, items))
        return rows

    def next_for_you(self, model: str, k: int, listed: set[int]) -> Row:
        """What a model of what comes next makes of the order of the history."""
        items = [item for item in self._site.for_you(self._seen, k + len(listed), model) if item.item_row not in listed]
        last = spoken_title(self._site.catalogue.titles[next(iter(self._seen.watched))]).name
        return self.of("next", self._t("home.next"), self._t("home.next_words", title=last), items[:k])

    def because(self, k: int) -> list[Row]:
        """What is like the movies liked last, or watched last where none was liked."""
        engine = self._site.engine
        if not engine.similar_models:
            return []
        liked = [row for row, event in self._seen.watched.items() if event.kind == "watched" or event.value > LIKED]
        rows = []
        for row in liked or list(self._seen.watched):
            near = engine.similar(row, k, out=self._out)
            if len(near) < k // 2:
                continue
            title = spoken_title(self._site.catalogue.titles[row]).name
            url = movie_url(engine.items.id(row))
            rows.append(self.of(f"because-{row}", self._t("home.because", title=title), "", near, url))
            if len(rows) == BECAUSE:
                break
        return rows

    def _popular(self, k: int, out: set[int] | None = None, genre: str = "") -> list[Recommendation]:
        allowed = np.ones(len(self._site.engine.items), dtype=bool)
        allowed[list(self._out if out is None else out)] = False
        if genre:
            catalogue = self._site.catalogue
            allowed &= catalogue.genre_matrix[:, catalogue.genre_names.index(genre)]
        return self._site.engine.popular(k, allowed=allowed)

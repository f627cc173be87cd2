"""Movies as pages show them."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote

from matinee.ranking.recommendation import Recommendation
from matinee.ranking.shared import Shared
from matinee.serve.korean_titles import korean_title
from matinee.serve.ratings import LIKED
from matinee.serve.site import Site
from matinee.store.protocols import LiveEvent
from matinee.titles import MovieTitle
from matinee.vocab import Id

CACHED_CARDS = 4096
"""Movies whose facts and cover are cached: 20 MB."""


@dataclass(frozen=True, slots=True)
class Card:
    """A movie on a page.

    value: the visitor's rating, 0 without one, None if it is not among their movies; kind: of their event; picture: the
    address of the item's own, empty where a card is drawn; saved: whether it is kept for later; second_cover: the item
    beside it has the drawing of its first; original: the name in the data, where the title is translated.
    """

    item_row: int
    item_id: Id
    title: MovieTitle
    full_title: str
    year: int
    genres: tuple[str, ...]
    url: str
    value: float | None = None
    kind: str = ""
    picture: str = ""
    at: int = 0
    reasons: tuple["Card", ...] = ()
    liked: bool = False
    shared: Shared | None = None
    position: int = 0
    model: str = ""
    score: float = 0.0
    list_id: str = ""
    saved: bool = False
    second_cover: bool = False
    original: str = ""

    def __hash__(self) -> int:
        return hash((self.item_row, self.value, self.model, self.position))

    @property
    def stars(self) -> float:
        """The visitor's rating to the nearest half star, 0 without a rating; a whole number of stars is an int."""
        halves = round(2 * (self.value or 0))
        return halves / 2 if halves % 2 else halves // 2


Watched = Mapping[int, LiveEvent]
"""A visitor's last event with each item, by item row."""


class Cards:
    """Builds cards of item rows and of recommendations, with titles in a language."""

    def __init__(self, site: Site, language: str) -> None:
        self._site, self._language, self._saved = site, language, frozenset[int]()
        self.facts = lru_cache(maxsize=CACHED_CARDS)(self._facts)

    def of_visitor(self, saved: Iterable[int]) -> "Cards":
        """The same for a visitor who keeps these item rows for later."""
        other = copy(self)
        other._saved = frozenset(saved)
        return other

    def ranked(self, items: Sequence[Recommendation], watched: Watched, list_id: str = "") -> list[Card]:
        """The cards of a list, with positions from 1. list_id: from `ImpressionRecorder.add`; links name it.

        No two neighbours have covers with the same drawing.
        """
        seconds = self._site.covers.seconds(item.item_row for item in items)
        return [
            self.card(item.item_row, watched, item, n, list_id, second=second)
            for n, (item, second) in enumerate(zip(items, seconds, strict=True), start=1)
        ]

    def plain(self, rows: Sequence[int], watched: Watched) -> list[Card]:
        """The cards of item rows that no model recommended."""
        pairs = zip(rows, self._site.covers.seconds(rows), strict=True)
        return [self.card(row, watched, position=n, second=second) for n, (row, second) in enumerate(pairs, start=1)]

    def card(
        self,
        row: int,
        watched: Watched,
        item: Recommendation | None = None,
        position: int = 0,
        list_id: str = "",
        *,
        second: bool = False,
    ) -> Card:
        """One card. second: whether it has its second cover."""
        facts, event = self.facts(row), watched.get(row)
        reasons = item.reasons if item else ()
        return replace(
            facts,
            url=f"{facts.url}?list={list_id}" if list_id else facts.url,
            value=None if event is None else event.value if event.kind == "rating" else 0.0,
            kind=event.kind if event else "",
            at=event.at if event else 0,
            reasons=tuple(self.facts(reason.item_row) for reason in reasons),
            liked=bool(reasons) and all((self._site.stars_of(reason.value) or 0) >= LIKED for reason in reasons),
            shared=item.shared if item else None,
            position=position,
            model=item.model if item else "",
            score=item.score if item else 0.0,
            list_id=list_id,
            saved=row in self._saved,
            second_cover=second,
        )

    def _facts(self, row: int) -> Card:
        """The part of a card that is the same for everyone."""
        catalogue, is_movies = self._site.catalogue, self._site.wording.is_movies
        year = catalogue.years[row]
        item_id = self._site.engine.items.id(row)
        title = self._site.title_of(row)
        translated = korean_title(catalogue.titles[row]) if self._language == "ko" and is_movies else ""
        return Card(
            item_row=row,
            item_id=item_id,
            title=MovieTitle(translated, title.name) if translated else title,
            original=title.name if translated else "",
            full_title=catalogue.titles[row] if is_movies else str(item_id),
            year=0 if str(year) in catalogue.titles[row] and not is_movies else year,
            genres=catalogue.genres[row],
            picture=f"/picture/{quote(str(item_id), safe='')}" if self._site.picture_of(row) else "",
            url=f"/{'movie' if is_movies else 'item'}/{quote(str(item_id), safe='')}",
        )

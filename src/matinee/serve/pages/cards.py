"""Movies as pages show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote

from matinee.recommender import Reason, Recommendation
from matinee.serve.site import Site
from matinee.store.protocols import LiveEvent
from matinee.titles import MovieTitle, spoken_title
from matinee.vocab import Id

KEPT = 4096
"""Movies of which what everyone sees is kept at hand: 20 MB with their covers."""
LIKED = 3.0
"""From this rating on a reason says liked, below it watched."""


@dataclass(frozen=True, slots=True)
class Card:
    """A movie as a page shows it. value: the visitor's rating, 0 for watched without one, None where not watched."""

    item_row: int
    item_id: Id
    title: MovieTitle
    full_title: str
    year: int
    genres: tuple[str, ...]
    url: str
    value: float | None = None
    at: int = 0
    reasons: tuple["Card", ...] = ()
    liked: bool = False
    position: int = 0
    model: str = ""
    score: float = 0.0
    list_id: str = ""

    @property
    def stars(self) -> int:
        """The visitor's rating in whole stars, 0 without one."""
        return round(self.value or 0)


Watched = Mapping[int, LiveEvent]
"""A visitor's last event with each item, by item row."""


class Cards:
    """Makes cards of item rows and recommendations."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.facts = lru_cache(maxsize=KEPT)(self._facts)

    def listed(self, items: Sequence[Recommendation], watched: Watched, list_id: str = "") -> list[Card]:
        """The cards of a list, with positions from 1. list_id: as `Showing.add` gave it; links then tell of it."""
        return [self.card(item.item_row, watched, item, place, list_id) for place, item in enumerate(items, start=1)]

    def plain(self, rows: Sequence[int], watched: Watched) -> list[Card]:
        """The cards of item rows that no model put there."""
        return [self.card(row, watched, position=place) for place, row in enumerate(rows, start=1)]

    def card(
        self,
        row: int,
        watched: Watched,
        item: Recommendation | None = None,
        position: int = 0,
        list_id: str = "",
    ) -> Card:
        """One card."""
        facts, event = self.facts(row), watched.get(row)
        reasons = item.reasons if item else ()
        return replace(
            facts,
            url=f"{facts.url}?list={list_id}" if list_id else facts.url,
            value=None if event is None else event.value if event.kind == "rating" else 0.0,
            at=event.at if event else 0,
            reasons=tuple(self.facts(reason.item_row) for reason in reasons),
            liked=_liked(reasons),
            position=position,
            model=item.model if item else "",
            score=item.score if item else 0.0,
            list_id=list_id,
        )

    def _facts(self, row: int) -> Card:
        """What a card says to everyone."""
        catalogue = self._site.catalogue
        item_id = self._site.engine.items.id(row)
        return Card(
            item_row=row,
            item_id=item_id,
            title=spoken_title(catalogue.titles[row]),
            full_title=catalogue.titles[row],
            year=catalogue.years[row],
            genres=catalogue.genres[row],
            url=movie_url(item_id),
        )


def movie_url(item_id: Id) -> str:
    """The path of a movie's page."""
    return f"/movie/{quote(str(item_id), safe='')}"


def _liked(reasons: tuple[Reason, ...]) -> bool:
    return bool(reasons) and all(reason.value >= LIKED for reason in reasons)

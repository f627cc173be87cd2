"""Several models' lists side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Annotated

from fastapi import APIRouter, Query, Response

from matinee.serve.pages.cards import Card
from matinee.serve.pages.context import Page, PageContext, Visitor
from matinee.serve.pages.errors import require_served
from matinee.serve.pages.listers import Lister, Side, listers_of, sides_of
from matinee.serve.pages.model_quality import data_of

LENGTH = 12
LEAST, FILLED, MOST = 2, 3, 4
"""Models side by side; fewer than LEAST are filled up to FILLED."""
TELLING = 3
"""Items that a list has alone from which on something is said about them."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Character:
    """What the items are like that one list has alone. genre: of more than half of them, empty without one.

    year, events: medians, of the years that are known and of the events in training.
    """

    lister: Lister
    genre: str
    year: int
    events: int


@router.get("/compare")
def compare(page: Page, visitor: Visitor, models: Annotated[list[str] | None, Query()] = None) -> Response:
    """Two to four models' lists for the visitor, with the movies that they share."""
    listers = listers_of(page)
    chosen = _chosen(page, models or [], listers)
    sides = sides_of(page, visitor, [listers[name] for name in chosen], LENGTH)
    in_all = frozenset.intersection(*(side.rows for side in sides))
    shared = [one.card for one in sides[0].ranked if one.card.item_row in in_all]
    return page.respond(
        "compare.html",
        listers=listers.values(),
        chosen=chosen,
        sides=sides,
        overlaps=[(a.lister.label, b.lister.label, len(a.rows & b.rows)) for a, b in combinations(sides, 2)],
        shared=shared,
        characters=[_character(page, side) for side in sides if len(side.only) >= TELLING],
        length=max(len(side.rows) for side in sides),
        most=MOST,
        data=data_of(page.site.engine),
        n_watched=len(visitor.watched),
    )


def _chosen(page: PageContext, asked: list[str], listers: dict[str, Lister]) -> list[str]:
    """The models asked for, with the default and the best others if there is only one. Raises PageError."""
    names = list(dict.fromkeys(name.strip() for part in asked for name in part.split(",") if name.strip()))
    for name in names:
        require_served(name, tuple(listers))
    if len(names) < LEAST:
        best = page.resources.quality.best_first()
        return list(dict.fromkeys([*names, page.site.engine.default, *best]))[:FILLED]
    return names[:MOST]


def _character(page: PageContext, side: Side) -> Character:
    cards: Sequence[Card] = side.only
    genres = Counter(genre for card in cards for genre in card.genres)
    genre, n = genres.most_common(1)[0] if genres else ("", 0)
    years = [card.year for card in cards if card.year]
    events = page.site.engine.popularity[[card.item_row for card in cards]]
    return Character(
        side.lister,
        genre if 2 * n > len(cards) else "",
        int(median(years)) if years else 0,
        int(median(events.tolist())),
    )

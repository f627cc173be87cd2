"""Several models' lists side by side."""

from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

from fastapi import APIRouter, Query, Response

from matinee.serve.pages.cards import Card
from matinee.serve.pages.context import Page, PageContext, Visitor
from matinee.serve.pages.errors import require_served
from matinee.serve.pages.model_lists import RankedCard, model_list, rank_cards

LENGTH = 12
LEAST, FILLED, MOST = 2, 3, 4
"""Models side by side; fewer than LEAST are filled up to FILLED."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Column:
    """One model's list. missed: what it lacks and at least two others hold, or the only other one."""

    model: str
    ranked: list[RankedCard]
    missed: list[Card]


@router.get("/compare")
def compare(page: Page, visitor: Visitor, models: Annotated[list[str] | None, Query()] = None) -> Response:
    """Two to four models' lists for the visitor, with the movies that they share."""
    quality = page.resources.quality
    chosen = _chosen(page, models or [])
    lists = {name: model_list(page.site, visitor, name, LENGTH) for name in chosen}
    rows = {name: {item.item_row for item in items} for name, items in lists.items()}
    n_lists = {row: sum(row in found for found in rows.values()) for found in rows.values() for row in found}
    columns = []
    for name, items in lists.items():
        list_id = page.impressions.add("compare", name, items)
        ranked = rank_cards(items, page.cards.ranked(items, visitor.watched, list_id), n_lists)
        lacking = [row for row, n in n_lists.items() if row not in rows[name] and n >= min(2, len(chosen) - 1)]
        columns.append(Column(name, ranked, page.cards.plain(lacking, visitor.watched)))
    return page.respond(
        "compare.html",
        names=quality.names,
        chosen=chosen,
        columns=columns,
        overlaps=[(a, b, len(rows[a] & rows[b])) for a, b in combinations(chosen, 2)],
        in_all=sum(count == len(chosen) for count in n_lists.values()),
        length=LENGTH,
        most=MOST,
        scores=quality.scores,
        n_watched=len(visitor.watched),
    )


def _chosen(page: PageContext, asked: list[str]) -> list[str]:
    """The models asked for, with the default and the best others if there is only one. Raises PageError."""
    quality = page.resources.quality
    names = list(dict.fromkeys(name.strip() for part in asked for name in part.split(",") if name.strip()))
    for name in names:
        require_served(name, quality.names)
    if len(names) < LEAST:
        return list(dict.fromkeys([*names, page.site.engine.default, *quality.best_first()]))[:FILLED]
    return names[:MOST]

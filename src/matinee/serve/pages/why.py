"""Why a movie is recommended: what each of the visitor's movies adds to its score."""

from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Response

from matinee.ranking.counterfactual import Counterfactual
from matinee.serve.pages.cards import Card
from matinee.serve.pages.context import Page, Visitor
from matinee.serve.pages.dependencies import MovieRow, ServedModel
from matinee.serve.pages.home import FOR_YOU
from matinee.serve.pages.path_drawing import draw_path

MOST = 100
"""Contributions shown one by one; the rest are summed up."""
AGAINST = 0.15
"""A disliked movie is named above if it lowers the score by at least this share of the largest contribution."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Contribution:
    """One of the visitor's movies, how it weighs, what it adds to the score, and that over the largest, -1 to 1."""

    card: Card
    weight: float
    adds: float
    share: float


@router.get("/why/{item_id:path}")
def why(page: Page, visitor: Visitor, row: MovieRow, model: ServedModel, change: bool = False) -> Response:
    """The contributions of the visitor's movies to the score of this one, the largest first.

    change: also search what would move it out of their list, or into it.
    """
    found = page.site.engine.why(visitor.history, row, model)
    adds = found.contributions[:, 0]
    order = np.argsort(-np.abs(adds), kind="stable")
    weights = page.site.engine.weights(visitor.history, model)
    largest = float(np.abs(adds).max(initial=0)) or 1.0
    parts = [
        Contribution(
            card=page.cards.card(int(visitor.history.items[n]), visitor.watched),
            weight=float(weights[n]),
            adds=float(adds[n]),
            share=float(adds[n]) / largest,
        )
        for n in order[:MOST]
        if adds[n] != 0
    ]
    reasons = page.site.engine.reasons_of(visitor.history, row, float(found.scores[0, 0]), model)
    disliked = [part for part in parts if part.weight < 0 and part.share <= -AGAINST][:2]
    return page.respond(
        "why.html",
        model=model,
        card=page.cards.card(row, visitor.watched, reasons),
        found=found,
        score=float(found.scores[0, 0]),
        share=float(found.item_bias[0, 0]),
        parts=parts,
        disliked=disliked,
        drawing=draw_path(page.texts, page.cards.card(row, visitor.watched, reasons)),
        rest=float(adds[order[MOST:]].sum()),
        n_rest=max(0, len(order) - MOST),
        may_change=found.method != "none" and row not in visitor.watched,
        change=_change(page, visitor, row, model) if change and row not in visitor.watched else None,
        n_watched=len(visitor.watched),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What would move a movie out of a list of k, or into it, with the cards of the movies to remove and to like."""

    found: Counterfactual
    k: int
    removed: tuple[Card, ...]
    added: tuple[Card, ...]


def _change(page: Page, visitor: Visitor, row: int, model: str) -> Change:
    k = FOR_YOU
    found = page.site.engine.counterfactual(visitor.history, row, k, model, dismissed=visitor.dismissed)
    removed, added = (
        tuple(page.cards.card(one, visitor.watched) for one in rows) for rows in (found.removed, found.added)
    )
    return Change(found, k, removed, added)

"""Why a movie is recommended: what each of the visitor's movies adds to its score."""

from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Response

from matinee.serve.pages.cards import Card
from matinee.serve.pages.context import Page, Visitor
from matinee.serve.pages.dependencies import MovieRow, ServedModel
from matinee.serve.pages.path_drawing import draw_path

MOST = 100
"""Contributions shown one by one; the rest are summed up."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Contribution:
    """One of the visitor's movies, how it weighs, what it adds to the score, and that over the largest, -1 to 1."""

    card: Card
    weight: float
    adds: float
    share: float


@router.get("/why/{item_id:path}")
def why(page: Page, visitor: Visitor, row: MovieRow, model: ServedModel) -> Response:
    """The contributions of the visitor's movies to the score of this one, the largest first."""
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
    disliked = [part for part in parts if part.adds < 0 and part.weight < 0][:2]
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
        n_watched=len(visitor.watched),
    )

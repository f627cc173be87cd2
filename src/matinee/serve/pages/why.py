"""Why a movie is recommended: what each of the visitor's movies adds."""

from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request, Response

from matinee.serve.pages.base import Frame
from matinee.serve.pages.cards import LIKED, Card

MOST = 100
"""Movies shown one by one; the rest are summed up."""


@dataclass(frozen=True, slots=True)
class Part:
    """A movie of the visitor's, what it adds to the score, and the same as a share of the largest, 0 to 1."""

    card: Card
    adds: float
    share: float


class WhyPages:
    """The explanation of one place of a list."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/why/{item_id:path}")(self.why)

    def why(self, request: Request, item_id: str, model: str = "") -> Response:
        """What each movie of the visitor's adds to this one's score, the strongest first."""
        engine, cards = self._site.engine, self._frame.cards
        row = self._frame.row_of(item_id)
        name = model or engine.default
        self._frame.require_served(name, engine.models)
        seen = self._frame.seen(request)
        found = engine.why(seen.history, row, name)
        adds = found.contributions[:, 0]
        order = np.argsort(-np.abs(adds), kind="stable")
        largest = float(np.abs(adds).max(initial=0)) or 1.0
        parts = [
            Part(cards.card(int(seen.history.items[n]), seen.watched), float(adds[n]), abs(float(adds[n])) / largest)
            for n in order[:MOST]
            if adds[n] != 0
        ]
        strongest = [part for part in parts if part.adds > 0][:2]
        return self._frame.page(
            request,
            "why.html",
            model=name,
            card=cards.card(row, seen.watched),
            found=found,
            score=float(found.scores[0]),
            share=float(found.item_bias[0]),
            parts=parts,
            strongest=strongest,
            liked=all((part.card.value or 0) >= LIKED for part in strongest),
            rest=float(adds[order[MOST:]].sum()),
            n_rest=max(0, len(order) - MOST),
            n_watched=len(seen.watched),
        )

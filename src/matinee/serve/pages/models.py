"""What each model is, how good it is, and what it would show this visitor; and several of them side by side."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from matinee.config import Rerank
from matinee.recommender import POPULAR, Recommendation
from matinee.serve.art.models import draw_picture
from matinee.serve.pages.base import Frame
from matinee.serve.pages.cards import Card
from matinee.serve.pages.mathml import mathml
from matinee.serve.pages.model_quality import CURVE_HEIGHT, CURVE_WIDTH, Figure, beside, curves, figures
from matinee.serve.pages.rerank_form import rerank_of
from matinee.serve.site import Seen

LISTED, COMPARED = 20, 12
LEAST, MOST = 2, 4
"""Models side by side."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a model's list. strength: its score from 0 (the lowest of the list) to 1 (the highest)."""

    card: Card
    strength: float
    shared: int = 0
    """Lists that hold the movie, where several stand side by side."""


@dataclass(frozen=True, slots=True)
class Column:
    """One model's list beside others."""

    model: str
    places: list[Place]


class ModelPages:
    """The models, one by one and side by side."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site
        engine = frame.site.engine
        self._names = engine.models if POPULAR in engine.models else (*engine.models, POPULAR)
        self._figures = figures(list(engine.artefacts.values()))

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/models")(self.index)
        router.get("/models/{name:path}")(self.model)
        router.get("/compare")(self.compare)

    def index(self, request: Request) -> Response:
        """Every model with its picture and its figure, the best first."""
        names = self._best_first()
        art = {name: draw_picture(self._frame.card(name).picture) for name in names}
        scales = {figure.split: _scale(self._on(figure.split)) for figure in self._figures.values()}
        return self._frame.page(request, "models.html", names=names, art=art, figures=self._figures, scales=scales)

    def model(self, request: Request, name: str, seen: bool = False) -> Response:
        """One model: its list for this visitor, what it is, and how good it is. seen: list watched movies too."""
        self._frame.require_served(name, self._names)
        artefact = self._site.engine.artefacts.get(name)
        did = self._frame.seen(request)
        rerank = rerank_of(request, self._site.catalogue)
        items = self._list(did, name, LISTED, repeat=seen, rerank=rerank.asked)
        list_id = self._frame.showing(request).add("model", name, items)
        compared = beside(artefact, self._figures) if artefact else []
        return self._frame.page(
            request,
            "model.html",
            model=name,
            names=self._names,
            rerank=rerank,
            places=self._places(items, self._frame.cards.listed(items, did.watched, list_id)),
            repeat=seen and bool(did.watched),
            card=self._frame.card(name),
            formulas=[mathml(tex) for tex in self._frame.formulas(name)],
            art=draw_picture(self._frame.card(name).picture),
            figures=compared,
            scale=_scale(compared),
            curves=curves(artefact) if artefact else [],
            curve_size=(CURVE_WIDTH, CURVE_HEIGHT),
            n_watched=len(did.watched),
        )

    def compare(self, request: Request, models: Annotated[list[str] | None, Query()] = None) -> Response:
        """Two to four models' lists for this visitor, with what they share."""
        asked = list(dict.fromkeys(name.strip() for part in models or [] for name in part.split(",") if name.strip()))
        for name in asked:
            self._frame.require_served(name, self._names)
        chosen = (asked if len(asked) >= LEAST else self._filled(asked))[:MOST]
        did, showing, cards = self._frame.seen(request), self._frame.showing(request), self._frame.cards
        lists = {name: self._list(did, name, COMPARED) for name in chosen}
        rows = {name: {item.item_row for item in items} for name, items in lists.items()}
        holds = {row: sum(row in found for found in rows.values()) for found in rows.values() for row in found}
        columns = [
            Column(
                name, self._places(items, cards.listed(items, did.watched, showing.add("compare", name, items)), holds)
            )
            for name, items in lists.items()
        ]
        return self._frame.page(
            request,
            "compare.html",
            names=self._names,
            chosen=chosen,
            columns=columns,
            overlaps=[(a, b, len(rows[a] & rows[b])) for a, b in combinations(chosen, 2)],
            in_all=sum(count == len(chosen) for count in holds.values()),
            length=COMPARED,
            most=MOST,
            figures=self._figures,
            n_watched=len(did.watched),
        )

    def _filled(self, asked: list[str]) -> list[str]:
        """The models asked for and the best measured others, up to three."""
        return list(dict.fromkeys([*asked, self._site.engine.default, *self._best_first()]))[:3]

    def _best_first(self) -> list[str]:
        """The models by their figures; those measured on another split than most, or not at all, come after."""
        splits = Counter(figure.split for figure in self._figures.values())

        def place(name: str) -> tuple[int, float]:
            figure = self._figures.get(name)
            return (-splits[figure.split], -figure.mean) if figure else (1, 0.0)

        return sorted(self._names, key=place)

    def _on(self, split: str) -> list[Figure]:
        return [figure for figure in self._figures.values() if figure.split == split]

    def _list(
        self, did: Seen, name: str, k: int, *, repeat: bool = False, rerank: Rerank | None = None
    ) -> list[Recommendation]:
        engine = self._site.engine
        if name not in engine.models:
            out = did.dismissed if repeat else np.concatenate([did.history.items, did.dismissed])
            return engine.popular(k, allowed=engine.allowed(rerank, out))
        if repeat and did.watched:
            return engine.recommend_for(did.history, k, name, rerank=rerank, dismissed=did.dismissed, repeat=True)
        return self._site.for_you(did, k, name, rerank)

    def _places(
        self, items: list[Recommendation], cards: list[Card], holds: dict[int, int] | None = None
    ) -> list[Place]:
        """Bars reach from 0 to the highest score, or where some are below 0 from the lowest of the list.

        Places that a model left to popularity have none.
        """
        own = [item.score for item in items if item.model == items[0].model]
        low = min(0.0, *own) if own else 0.0
        span = (max(own) - low if own else 0.0) or 1.0
        strengths = [(item.score - low) / span if item.model == items[0].model else 0.0 for item in items]
        shared = [holds.get(item.item_row, 0) if holds else 0 for item in items]
        return [Place(*place) for place in zip(cards, strengths, shared, strict=True)]


def _scale(known: list[Figure]) -> float:
    """What a bar of full length stands for."""
    return max((figure.high for figure in known), default=1.0) * 1.05

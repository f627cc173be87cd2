"""The first page."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from matinee.recommender import Recommendation
from matinee.serve.pages.base import STRIP, Frame
from matinee.serve.pages.rerank_form import rerank_of
from matinee.serve.pages.shelves import Row, Rows
from matinee.serve.pages.trending import PopularNow

FOR_YOU, STARTERS, ROW, SHORT = 24, 12, 12, 6
"""Movies in each list; divisible by the 2, 3, 4 or 6 columns of the grid."""
PAGES_OF_STARTERS = 5
"""How often a visitor who knows none of the movies may ask for others."""
GENRES = 5
ENOUGH = 3
"""Movies a visitor rates before the invitation goes."""


class HomePages:
    """What is popular and an invitation; with a history the lists made for it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site
        self._starters = frame.site.engine.starters(STARTERS * PAGES_OF_STARTERS)
        self._now = PopularNow(frame.site)
        self._next_model = _next_model(frame)

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/")(self.home)

    def home(
        self, request: Request, model: str = "", more: Annotated[int, Query(ge=0, lt=PAGES_OF_STARTERS)] = 0
    ) -> Response:
        """For a guest what is popular and an invitation; with a history the lists made for it."""
        seen = self._frame.seen(request)
        watched = seen.watched
        engine, cards = self._site.engine, self._frame.cards
        name = model or engine.default
        self._frame.require_served(name, engine.models)
        rerank = rerank_of(request, self._site.catalogue)
        found = self._site.for_you(seen, FOR_YOU, name, rerank.asked) if watched else []
        rows = Rows(self._frame, request)
        listed = [row for row in self._rows(rows, found, guest=not watched) if row.cards]
        starters = self._starters[more * STARTERS : (more + 1) * STARTERS]
        return self._frame.page(
            request,
            "home.html",
            model=name,
            rerank=rerank,
            for_you=rows.of("for-you", "", "", found).cards,
            starters=cards.plain(starters, watched) if len(watched) < ENOUGH else [],
            more=(more + 1) % max(1, len(self._starters) // STARTERS),
            to_go=max(0, ENOUGH - len(watched)),
            enough=ENOUGH,
            recent=cards.plain(list(watched)[:STRIP], watched),
            rows=listed,
            n_watched=len(watched),
        )

    def _rows(self, rows: Rows, found: list[Recommendation], *, guest: bool) -> list[Row]:
        if guest:
            return [rows.popular_now(self._now, ROW), rows.popular(ROW), *rows.genres(GENRES, SHORT)]
        listed = {item.item_row for item in found}
        upcoming = [rows.next_for_you(self._next_model, SHORT, listed)] if self._next_model else []
        return [*upcoming, *rows.because(SHORT), rows.popular_now(self._now, SHORT), rows.popular(SHORT)]


def _next_model(frame: Frame) -> str:
    """The served model of what comes next that measured best, else the first; none without one."""
    artefacts = frame.site.engine.artefacts
    able = [name for name, artefact in artefacts.items() if artefact.model.ordered]
    quality = {name: artefacts[name].manifest.get("metrics", {}).get("ndcg@10", {}).get("mean", 0.0) for name in able}
    return max(able, key=lambda name: float(quality[name] or 0.0), default="")

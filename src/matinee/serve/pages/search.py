"""Finding movies by title."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from matinee.serve.pages.base import STRIP, Frame
from matinee.serve.site import MAX_QUERY

SUGGESTIONS, RESULTS = 7, 60


class SearchPages:
    """Results, and suggestions while typing."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/search")(self.results)
        router.get("/search/suggest")(self.suggest)

    def results(self, request: Request, q: str = "") -> Response:
        """Every movie whose title matches."""
        watched = self._frame.watched(request)
        rows = self._site.search.find(q[:MAX_QUERY], RESULTS)
        instead = self._frame.cards.listed(self._site.engine.popular(STRIP), watched) if not rows else []
        cards = self._frame.cards.plain(rows, watched)
        return self._frame.page(
            request,
            "search.html",
            q=q[:MAX_QUERY],
            cards=cards,
            instead=instead,
            many=len(cards) == RESULTS,
            n_watched=len(watched),
        )

    def suggest(self, request: Request, q: str = "") -> Response:
        """The first few matches as a list of options, for the search box."""
        rows = self._site.search.find(q[:MAX_QUERY], SUGGESTIONS)
        cards = self._frame.cards.plain(rows, {})
        return HTMLResponse(self._frame.render(request, "suggestions.html", {"cards": cards}))

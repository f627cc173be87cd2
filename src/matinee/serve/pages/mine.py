"""What the visitor watched and rated."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.pages.base import Frame

PAGE = 100
"""Movies on one page: somebody's two thousand at once take a tenth of a second to write."""


class MinePages:
    """My movies, and being forgotten."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/my")(self.mine)
        router.post("/forget")(self.forget)

    def mine(self, request: Request, page: Annotated[int, Query(ge=1)] = 1) -> Response:
        """Everything the visitor watched or rated, page by page, and what they are not interested in."""
        seen = self._frame.seen(request)
        rows = list(seen.watched)
        n_pages = max(1, -(-len(rows) // PAGE))
        first = PAGE * (min(page, n_pages) - 1)  # past the end, after removals: the last page
        dismissed = [row for row in seen.dismissed.tolist() if row not in seen.watched] if first == 0 else []
        return self._frame.page(
            request,
            "mine.html",
            cards=self._frame.cards.plain(rows[first : first + PAGE], seen.watched),
            first=first,
            page=first // PAGE + 1,
            n_pages=n_pages,
            dismissed=self._frame.cards.plain(dismissed, {}),
            n_watched=len(rows),
        )

    def forget(self, request: Request) -> Response:
        """Delete a guest and everything they did; a member is asked for the password first."""
        response = RedirectResponse("/", status_code=303)
        return response if self._site.visitors.forget(request, response) else RedirectResponse("/account#delete", 303)

"""What the visitor watched and rated."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.frame import Frame


class MinePages:
    """My movies, and being forgotten."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/my")(self.mine)
        router.post("/forget")(self.forget)

    def mine(self, request: Request) -> Response:
        """Everything the visitor watched or rated, and what they are not interested in."""
        seen = self._frame.seen(request)
        cards = self._frame.cards.plain(list(seen.watched), seen.watched)
        hidden = self._frame.cards.plain([row for row in seen.hidden.tolist() if row not in seen.watched], {})
        return self._frame.page(request, "mine.html", cards=cards, hidden=hidden, n_watched=len(cards))

    def forget(self, request: Request) -> Response:
        """Delete a guest and everything they did; a member is asked for the password first."""
        response = RedirectResponse("/", status_code=303)
        return response if self._site.visitors.forget(request, response) else RedirectResponse("/account#delete", 303)

"""The first page."""

from fastapi import APIRouter, Request, Response

from matinee.serve.frame import STRIP, Frame

FOR_YOU, STARTERS, ROW = 24, 12, 12
"""Movies in each list; divisible by the 2, 3, 4 or 6 columns of the grid."""
ENOUGH = 3
"""Movies a visitor rates before the invitation goes."""


class HomePages:
    """What is popular and an invitation; with a history the list made for it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site
        self._starters = frame.site.engine.starters(STARTERS)

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/")(self.home)

    def home(self, request: Request, model: str = "") -> Response:
        """For a guest what is popular and an invitation; with a history the list made for it."""
        user_id = self._frame.visitor(request)
        watched = self._site.watched(user_id)
        engine, cards = self._site.engine, self._frame.cards
        name = model or engine.default
        self._frame.require_served(name, engine.models)
        found = self._site.for_you(user_id, FOR_YOU, name) if user_id and watched else []
        listed = {item.item_row for item in found}
        popular = [item for item in engine.popular(ROW + 200) if item.item_row not in listed | set(watched)]
        return self._frame.page(
            request,
            "home.html",
            model=name,
            for_you=cards.listed(found, watched),
            starters=cards.plain(self._starters, watched) if len(watched) < ENOUGH else [],
            to_go=max(0, ENOUGH - len(watched)),
            enough=ENOUGH,
            recent=cards.plain(list(watched)[:STRIP], watched),
            popular=cards.listed(popular[: ROW if watched else 2 * ROW], watched),
            n_watched=len(watched),
        )

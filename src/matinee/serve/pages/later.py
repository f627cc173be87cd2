"""What a visitor keeps for later."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.pages.choices import LATER, keep_choice
from matinee.serve.pages.context import Page, Visitor

router = APIRouter()


@router.get("/my/later")
def later(page: Page, visitor: Visitor) -> Response:
    """The items that the visitor keeps for later, the newest first."""
    cards = page.cards.plain(visitor.for_later, visitor.watched)
    return page.respond("later.html", cards=cards, listed=stays_listed(page.request), n_watched=len(visitor.watched))


@router.post("/my/later")
def choose(request: Request, lists: Annotated[Literal["leave", "stay"], Form()]) -> Response:
    """Whether what is kept for later leaves all lists or stays in them; remembered in this browser."""
    response = RedirectResponse("/my/later", status_code=303)
    keep_choice(request, response, LATER, "stay" if lists == "stay" else "")
    return response


def stays_listed(request: Request) -> bool:
    """Whether what is kept for later is in lists too."""
    return request.cookies.get(LATER, "") == "stay"

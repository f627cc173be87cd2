"""Finding movies by title."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from matinee.serve.pages.context import Page, Visitor
from matinee.serve.pages.rendering import STRIP
from matinee.serve.site import MAX_QUERY

SUGGESTIONS, RESULTS = 7, 60

router = APIRouter()


@router.get("/search")
def results(page: Page, visitor: Visitor, q: str = "") -> Response:
    """The movies whose titles match, popular movies if none does."""
    rows = page.site.search.find(q[:MAX_QUERY], RESULTS)
    popular = page.site.engine.popular(STRIP) if not rows else []
    return page.respond(
        "search.html",
        q=q[:MAX_QUERY],
        cards=page.cards.plain(rows, visitor.watched),
        instead=page.cards.ranked(popular, visitor.watched),
        many=len(rows) == RESULTS,
        n_watched=len(visitor.watched),
    )


@router.get("/search/suggest")
def suggest(page: Page, q: str = "") -> Response:
    """The first matches, as options of the search box."""
    rows = page.site.search.find(q[:MAX_QUERY], SUGGESTIONS)
    return HTMLResponse(page.render("suggestions.html", cards=page.cards.plain(rows, {})))

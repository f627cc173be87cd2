"""Finding items by title, then by meaning."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from matinee.serve.pages.context import Page, Visitor
from matinee.serve.pages.rendering import STRIP
from matinee.serve.site import MAX_QUERY

SUGGESTIONS, RESULTS = 7, 60
BY_MEANING = 12
"""Items found by meaning, and the number of titles from which a query needs none."""

router = APIRouter()


@router.get("/search")
def results(page: Page, visitor: Visitor, q: str = "") -> Response:
    """The items whose titles match, then those that match by meaning; popular items if there is none."""
    rows = page.site.search.find(q[:MAX_QUERY], RESULTS)
    by_meaning = page.site.meaning.find(q[:MAX_QUERY], BY_MEANING, rows) if len(rows) < BY_MEANING else []
    popular = page.site.engine.popular(STRIP) if not rows and not by_meaning else []
    return page.respond(
        "search.html",
        q=q[:MAX_QUERY],
        cards=page.cards.plain(rows, visitor.watched),
        by_meaning=page.cards.plain(by_meaning, visitor.watched),
        describe=page.site.meaning.ready,
        instead=page.cards.ranked(popular, visitor.watched),
        many=len(rows) == RESULTS,
        n_watched=len(visitor.watched),
    )


@router.get("/search/suggest")
def suggest(page: Page, q: str = "") -> Response:
    """The first matches, as options of the search box."""
    rows = page.site.search.find(q[:MAX_QUERY], SUGGESTIONS)
    return HTMLResponse(page.render("suggestions.html", cards=page.cards.plain(rows, {})))

"""Finding items by title, by people, by meaning; what is nearest where nothing is found."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from matinee.serve.pages.context import Page, Visitor
from matinee.serve.pages.rendering import STRIP
from matinee.serve.site import MAX_QUERY

SUGGESTIONS, RESULTS = 7, 60
BY_PERSON = 24
BY_MEANING = 12
"""Items found by meaning, and the number of titles from which a query needs none."""

router = APIRouter()


@router.get("/search")
def results(page: Page, visitor: Visitor, q: str = "") -> Response:
    """The items whose titles match, those of a person, those that match by meaning; without any, the nearest."""
    site, watched, q = page.site, visitor.watched, q[:MAX_QUERY]
    rows = site.search.find(q, RESULTS)
    person = page.resources.people.find(q, BY_PERSON, site.engine.now.listed)
    credited = [row for row in person.rows if row not in rows] if person else []
    known = [*rows, *credited]
    by_meaning = site.meaning.find(q, BY_MEANING, known) if len(known) < BY_MEANING else []
    nearest = [] if known or by_meaning else site.search.nearest(q, STRIP)
    popular = [] if known or by_meaning or nearest else site.engine.popular(STRIP)
    return page.respond(
        "search.html",
        q=q,
        cards=page.cards.plain(rows, watched),
        person=person.name if person and credited else "",
        by_person=page.cards.plain(credited, watched),
        by_meaning=page.cards.plain(by_meaning, watched),
        describe=site.meaning.ready,
        nearest=page.cards.plain(nearest, watched),
        instead=page.cards.ranked(popular, watched),
        many=len(rows) == RESULTS,
        n_watched=len(visitor.watched),
    )


@router.get("/search/suggest")
def suggest(page: Page, q: str = "") -> Response:
    """The first matches, as options of the search box."""
    rows = page.site.search.find(q[:MAX_QUERY], SUGGESTIONS)
    return HTMLResponse(page.render("suggestions.html", cards=page.plain_cards.plain(rows, {})))

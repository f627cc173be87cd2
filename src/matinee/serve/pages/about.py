"""About the site, and the API's documentation."""

from fastapi import APIRouter, Response

from matinee.serve.item_facts import CreditPart, credit_parts
from matinee.serve.pages.context import Page
from matinee.serve.site import Site

MOST_CREDITS = 12
"""Different sources of texts and people that are named; a film's page names its own."""

router = APIRouter()


@router.get("/about")
def about(page: Page) -> Response:
    """Models, data and its licence, and what the site stores of a visitor."""
    first = next(iter(page.site.engine.artefacts.values()))
    return page.respond("about.html", data=first.manifest.get("data", {}), credits=_credits(page.site))


@router.get("/api/docs")
def api_docs(page: Page) -> Response:
    """The API, from its OpenAPI description."""
    return page.respond("api.html", schema=page.request.app.openapi())


def _credits(site: Site) -> list[list[CreditPart]]:
    """The sources that the items name, each once."""
    table = next(iter(site.engine.artefacts.values())).item_table
    named = [*table.credits, *(str(about.get("credit", "")) for about in site.about.values())]
    return [credit_parts(credit) for credit in dict.fromkeys(filter(str.strip, named))][:MOST_CREDITS]

"""About the site, and the API's documentation."""

from fastapi import APIRouter, Response

from matinee.serve.pages.context import Page

router = APIRouter()


@router.get("/about")
def about(page: Page) -> Response:
    """Models, data and its licence, and what the site stores of a visitor."""
    first = next(iter(page.site.engine.artefacts.values()))
    return page.respond("about.html", data=first.manifest.get("data", {}))


@router.get("/api/docs")
def api_docs(page: Page) -> Response:
    """The API, from its OpenAPI description."""
    return page.respond("api.html", schema=page.request.app.openapi())

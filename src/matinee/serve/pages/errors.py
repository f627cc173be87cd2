"""Errors that a visitor reads as a page in their language."""

from collections.abc import Sequence

from fastapi import Response

from matinee.errors import MatineeError
from matinee.serve.pages.context import PageContext
from matinee.serve.pages.i18n import DEFAULT, TEXTS
from matinee.serve.pages.rendering import STRIP
from matinee.serve.site import MAX_QUERY, Site

STATUSES_WITH_HEADING = {400, 403, 404, 409, 413, 422, 429}


class PageError(MatineeError):
    """An error with a text in each language.

    key: of the text, values: its values; wanted: a title to suggest movies for.
    """

    def __init__(self, key: str, status: int = 422, *, wanted: str = "", **values: object) -> None:
        super().__init__(TEXTS[DEFAULT](key, **values))
        self.key, self.status, self.wanted, self.values = key, status, wanted, values


def require_served(name: str, models: Sequence[str]) -> None:
    """Raises PageError for a model that is not among these."""
    if name not in models:
        raise PageError("error.no_model", 404, name=name[:MAX_QUERY], models=", ".join(models))


def find_movie_row(site: Site, item_id: str) -> int:
    """The row of a movie. Raises PageError for an unknown id."""
    row = site.engine.items.row(item_id)
    if row < 0:
        raise PageError("error.no_movie", 404, wanted=item_id, name=item_id[:MAX_QUERY])
    return row


def render_page_error(page: PageContext, error: PageError) -> Response:
    """The page for an error, in the visitor's language."""
    message = page.texts(error.key, **error.values)
    offers_models = error.key == "error.no_model"
    return render_error(page, error.status, message, wanted=error.wanted, offers_models=offers_models)


def render_error(
    page: PageContext, status: int, message: str, *, wanted: str = "", offers_models: bool = False
) -> Response:
    """A page with the error and a way on: movies with a title like `wanted`, else popular movies."""
    site = page.site
    rows = site.search.find(wanted[:MAX_QUERY], STRIP) if wanted and not wanted.isdecimal() else []
    rows = rows or [item.item_row for item in site.engine.popular(STRIP)]
    return page.respond(
        "error.html",
        status,
        heading=page.texts(f"error.heading_{status}" if status in STATUSES_WITH_HEADING else "error.heading"),
        message=message,
        cards=page.cards.plain(rows, page.visitor.watched),
        offer_models=offers_models,
    )

"""What the visitor watched and rated."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from matinee.serve.pages.context import Page, PageContext, Visitor
from matinee.store.protocols import Import

PAGE = 100
"""Movies on one page: two thousand at once take a tenth of a second to render."""

DONE = ("undone", "not_undone")

router = APIRouter()


@router.get("/my")
def mine(
    page: Page, visitor: Visitor, number: Annotated[int, Query(alias="page", ge=1)] = 1, done: str = ""
) -> Response:
    """The movies that the visitor watched or rated, page by page; on the first page, those they dismissed.

    done: what became of undoing an import.
    """
    rows = list(visitor.watched)
    n_pages = max(1, -(-len(rows) // PAGE))
    first = PAGE * (min(number, n_pages) - 1)  # past the end, after removals: the last page
    dismissed = [row for row in visitor.dismissed.tolist() if row not in visitor.watched] if first == 0 else []
    return page.respond(
        "mine.html",
        cards=page.cards.plain(rows[first : first + PAGE], visitor.watched),
        first=first,
        page=first // PAGE + 1,
        n_pages=n_pages,
        dismissed=page.cards.plain(dismissed, {}),
        n_watched=len(rows),
        imports=_imports(page, visitor.user_id),
        done=done if done in DONE else "",
    )


@router.get("/my/link")
def link(page: Page, visitor: Visitor) -> Response:
    """The header's link to the visitor's movies, with their number: what a mark changes on any page."""
    return HTMLResponse(page.render("my_link.html", n_watched=len(visitor.watched), looking_as=""))


def _imports(page: PageContext, user_id: str | None) -> list[Import]:
    """The imports that the visitor can undo."""
    found = page.site.imports.recent(user_id, page.site.now()) if user_id else []
    return [one for one in found if one.n_events]

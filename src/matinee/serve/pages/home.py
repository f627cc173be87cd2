"""The home page."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from matinee.recommender import Recommendation
from matinee.serve.accounts.sessions import cookie_path
from matinee.serve.experiments import MadeList
from matinee.serve.pages.context import Page, PageContext, Visitor
from matinee.serve.pages.dependencies import AskedRerank, ServedModel
from matinee.serve.pages.rendering import STRIP
from matinee.serve.pages.rerank_form import RerankForm
from matinee.serve.pages.resources import STARTER_PAGES, STARTERS
from matinee.serve.pages.shelves import Shelf, ShelfBuilder
from matinee.serve.visitor_state import VisitorState

FOR_YOU, LONG, SHORT = 24, 12, 6
"""Movies in each list; divisible by the 2, 3, 4 or 6 columns of the grid."""
GENRES = 5
ENOUGH, KNOWN = 3, 20
"""Movies after which lists are the visitor's own, and from which on nobody is asked to rate more."""
PICKER_COOKIE, PICKER_SECONDS = "matinee_picker", 365 * 86_400
"""Whether the visitor closed the picker, in this browser."""

router = APIRouter()


@router.get("/")
def home(
    page: Page,
    visitor: Visitor,
    model: ServedModel,
    rerank: AskedRerank,
    more: Annotated[int, Query(ge=0, lt=STARTER_PAGES)] = 0,
) -> Response:
    """For a new visitor, popular movies and an invitation to rate; with a history, the lists made from it."""
    watched = visitor.watched
    made = _for_you(page, visitor, rerank) if watched else MadeList([], model)
    items, engine = made.items, page.site.engine
    is_plain = not rerank.on and len(made.models) == 1
    n_changed = engine.n_changed(visitor.history, items, visitor.unlisted) if is_plain else None
    builder = ShelfBuilder(page)
    shelves = [shelf for shelf in _shelves(page, builder, items, model) if shelf.cards]
    excluded = visitor.excluded
    all_starters = [row for row in page.resources.starters if row not in excluded]
    starters = all_starters[more * STARTERS : (more + 1) * STARTERS] if _has_picker(page) else []
    return page.respond(
        "home.html",
        model=model,
        rerank=rerank,
        for_you=builder.cards("for-you", made),
        drafted=made.models if len(made.models) > 1 else (),
        starters=page.cards.plain(starters, watched),
        more=(more + 1) % max(1, len(all_starters) // STARTERS),
        to_go=max(0, ENOUGH - len(watched)),
        enough=ENOUGH,
        recent=page.cards.plain(list(watched)[:STRIP], watched),
        shelves=shelves,
        n_watched=len(watched),
        n_changed=n_changed,
        dislikes_all=engine.dislikes_all(visitor.history, model),
    )


@router.post("/picker")
def picker(request: Request, state: Annotated[Literal["open", "closed"], Form()]) -> Response:
    """Close the picker, or open it again; then to the home page."""
    response = RedirectResponse("/", status_code=303)
    path, secure = cookie_path(request), request.url.scheme == "https"
    response.set_cookie(
        PICKER_COOKIE, state, max_age=PICKER_SECONDS, path=path, httponly=True, samesite="lax", secure=secure
    )
    return response


def _has_picker(page: PageContext) -> bool:
    """Whether the page invites to rate: until the visitor closes it, or is known well."""
    state = page.request.cookies.get(PICKER_COOKIE, "")
    return state == "open" or (state != "closed" and len(page.visitor.watched) < KNOWN)


def _for_you(page: PageContext, visitor: VisitorState, rerank: RerankForm) -> MadeList:
    """The visitor's list by the model that the address asks for, else by their experiment or the default."""
    asked = page.request.query_params.get("model")
    return page.site.list_for(
        visitor, FOR_YOU, asked, lambda model: page.site.for_you(visitor, FOR_YOU, model, rerank.asked)
    )


def _shelves(page: PageContext, builder: ShelfBuilder, for_you: list[Recommendation], model: str) -> list[Shelf]:
    if not page.visitor.watched:
        return [
            builder.newest(model, SHORT),
            builder.trending(LONG),
            builder.popular(LONG),
            *builder.genres(GENRES, SHORT),
        ]
    listed = {item.item_row for item in for_you}
    next_model = page.resources.next_model
    upcoming = [builder.next_for_you(next_model, SHORT, listed)] if next_model else []
    return [
        builder.newest(model, SHORT),
        *upcoming,
        *builder.because(SHORT),
        builder.trending(SHORT),
        builder.popular(SHORT),
    ]

"""The home page."""

from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from matinee.errors import MatineeError
from matinee.serve.experiments import MadeList
from matinee.serve.pages.choices import PICKER, keep_choice
from matinee.serve.pages.context import Page, PageContext, Visitor
from matinee.serve.pages.dependencies import HomeRerank, ServedModel
from matinee.serve.pages.listers import OWN, home_list_of
from matinee.serve.pages.rendering import STRIP
from matinee.serve.pages.rerank_form import RerankForm
from matinee.serve.pages.resources import STARTER_PAGES, STARTERS
from matinee.serve.pages.shelves import Shelf, ShelfBuilder
from matinee.serve.pages.tonight import firsts_of
from matinee.serve.visitor_state import VisitorState

FOR_YOU, LONG, SHORT = 24, 12, 6
"""Movies in each list; divisible by the 2, 3, 4 or 6 columns of the grid."""
FIRST = 3
"""Movies for tonight, each with a large card."""
GENRES = 5
ENOUGH, KNOWN = 3, 20
"""Movies after which lists are the visitor's own, and from which on nobody is asked to rate more."""

router = APIRouter()


@router.get("/")
def home(
    page: Page,
    visitor: Visitor,
    model: ServedModel,
    rerank: HomeRerank,
    more: Annotated[int, Query(ge=0, lt=STARTER_PAGES)] = 0,
) -> Response:
    """For a new visitor, popular movies and an invitation to rate; with a history, the lists made from it.

    No movie is on the page twice.
    """
    watched = visitor.watched
    builder = ShelfBuilder(page)
    like = builder.something_like(FIRST)
    made = _for_you(page, builder, rerank, FOR_YOU if like else FOR_YOU + FIRST) if watched else MadeList([], model)
    is_own = made.model.startswith(OWN)
    for_you = builder.cards("for-you", made, is_recorded=not is_own)
    all_starters = builder.not_listed(page.resources.starters)
    starters = all_starters[more * STARTERS : (more + 1) * STARTERS] if _has_picker(page) else []
    starters = starters[:STRIP] if len(watched) >= ENOUGH else starters
    builder.leave_out(starters)
    firsts, others = firsts_of(for_you, FIRST)
    tonight = like or firsts or builder.build("tonight", "", "", builder.popular_rows(FIRST)).cards
    for_you = for_you if like else others
    shelves = [shelf for shelf in _shelves(builder, page, model) if shelf.cards]
    return page.respond(
        "home.html",
        model=model,
        rerank=rerank,
        mood=builder.mood,
        liked=builder.liked_title,
        has_lengths=builder.has_lengths,
        tonight=tonight,
        for_you=for_you,
        fit=page.fit_at_home if is_own else None,
        drafted=made.models if len(made.models) > 1 else (),
        starters=page.cards.plain(starters, watched),
        more=(more + 1) % max(1, len(all_starters) // STARTERS),
        to_go=max(0, ENOUGH - len(watched)),
        enough=ENOUGH,
        recent=page.cards.plain(list(watched)[:STRIP], watched),
        later=page.cards.plain(visitor.for_later[:LONG], watched),
        shelves=shelves,
        n_watched=len(watched),
        n_changed=_n_changed(page, visitor, made, rerank) if builder.mask is None and not is_own else None,
        dislikes_all=page.site.engine.dislikes_all(visitor.history, model),
    )


@router.post("/picker")
def picker(request: Request, state: Annotated[Literal["open", "closed"], Form()]) -> Response:
    """Close the picker, or open it again; then to the home page."""
    response = RedirectResponse("/", status_code=303)
    keep_choice(request, response, PICKER, state)
    return response


def _has_picker(page: PageContext) -> bool:
    """Whether the page invites to rate: until the visitor closes it, or is known well."""
    state = page.request.cookies.get(PICKER, "")
    return state == "open" or (state != "closed" and len(page.visitor.watched) < KNOWN)


def _for_you(page: PageContext, builder: ShelfBuilder, rerank: RerankForm, k: int) -> MadeList:
    """The visitor's list: by the model that the address asks for, their own fit, their experiment, or the default."""
    asked = page.request.query_params.get("model")
    among = builder.allowed if builder.is_filtered else None
    fit = page.fit_at_home
    if fit is not None:
        with suppress(MatineeError):  # what it wrote is damaged or gone: the served model makes the list
            return MadeList(home_list_of(page, fit, k, rerank.asked, among), f"{OWN}{fit.fit_id}")
    return page.site.list_for(
        page.visitor, k, asked, lambda model: page.site.for_you(page.visitor, k, model, rerank.asked, among)
    )


def _n_changed(page: PageContext, visitor: VisitorState, made: MadeList, rerank: RerankForm) -> int | None:
    """How many of the list are there because of the visitor's stars; None where that cannot be said."""
    if rerank.on or len(made.models) != 1:
        return None
    count = page.site.engine.n_changed
    found = visitor.once(
        ("changed", *(item.item_row for item in made.items)),
        lambda: (count(visitor.history, made.items, visitor.unlisted, rerank.asked),),
    )
    return found[0]


def _shelves(builder: ShelfBuilder, page: PageContext, model: str) -> list[Shelf]:
    if not page.visitor.watched:
        return [
            builder.newest(model, SHORT),
            builder.trending(LONG),
            builder.popular(LONG),
            *builder.genres(GENRES, SHORT),
        ]
    next_model = page.resources.next_model
    upcoming = [builder.next_for_you(next_model, SHORT)] if next_model else []
    return [
        builder.newest(model, SHORT),
        *upcoming,
        *builder.because(SHORT),
        builder.trending(SHORT),
        builder.popular(SHORT),
    ]

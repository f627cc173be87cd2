"""One movie, and the form that every card carries."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from matinee.arrays import BoolArray
from matinee.ranking.recommendation import Recommendation
from matinee.recommender import POPULAR, Engine
from matinee.renamed import EVENT_KINDS
from matinee.serve.dependencies import CurrentSite
from matinee.serve.impressions import ListPosition
from matinee.serve.pages.context import PERSON_COOKIE, Page, Visitor, own_path
from matinee.serve.pages.dependencies import MovieRow
from matinee.serve.pages.errors import PageError, find_movie_row, require_served
from matinee.serve.pages.tonight import mask_of_tonight, tonight_asked
from matinee.serve.site import Site
from matinee.serve.tonight import NEAR
from matinee.serve.visitor_state import VisitorState

SIMILAR, ALSO_LIKED = 12, 6
MAX_LIST_ID = 100
STARS = {f"{half / 2:g}" for half in range(1, 11)}
"""Half a star to five."""

router = APIRouter()


@router.get("/item/{item_id:path}")
@router.get("/movie/{item_id:path}")
def movie(
    page: Page,
    visitor: Visitor,
    row: MovieRow,
    model: str = "",
    opened_from: Annotated[str, Query(alias="list")] = "",
) -> Response:
    """One movie, with similar ones. opened_from: the list_id of the list with the link, for the record of the click."""
    site, cards, watched = page.site, page.cards, visitor.watched
    if opened_from and visitor.user_id is not None:
        site.record_click(visitor.user_id, row, opened_from[:MAX_LIST_ID])
    name = _similar_model(site.engine, model)
    mask = mask_of_tonight(site, tonight_asked(page.request, site))
    near = _similar(site, row, name, mask) if name else []
    listed = {item.item_row for item in near}
    list_id = page.impressions.add("similar", name, near)
    popularity, also_liked = site.engine.popularity, page.resources.also_liked
    events = int(popularity[row])
    is_listed = site.is_listed(row)
    return page.respond(
        "movie.html",
        200 if is_listed else 410,
        withdrawn=not is_listed,
        facts=site.facts_of(row),
        model=name,
        card=cards.card(row, watched, _for_me(site, visitor, row)),
        ratings=page.resources.ratings.of(row),
        is_filtered=mask is not None,
        events=events,
        tags=site.catalogue.tags[row] if site.catalogue.tags else (),
        place=int((popularity > events).sum()) + 1,
        people=max((len(artefact.users) for artefact in site.engine.artefacts.values()), default=0),
        similar=cards.ranked(near, watched, list_id),
        dismissed=row in visitor.dismissed,
        predicted=_predicted_stars(site, visitor, row),
        liked_too=cards.ranked(also_liked.recommend(row, ALSO_LIKED, visitor.excluded | listed, mask), watched),
        fans=also_liked.n_people(row),
        n_watched=len(watched),
    )


@router.get("/picture/{item_id:path}")
def picture(site: CurrentSite, row: MovieRow) -> Response:
    """The picture of an item, made small; its card if the file has broken since."""
    name = site.picture_of(row)
    small = site.pictures.small(name) if name else None
    headers = {"Cache-Control": "private, max-age=3600"}
    if small is None:
        return Response(str(site.covers.draw(row)), media_type="image/svg+xml", headers=headers)
    return Response(small, media_type="image/webp", headers=headers)


class MarkForm(BaseModel):
    """A mark on a movie, and the list that it is on, if any."""

    item_id: str = Field(max_length=200)
    mark: str = Field(max_length=100)
    next: str = Field("/", max_length=500)
    model: str = Field("", max_length=100)
    list_id: str = Field("", max_length=100)
    position: int = Field(0, ge=0, le=1000)


@router.post("/mark")
def mark(request: Request, site: CurrentSite, form: Annotated[MarkForm, Form()]) -> Response:
    """Rate an item (0.5 to 5), mark it as watched, remove, dismiss or restore it; then back to the form's page.

    Raises PageError while the visitor looks as somebody else.
    """
    if request.cookies.get(PERSON_COOKIE):
        raise PageError("people.refused", 409)
    row = find_movie_row(site, form.item_id)
    mark = EVENT_KINDS.get(form.mark, form.mark)  # an old name: the page was opened before an update
    stars = STARS if "rating" in site.kinds else set()
    if mark not in stars | {"removed", *site.kinds} - {"rating"}:
        raise PageError("error.no_rating")
    response = RedirectResponse(own_path(form.next), status_code=303)
    user_id = site.visitors.open(request, response, site.now())
    if mark == "removed":
        is_saved = row in site.state_of(user_id).saved
        site.log.remove(user_id, site.engine.items.id(row))
        if is_saved:  # a bookmark is no watch
            site.record(user_id, row, "saved")
        return response
    position = site.find_position(user_id, row, form.list_id)
    if position is None and form.model in {POPULAR, *site.engine.models}:  # a guest's first mark has no impression
        position = ListPosition(form.list_id, form.position, form.model, site.engine.version(form.model))
    if mark in stars:
        site.record(user_id, row, "rating", float(mark), position)
    else:
        site.record(user_id, row, mark, position=position)
    return response


def _predicted_stars(site: Site, visitor: VisitorState, row: int) -> tuple[float, float] | None:
    """The stars that a visitor would give an item and how far off that is; None if they did, or if nobody can say."""
    if row in visitor.watched or not site.wording.has_ratings:
        return None
    found = site.engine.predicted_value(visitor.history, row)
    if found is None:
        return None
    stars, higher = site.stars_of(found.value), site.stars_of(found.value + found.rmse)
    return None if stars is None or higher is None else (stars, higher - stars)


def _for_me(site: Site, visitor: VisitorState, row: int) -> Recommendation | None:
    """Why the item suits the visitor, by the default model; None for what they watched, and without a reason."""
    if row in visitor.watched or not visitor.watched or row >= site.engine.n_trained:
        return None
    model = site.default_for(visitor.user_id)
    return visitor.once(("why", row, model), lambda: site.engine.reasons_of(visitor.history, row, 0.0, model))


def _similar(site: Site, row: int, name: str, mask: BoolArray | None) -> list[Recommendation]:
    """The items most similar to one, of those that the mood of tonight lets through."""
    near = site.engine.similar(row, SIMILAR if mask is None else NEAR, name)
    return [item for item in near if mask is None or mask[item.item_row]][:SIMILAR]


def _similar_model(engine: Engine, asked: str) -> str:
    """The model for similar movies, empty if none is served. Raises PageError for one that is not served."""
    able = engine.similar_models
    if not asked or (asked in engine.models and asked not in able):  # popularity finds no similar movies
        return engine.similar_default if able else ""
    require_served(asked, able)
    return asked

"""Lists asked for in a body: of several users, or of a history that may hold unknown ids; and what comes next."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from matinee.config import Rerank
from matinee.histories import Histories, UserId
from matinee.ranking.allowed import Allowed, allow
from matinee.serve.api.dependencies import (
    MAX_HISTORY,
    UNPROCESSABLE,
    CurrentKey,
    ItemRow,
    Length,
    Model,
    find_key,
    get_key,
    parse_history,
    require_key,
    state_of_user,
)
from matinee.serve.api.lists import to_json
from matinee.serve.api.schemas import (
    ItemId,
    ListOut,
    StrictIn,
    UserIdIn,
    UserListsOut,
    recommendation_fields,
    recommendation_out,
)
from matinee.serve.dependencies import CurrentSite, get_site, site_of_user
from matinee.serve.http.quick_route import QuickRoute, answered_by
from matinee.serve.impressions import new_list_id
from matinee.serve.pages.i18n import texts_for
from matinee.serve.site import MAX_K, Site
from matinee.serve.visitor_state import VisitorState
from matinee.store.api_keys import ApiKey
from matinee.store.protocols import BOTH

MAX_USERS = 100
"""Users in one request."""

Genre = Annotated[str, Field(min_length=1, max_length=100)]

router = APIRouter(tags=["lists"], dependencies=[Depends(get_key)], route_class=QuickRoute)


class ListsIn(StrictIn):
    """For whom, and which lists. At most one of user_ids and history; without both, the visitor of this session."""

    user_ids: list[UserIdIn] | None = Field(None, min_length=1, max_length=MAX_USERS)
    """Any users, with an API key that has the scope read."""
    history: list[ItemId] | None = Field(None, max_length=MAX_HISTORY)
    """Item ids, oldest first; unknown ones are skipped, and counted in `notes`."""
    k: int = Field(10, ge=1, le=MAX_K)
    model: str | None = Field(None, max_length=100)
    among: list[ItemId] | None = Field(None, max_length=MAX_HISTORY)
    without: list[ItemId] | None = Field(None, max_length=MAX_HISTORY)
    genres: list[Genre] = Field([], max_length=50)
    """Only items with one of these genres or categories."""
    from_year: int | None = Field(None, ge=0, le=9999)
    to_year: int | None = Field(None, ge=0, le=9999)
    novelty: float = Field(0.0, ge=-1, le=1, allow_inf_nan=False)
    diversity: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)
    explain: bool = False


async def answer_quickly(request: Request) -> Response | None:
    """The usual lists: for a history, by any model, with or without reasons."""
    asked = await read_usual(request)
    if asked is None:
        return None
    site = await get_site(request)
    return await run_in_threadpool(lambda: _answer(request, site, find_key(request, site), asked))


async def read_usual(request: Request) -> ListsIn | None:
    """What a request in JSON asks for; None for any but a list for a history, and where it cannot be read."""
    if request.headers.getlist("content-type") != ["application/json"]:
        return None
    try:
        asked = ListsIn.model_validate(await request.json())
    except (ValueError, RecursionError):  # FastAPI says what is wrong
        return None
    return asked if asked.history is not None else None


@router.post("/api/v1/recommendations", response_model=UserListsOut)
@answered_by(answer_quickly)
def recommendations(request: Request, site: CurrentSite, key: CurrentKey, asked: ListsIn) -> Response:
    """A list for each user, for a given history, or for the visitor of this session."""
    return _answer(request, site, key, asked)


def _answer(request: Request, site: Site, key: ApiKey | None, asked: ListsIn) -> Response:
    if asked.user_ids is not None and asked.history is not None:
        raise HTTPException(UNPROCESSABLE, "user_ids and history were both given; give one of them")
    if asked.from_year is not None and asked.to_year is not None and asked.from_year > asked.to_year:
        raise HTTPException(UNPROCESSABLE, f"from_year {asked.from_year} is after to_year {asked.to_year}")
    if asked.user_ids is not None:
        require_key(key, "read")
        return _lists_of_users(request, site, asked, asked.user_ids)
    allowed = allow(site.engine.items, asked.among, asked.without)
    notes = list(allowed.notes)
    if asked.history is not None:
        history, unknown = parse_history(site, asked.history)
        state, notes = site.state_of(None).with_history(history), notes + unknown
    else:
        state = site.state_of(site.visitors.user_id(request))
    return _json([_list(request, site, asked, state, allowed)], notes)


@router.get("/api/v1/items/{item_id:path}/next", response_model_exclude_none=True)
def what_comes_next(site: CurrentSite, row: ItemRow, k: Length = 10, model: Model = None) -> ListOut:
    """What people take after an item, by a served model of what comes next if there is one."""
    engine = site.engine
    ordered = next((name for name in engine.models if engine.artefacts[name].model.ordered), engine.default)
    history = Histories.of([[row] if row < engine.n_trained else []])
    found = engine.recommend_for(history, k, model or ordered, explain=False)
    items = [recommendation_out(site, item, rank) for rank, item in enumerate(found, start=1)]
    name = found[0].model if found else model or ordered
    return ListOut(
        list_id=new_list_id(), model=name, version=engine.version(name), history_length=len(history.items), items=items
    )


def _lists_of_users(request: Request, site: Site, asked: ListsIn, user_ids: Sequence[UserId]) -> Response:
    """A list for each user, by the site that serves them: arms that are versions may have other items."""
    allowed: dict[str, Allowed] = {}
    lists = []
    for user_id in user_ids:
        theirs = site_of_user(request, site, user_id)
        if theirs.arm not in allowed:
            allowed[theirs.arm] = allow(theirs.engine.items, asked.among, asked.without)
        made = _list(request, theirs, asked, state_of_user(theirs, user_id), allowed[theirs.arm])
        lists.append(made | {"user_id": user_id})
    notes = list(dict.fromkeys(note for one in allowed.values() for note in one.notes))
    return _json(lists, notes)


def _list(request: Request, site: Site, asked: ListsIn, state: VisitorState, allowed: Allowed) -> dict[str, Any]:
    """The fields of a UserListOut, without those that are None."""
    rerank = Rerank(
        genres=tuple(asked.genres),
        from_year=asked.from_year,
        to_year=asked.to_year,
        novelty=asked.novelty,
        diversity=asked.diversity,
    )
    made = site.list_for(
        state,
        asked.k,
        asked.model,
        lambda name: site.list_of(state, asked.k, name, rerank, allowed.mask, explain=asked.explain),
    )
    recorder = site.impression_recorder(state.user_id)
    list_id = recorder.add_made("api", made)
    recorder.write()
    texts = texts_for(request) if asked.explain else None
    return {
        "list_id": list_id,
        "model": made.model,
        "version": BOTH.join(map(site.engine.version, made.models)),
        "history_length": len(state.history.items),
        "items": [recommendation_fields(site, item, rank, texts) for rank, item in enumerate(made.items, start=1)],
    }


def _json(lists: list[dict[str, Any]], notes: list[str]) -> Response:
    """A UserListsOut, written once, as the lists of GET."""
    return Response(to_json({"lists": lists} | ({"notes": notes} if notes else {})), media_type="application/json")

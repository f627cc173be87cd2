"""Recommendations, similar items, explanations."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from matinee.config import EvaluationConfig, Rerank, configure
from matinee.ranking.allowed import both
from matinee.recommender import POPULAR
from matinee.serve.api.asked_query import AskedList, read_query
from matinee.serve.api.dependencies import AllowedItems, AskedState, ItemRow, Length, Model, State, find_key, get_key
from matinee.serve.api.paging import KEPT_ITEMS, AskedPage, first_page, keep, read_on
from matinee.serve.api.schemas import (
    CounterfactualOut,
    ListOut,
    WhyOut,
    because_out,
    item_out,
    recommendation_fields,
    recommendation_out,
)
from matinee.serve.dependencies import CurrentSite, get_site
from matinee.serve.experiments import MadeList
from matinee.serve.http.quick_route import QuickRoute, answered_by
from matinee.serve.impressions import new_list_id
from matinee.serve.pages.i18n import texts_for
from matinee.serve.site import Site
from matinee.serve.visitor_state import PLAIN, VisitorState, is_kept
from matinee.store.protocols import BOTH

router = APIRouter(tags=["lists"], dependencies=[Depends(get_key)], route_class=QuickRoute)
to_json = TypeAdapter[Any](Any).dump_json
"""Plain values as JSON bytes."""


async def answer_quickly(request: Request) -> Response | None:
    """The usual lists: for the visitor of a session, a user or a history, with or without reasons."""
    query = read_query(request.scope["query_string"])
    if query is None:
        return None
    site = await get_site(request)

    def answer() -> Response:
        key = find_key(request, site)
        return _answer(AskedState(request, site, key, query.user_id, query.history), query.asked)

    return await run_in_threadpool(answer)


@router.get("/api/v1/recommendations", response_model=ListOut)
@answered_by(answer_quickly)
def recommendations(  # noqa: PLR0913 - one for each parameter
    asked_state: State,
    allowed: AllowedItems,
    paging: AskedPage,
    k: Length = 10,
    model: Model = None,
    explain: bool = False,
    new: Annotated[
        bool, Query(description="Only items that came since training, what fits the history first.")
    ] = False,
    rerank: Annotated[str, Query(max_length=500, description="novelty=0.5,diversity=0.3,genres=A|B")] = "",
) -> Response:
    """The best items for a history, for a user id, or by default for the visitor of this session.

    With `offset=0` the list is kept for an hour, and `list=ID&offset=N` reads it on, whatever happened in between.
    """
    return _answer(asked_state, AskedList(k, model, explain, new, rerank, allowed, paging))


def _answer(asked_state: AskedState, asked: AskedList) -> Response:
    request, site, paging, model = asked_state.request, asked_state.site, asked.paging, asked.model
    if paging and paging.list_id:
        return _json(read_on(request, site, asked_state.key, paging, asked.k).model_dump_json(exclude_none=True))
    length = KEPT_ITEMS if paging else asked.k
    rerank = configure(EvaluationConfig, {"rerank": asked.rerank}, "query").rerank if asked.rerank else PLAIN
    state = asked_state.read()
    made = _newest(site, state, length, asked, rerank) if asked.new else _listed(site, state, length, asked, rerank)
    found, notes = made.items, list(asked.allowed.notes)
    if len(state.history.items) and found and made.model == POPULAR != (model or site.engine.default):
        notes.append("the model knows nothing that this history likes: the list is by popularity")
    texts = texts_for(request) if asked.explain else None
    impressions = site.impression_recorder(state.user_id)
    list_id = impressions.add_made("api", first_page(made, asked.k) if paging else made)
    impressions.write()

    about = {
        "list_id": list_id,
        "model": made.model,
        "version": BOTH.join(map(site.engine.version, made.models)),
        "history_length": len(state.history.items),
    }

    def fields() -> list[dict[str, Any]]:
        return [recommendation_fields(site, item, rank, texts) for rank, item in enumerate(found, start=1)]

    if paging:
        whole = ListOut(**about, items=fields(), notes=notes or None)
        first = keep(site, whole, state.user_id, asked.k, by_key="user_id" in request.query_params)
        return _json(first.model_dump_json(exclude_none=True))
    what = "items", length, model, texts.language if texts else None
    is_same_again = is_kept(length, rerank, asked.allowed.mask) and not asked.new
    items = state.once(what, lambda: to_json(fields())) if is_same_again else to_json(fields())
    return _json(_list_json(about, items, notes))


def _list_json(about: dict[str, Any], items: bytes, notes: list[str]) -> bytes:
    """A ListOut as JSON, of items that are JSON already: those of a visitor who did nothing since are kept so."""
    noted = b',"notes":' + to_json(notes) if notes else b""
    return to_json(about)[:-1] + b',"items":' + items + noted + b"}"


def _newest(site: Site, state: VisitorState, length: int, asked: AskedList, rerank: Rerank | None) -> MadeList:
    """Items that came since training."""
    passes = both(site.engine.allowed(rerank, np.union1d(state.history.items, state.unlisted)), asked.allowed.mask)
    found = site.engine.newest(state.history, length, asked.model, allowed=passes)
    return MadeList(found, found[0].model if found else asked.model or site.engine.default)


def _listed(site: Site, state: VisitorState, length: int, asked: AskedList, rerank: Rerank | None) -> MadeList:
    mask = asked.allowed.mask
    return site.list_for(
        state,
        length,
        asked.model,
        lambda name: site.list_of(state, length, name, rerank, mask, explain=asked.explain),
    )


def _json(answer: str | bytes) -> Response:
    """Written once: FastAPI would check the whole list again, in another thread."""
    return Response(answer, media_type="application/json")


@router.get("/api/v1/items/{item_id:path}/similar", response_model_exclude_none=True)
def similar(site: CurrentSite, row: ItemRow, k: Length = 10, model: Model = None) -> ListOut:
    """The items that a model finds most similar; fewer than k if only those have a positive similarity."""
    found = site.engine.similar(row, k, model)
    items = [recommendation_out(site, item, rank) for rank, item in enumerate(found, start=1)]
    name = model or site.engine.similar_default
    return ListOut(list_id=new_list_id(), model=name, version=site.engine.version(name), items=items)


@router.get("/api/v1/items/{item_id:path}/counterfactual")
def counterfactual(
    site: CurrentSite, row: ItemRow, asked: State, k: Length = 10, model: Model = None
) -> CounterfactualOut:
    """What would have to change for an item to leave the first k of a list, or to enter them; the history as there."""
    state = asked.read()
    model = model or site.default_for(state.user_id)
    found = site.engine.counterfactual(state.history, row, k, model, dismissed=state.dismissed)
    return CounterfactualOut(
        item_id=site.engine.items.id(row),
        model=model,
        goal=found.goal,
        k=k,
        rank_before=found.rank_before,
        rank_after=found.rank_after,
        found=found.found,
        smallest=found.smallest,
        removed=[item_out(site, one) for one in found.removed],
        added=[item_out(site, one) for one in found.added],
    )


@router.get("/api/v1/items/{item_id:path}/why")
def why(site: CurrentSite, row: ItemRow, asked: State, model: Model = None) -> WhyOut:
    """What each event of a history adds to an item's score, the largest first; the history as for a list."""
    state = asked.read()
    history, model = state.history, model or site.default_for(state.user_id)
    found = site.engine.why(history, row, model)
    adds = found.contributions[:, 0]
    return WhyOut(
        item_id=site.engine.items.id(row),
        model=model,
        method=found.method,
        score=float(found.scores[0, 0]),
        share=float(found.item_bias[0, 0]),
        looked_at=found.n_examined,
        because=[
            because_out(site, int(history.items[n]), float(history.values[n]), float(adds[n]))
            for n in np.argsort(-np.abs(adds), kind="stable")
            if adds[n] != 0
        ],
    )

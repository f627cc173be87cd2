"""What requests of the API ask for: an item, a model, a length, a history."""

from dataclasses import replace
from typing import Annotated

import numpy as np
from fastapi import Depends, HTTPException, Query, Request
from starlette.status import HTTP_403_FORBIDDEN, HTTP_404_NOT_FOUND

from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.ranking.allowed import Allowed, allow
from matinee.serve.dependencies import CurrentSite
from matinee.serve.site import MAX_K, Site, VisitorState
from matinee.vocab import UNKNOWN, Id

MAX_HISTORY = 1000
UNPROCESSABLE = 422

Length = Annotated[int, Query(ge=1, le=MAX_K, description="How many, at most.")]
Model = Annotated[str | None, Query(max_length=100, description="A served model; the site's default if left out.")]


def get_item_row(site: CurrentSite, item_id: str) -> int:
    """The row of the item in the path; 404 for an unknown id."""
    return find_item_row(site, item_id, HTTP_404_NOT_FOUND)


def get_allowed(
    site: CurrentSite,
    among: Annotated[str | None, Query(max_length=20_000, description="Only these items: ids 1,2,3.")] = None,
    without: Annotated[str | None, Query(max_length=20_000, description="None of these items: ids 1,2,3.")] = None,
) -> Allowed:
    """Which items may be listed."""
    return allow(site.engine.items, *(None if text is None else _split_ids(text) for text in (among, without)))


def get_state(
    request: Request,
    site: CurrentSite,
    user_id: Annotated[str | None, Query(max_length=200, description="If the API is open.")] = None,
    history: Annotated[str | None, Query(max_length=20_000, description="Item ids: 1,2,3, oldest first.")] = None,
) -> VisitorState:
    """The state to recommend for: a given history, a user's, or that of the visitor of this session."""
    if user_id is not None and history is not None:
        raise HTTPException(UNPROCESSABLE, "user_id and history were both given; give one of them")
    if history is not None:
        return replace(site.state_of(None), history=_parse_history(site, history))
    if user_id is not None:
        require_open(site)
    return site.state_of(user_id if user_id is not None else site.visitors.user_id(request))


ItemRow = Annotated[int, Depends(get_item_row)]
State = Annotated[VisitorState, Depends(get_state)]
AllowedItems = Annotated[Allowed, Depends(get_allowed)]


def find_item_row(site: Site, item_id: Id, status: int) -> int:
    """The row of an item; an HTTP error with this status for an unknown id."""
    try:
        return site.row_of(item_id)
    except MatineeError as error:
        raise HTTPException(status, str(error)) from None


def require_open(site: Site) -> None:
    """Raises HTTPException unless the API is open."""
    if not site.api_open:
        raise HTTPException(
            HTTP_403_FORBIDDEN,
            "user_id is only for sites whose API is open (--api-open); leave it out to use your own session, "
            "or give a history",
        )


def _split_ids(text: str) -> list[Id]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_history(site: Site, text: str) -> Histories:
    ids = _split_ids(text)
    if len(ids) > MAX_HISTORY:
        raise HTTPException(UNPROCESSABLE, f"{len(ids)} items in the history; at most {MAX_HISTORY}")
    rows = site.engine.items.rows(ids)
    for index in np.flatnonzero(rows == UNKNOWN)[:1]:
        find_item_row(site, ids[index], UNPROCESSABLE)
    last = dict.fromkeys(reversed(rows.tolist()))  # the last event with an item counts, as in every history
    return Histories.of([list(reversed(last))])

"""What requests of the API ask for: an API key, an item, a model, a length, a history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import Depends, HTTPException, Query, Request, Security
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.status import HTTP_401_UNAUTHORIZED, HTTP_403_FORBIDDEN, HTTP_404_NOT_FOUND, HTTP_429_TOO_MANY_REQUESTS

from matinee.arrays import IntArray
from matinee.errors import MatineeError
from matinee.histories import Histories, UserId, last_of_each
from matinee.ranking.allowed import Allowed, allow, unknown_ids
from matinee.serve.dependencies import CurrentSite
from matinee.serve.http.access import answer_of
from matinee.serve.http.rates import WRONG_KEY_TOKENS
from matinee.serve.logs import note
from matinee.serve.site import MAX_K, Site
from matinee.serve.visitor_state import VisitorState
from matinee.store.api_keys import ApiKey, Scope
from matinee.vocab import UNKNOWN, Id

MAX_HISTORY = 1000
UNPROCESSABLE = 422

Length = Annotated[int, Query(ge=1, le=MAX_K, description="How many, at most.")]
Model = Annotated[str | None, Query(max_length=100, description="A served model; the site's default if left out.")]

_bearer = HTTPBearer(auto_error=False, description="An API key, made with `matinee keys create`.")


async def get_key(request: Request, site: CurrentSite, _: Annotated[object, Security(_bearer)]) -> ApiKey | None:
    """The API key of the request; None if it has none. 401 for one that is not valid: it is never ignored."""
    # most requests have none, and then need no thread for it
    return await run_in_threadpool(find_key, request, site) if "authorization" in request.headers else None


def find_key(request: Request, site: Site) -> ApiKey | None:
    """As `get_key`, for who is in a thread of their own."""
    sent = request.headers.getlist("authorization")
    if not sent:
        return None
    scheme, _, text = sent[0].partition(" ")
    return key_of_text(request, site, text if len(sent) == 1 and scheme.lower() == "bearer" else "")


def key_of_text(request: Request, site: Site, text: str) -> ApiKey:
    """The valid key with a text that a request sent. Raises HTTPException as `get_key`."""
    key = site.api_keys.find(text)
    if key is None:
        address = request.client.host if request.client else ""
        note("key_refused", address=address)
        _require_rate(request, "address", site.rates.take_address(address, WRONG_KEY_TOKENS))
        raise HTTPException(
            HTTP_401_UNAUTHORIZED,
            "the API key is unknown, revoked or expired; send one as `Authorization: Bearer KEY`",
            {"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    _require_rate(request, "key", site.rates.key.take(key.key_id))
    return key


CurrentKey = Annotated[ApiKey | None, Depends(get_key)]


def require_key(key: ApiKey | None, scope: Scope) -> ApiKey:
    """The key, if it has the scope. Raises HTTPException: 401 without a key, 403 for one without the scope."""
    if key is None:
        raise HTTPException(
            HTTP_401_UNAUTHORIZED,
            f"this needs an API key with the scope {scope} (`matinee keys create`): Authorization: Bearer KEY; "
            "without one, the API serves the session of the caller and a given history",
            {"WWW-Authenticate": "Bearer"},
        )
    if not key.allows(scope):
        raise HTTPException(
            HTTP_403_FORBIDDEN,
            f"this needs the scope {scope}; the key {key.key_id} has {', '.join(key.scopes)}",
            {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )
    return key


def require_scope(scope: Scope) -> Callable[..., ApiKey]:
    """A dependency of routes that need an API key: `key: Annotated[ApiKey, Depends(require_scope("admin"))]`.

    401 without a valid key, 403 for one without the scope.
    """

    def check(key: CurrentKey) -> ApiKey:
        return require_key(key, scope)

    return check


def get_item_row(site: CurrentSite, item_id: str) -> int:
    """The row of the item in the path; 404 for an unknown id."""
    return find_item_row(site, item_id, HTTP_404_NOT_FOUND)


async def get_allowed(
    site: CurrentSite,
    among: Annotated[str | None, Query(max_length=20_000, description="Only these items: ids 1,2,3.")] = None,
    without: Annotated[str | None, Query(max_length=20_000, description="None of these items: ids 1,2,3.")] = None,
) -> Allowed:
    """Which items may be listed."""
    return allow(site.engine.items, *(None if text is None else _split_ids(text) for text in (among, without)))


@dataclass(frozen=True, slots=True)
class AskedState:
    """Whom a list is for: a given history, a user, or the visitor of the session."""

    request: Request
    site: Site
    key: ApiKey | None
    user_id: str | None
    history: str | None

    def read(self) -> VisitorState:
        """The state to recommend for. It asks the database: for a route in a thread of its own."""
        site = self.site
        if self.user_id is not None and self.history is not None:
            raise HTTPException(UNPROCESSABLE, "user_id and history were both given; give one of them")
        if self.history is not None:
            return site.state_of(None).with_history(_parse_history(site, self.history))
        if self.user_id is not None:
            require_key(self.key, "read")
            return state_of_user(site, self.user_id)
        return site.state_of(site.visitors.user_id(self.request))


async def get_state(
    request: Request,
    site: CurrentSite,
    key: CurrentKey,
    user_id: Annotated[
        str | None, Query(max_length=200, description="Any user; with an API key that has the scope read.")
    ] = None,
    history: Annotated[str | None, Query(max_length=20_000, description="Item ids: 1,2,3, oldest first.")] = None,
) -> AskedState:
    """Whom a list is for, not read yet: the dependency needs no thread."""
    return AskedState(request, site, key, user_id, history)


def state_of_user(site: Site, user_id: UserId) -> VisitorState:
    """What a user did: in the log that the models were fitted on, then on the site."""
    state = site.state_of(str(user_id))
    return state.once(("with its past", user_id), lambda: _with_past(site, state, user_id))


def _with_past(site: Site, state: VisitorState, user_id: UserId) -> VisitorState:
    past = next(iter(site.engine.artefacts.values())).known.histories([user_id])
    if len(past.items) == 0:
        return state
    live = state.history
    together = Histories(
        np.array([0, len(past.items) + len(live.items)], dtype=past.starts.dtype),
        np.concatenate([past.items, live.items]),
        np.concatenate([past.values, live.values]),
        np.concatenate([past.times, live.times]),
        past.user_rows,
    )
    return state.with_history(last_of_each(together))


ItemRow = Annotated[int, Depends(get_item_row)]
State = Annotated[AskedState, Depends(get_state)]
AllowedItems = Annotated[Allowed, Depends(get_allowed)]


def find_item_row(site: Site, item_id: Id, status: int) -> int:
    """The row of an item; an HTTP error with this status for an unknown id."""
    try:
        return site.row_of(item_id)
    except MatineeError as error:
        raise HTTPException(status, str(error)) from None


def parse_history(site: Site, ids: Sequence[Id]) -> tuple[Histories, list[str]]:
    """A history of ids, oldest first; a sentence counts those that no item has, which are skipped."""
    rows = site.engine.items.rows(ids)
    return _history_of(site, rows), unknown_ids("history", ids, rows == UNKNOWN)


def _history_of(site: Site, rows: IntArray) -> Histories:
    """The history of a visitor with these item rows, without those that are UNKNOWN or came since training."""
    return last_of_each(Histories.of_visitor(rows[(rows != UNKNOWN) & (rows < site.engine.n_trained)]))


def _require_rate(request: Request, limit: str, seconds: int) -> None:
    """429 if a limit says to wait, counted under its name."""
    if seconds:
        if (answer := answer_of(request.scope)) is not None:
            answer.refusal = limit
        raise HTTPException(HTTP_429_TOO_MANY_REQUESTS, "too many requests", {"Retry-After": str(seconds)})


def _split_ids(text: str) -> list[Id]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_history(site: Site, text: str) -> Histories:
    ids = _split_ids(text)
    if len(ids) > MAX_HISTORY:
        raise HTTPException(UNPROCESSABLE, f"{len(ids)} items in the history; at most {MAX_HISTORY}")
    rows = site.engine.items.rows(ids)
    for index in np.flatnonzero(rows == UNKNOWN)[:1]:
        find_item_row(site, ids[index], UNPROCESSABLE)
    return _history_of(site, rows)

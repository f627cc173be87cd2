"""Users: everything that is stored of one, and its erasure."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from fastapi.responses import StreamingResponse
from starlette.status import HTTP_403_FORBIDDEN, HTTP_404_NOT_FOUND

from matinee.serve.api.dependencies import CurrentKey, get_key, require_key
from matinee.serve.api.schemas import ErasedOut
from matinee.serve.dependencies import CurrentSite
from matinee.serve.logs import note
from matinee.serve.site import Site
from matinee.serve.transfer.export import VisitorExport, as_json, in_pieces
from matinee.vocab import UNKNOWN

ME = "me"

User = Annotated[
    str, Path(min_length=1, max_length=200, description="A user id; `me` for the visitor of this session.")
]

router = APIRouter(tags=["users"], dependencies=[Depends(get_key)])


@router.get("/api/v1/users/{user_id:path}")
def export(request: Request, site: CurrentSite, key: CurrentKey, user_id: User) -> Response:
    """All events and lists that are stored of a user; of others than `me` with an API key of the scope read."""
    if user_id == ME:
        user_id = _own_id(request, site)
    else:
        require_key(key, "read")
    accounts = site.accounts
    events, lists = accounts.everything(user_id), accounts.lists(user_id)
    stored = VisitorExport(user_id, None, [], site.imports.recent(user_id, site.now()), events, lists, _titles(site))
    return StreamingResponse(in_pieces(as_json(stored)), media_type="application/json")


@router.delete("/api/v1/users/{user_id:path}")
def erase(request: Request, response: Response, site: CurrentSite, key: CurrentKey, user_id: User) -> ErasedOut:
    """Delete a user with all events, lists and sessions: `me`, or any with an API key of the scope admin.

    What models learned of the user in training stays until the next one; `in_training` says whether they did.
    """
    if user_id == ME:
        identity = site.visitors.identity(request)
        user_id = _own_id(request, site)
        if identity is not None and identity.session_id is not None:
            raise HTTPException(HTTP_403_FORBIDDEN, "a member is deleted with the password, at /account")
        site.visitors.close(request, response)
    else:
        require_key(key, "admin")
    n_events = site.book.forget(user_id)
    note("user_erased", user_id=user_id, key=key.key_id if key else None)
    first = next(iter(site.engine.artefacts.values()))
    return ErasedOut(user_id=user_id, events=n_events, in_training=first.users.row(user_id) != UNKNOWN)


def _own_id(request: Request, site: Site) -> str:
    """The user id of the session. Raises HTTPException 404 without one: nothing is stored."""
    user_id = site.visitors.user_id(request)
    if user_id is None:
        raise HTTPException(HTTP_404_NOT_FOUND, "nothing is stored of this visitor")
    return user_id


def _titles(site: Site) -> Callable[[str], str]:
    def title(item_id: str) -> str:
        row = site.engine.items.row(item_id)
        return site.catalogue.titles[row] if row != UNKNOWN else ""

    return title

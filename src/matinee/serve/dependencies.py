"""Dependencies of the routes of pages and API."""

from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from matinee.errors import MatineeError
from matinee.histories import UserId
from matinee.serve.accounts.sessions import session_of
from matinee.serve.http.root_path import site_path
from matinee.serve.site import Site


async def get_site(request: Request) -> Site:
    """The site that serves the request's visitor, the same one for the whole request.

    Where the arms of an experiment are versions, that of the user whom a request of the API names, or of the visitor.
    """
    if not hasattr(request.state, "resources"):
        resources, arms = request.app.state.resources, request.app.state.arms
        if arms is not None and (user_id := await _user_of(request, resources.site)) is not None:
            resources = arms.resources_of(user_id) or resources
        request.state.resources = resources
    site: Site = request.state.resources.site
    return site


CurrentSite = Annotated[Site, Depends(get_site)]


def site_of_user(request: Request, site: Site, user_id: UserId | None) -> Site:
    """The site that serves one of the users whom a request names. site: of the request, for who is not named."""
    arms = request.app.state.arms
    if arms is None or user_id is None:
        return site
    found: Site = (arms.resources_of(user_id) or request.app.state.resources).site
    return found


async def _user_of(request: Request, site: Site) -> str | None:
    """Whom a request is for; None where nobody is known, also since the database does not answer."""
    named = request.query_params.get("user_id") if site_path(request.scope).startswith("/api/") else None
    if named is not None or session_of(request).token is None or site.database.gone is not None:
        return named
    with suppress(SQLAlchemyError, MatineeError):
        return await run_in_threadpool(site.visitors.user_id, request)
    return None

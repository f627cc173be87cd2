"""Pages go on when the database's file is gone or was written over: as for a visitor of whom nothing is known."""

from fastapi import Request

from matinee.serve.accounts.sessions import RequestSession, session_of
from matinee.serve.dependencies import CurrentSite
from matinee.serve.http.middleware import PERSONAL_PATHS, SAFE_METHODS
from matinee.serve.http.root_path import site_path
from matinee.store.protocols import DatabaseGone


async def go_on_without_database(request: Request, site: CurrentSite) -> None:
    """Dependency of all page routes: without the database's file, no session is looked up, and the page says why.

    Raises DatabaseGone for the pages that show nothing but what is stored.
    """
    if request.method not in SAFE_METHODS or (gone := site.database.gone) is None:
        return
    if site_path(request.scope).startswith(PERSONAL_PATHS):
        raise DatabaseGone(gone)
    request.state.session = RequestSession(session_of(request).token, is_looked_up=True)
    request.state.without_database = True

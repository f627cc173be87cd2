"""Answers to errors: a problem (RFC 9457) for the API, a page in the visitor's language for people."""

import logging
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from matinee.errors import MatineeError
from matinee.serve.accounts.sessions import RequestSession, SignedInElsewhere, session_of
from matinee.serve.api.description import allowed_methods
from matinee.serve.http.csrf import StaleForm
from matinee.serve.http.middleware import HEADERS
from matinee.serve.http.problems import is_api, problem
from matinee.serve.http.root_path import site_path
from matinee.serve.pages.context import page_context
from matinee.serve.pages.errors import PageError, render_error, render_page_error
from matinee.serve.pages.i18n import texts_for
from matinee.store.protocols import DatabaseGone, NotKept

TRANSLATED: dict[type[MatineeError], PageError] = {
    StaleForm: PageError("account.stale", 403),
    SignedInElsewhere: PageError("account.moved", 409),
}
"""Errors from below the pages that have a text in each language."""
RETRY = {"Retry-After": "5"}
_log = logging.getLogger("matinee")


def add_error_handlers(app: FastAPI) -> None:
    """Register the handlers of an application with pages."""
    app.add_exception_handler(HTTPException, handle_http)
    app.add_exception_handler(RequestValidationError, handle_validation)
    app.add_exception_handler(MatineeError, handle_known)
    app.add_exception_handler(NotKept, handle_database)
    app.add_exception_handler(DatabaseGone, handle_database)
    app.add_exception_handler(SQLAlchemyError, handle_database)
    app.add_exception_handler(Exception, handle_unknown)


async def handle_http(request: Request, error: Exception) -> Response:
    """An unknown path, a wrong method, or a body that is too large."""
    http_error = cast(HTTPException, error)
    headers = http_error.headers
    methods = allowed_methods(request) if http_error.status_code == 405 else ""
    if methods and request.method not in methods.split(", "):  # else the route itself refuses, and says what it allows
        headers = {"Allow": methods}
    if _is_api(request):
        return problem(request.scope, http_error.status_code, str(http_error.detail), headers)
    page = page_context(request)
    if http_error.status_code == 404:
        path = site_path(request.scope)
        wanted = path.rpartition("/")[2]
        return render_page_error(page, PageError("error.no_page", 404, wanted=wanted, name=path[:100]))
    return render_error(page, http_error.status_code, str(http_error.detail))


async def handle_validation(request: Request, error: Exception) -> Response:
    """An invalid form or request. The answer does not repeat the input, which may be a password."""
    problems = cast(RequestValidationError, error).errors()
    if _is_api(request):
        keep = ("loc", "msg", "type")  # without the input: it may hold NaN, which JSON cannot
        shown = [{key: each[key] for key in keep} for each in problems]
        first = ".".join(str(part) for part in shown[0]["loc"])
        more = f"; and {len(shown) - 1} more" if len(shown) > 1 else ""
        return problem(request.scope, 422, f"{first}: {shown[0]['msg']}{more}", errors=shown)
    name, reason = problems[0]["loc"][-1], problems[0]["msg"].lower()
    return render_page_error(page_context(request), PageError("error.bad_field", name=name, reason=reason))


async def handle_known(request: Request, error: Exception) -> Response:
    """An error that the code foresees."""
    translated = TRANSLATED.get(type(cast(MatineeError, error)))
    if _is_api(request):
        return problem(request.scope, translated.status if translated else 422, str(error))
    if translated or isinstance(error, PageError):
        return render_page_error(page_context(request), translated or cast(PageError, error))
    return render_error(page_context(request), 404, str(error))


async def handle_database(request: Request, error: Exception) -> Response:
    """Database down, or a write refused: a 503 page that needs no query. It says that nothing was kept of a form."""
    known = isinstance(error, MatineeError)
    reason = str(error if known else getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
    _log.error("the database failed: %s; `matinee doctor --db URL` says what to do", reason)
    is_write = request.method not in ("GET", "HEAD")
    message = texts_for(request)("error.not_kept" if is_write else "account.shut")
    if _is_api(request):
        detail = str(error) if isinstance(error, NotKept) else message
        return problem(request.scope, 503, detail, RETRY)
    request.state.session = RequestSession(session_of(request).token, is_looked_up=True)
    page = page_context(request).respond("database_down.html", 503, n_watched=0, message=message)
    page.headers.update(RETRY)
    return page


async def handle_unknown(request: Request, error: Exception) -> Response:
    """A defect of the site."""
    if _is_api(request):
        return problem(request.scope, 500, texts_for(request)("error.ours"), HEADERS)
    return PlainTextResponse(texts_for(request)("error.ours") + "\n", 500, HEADERS)


def _is_api(request: Request) -> bool:
    return is_api(request.scope)

"""Mistakes are answered in kind: JSON to the API, a page in the visitor's language to people."""

import logging
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from matinee.errors import MatineeError
from matinee.serve.accounts.sessions import SignedInMeanwhile, Visit, visit_of
from matinee.serve.http.csrf import StaleForm
from matinee.serve.http.middleware import HEADERS
from matinee.serve.pages.base import Frame, PageError
from matinee.serve.pages.i18n import texts_for

TOLD: dict[type[MatineeError], PageError] = {
    StaleForm: PageError("account.stale", 403),
    SignedInMeanwhile: PageError("account.moved", 409),
}
"""Errors that a page has words for."""
_log = logging.getLogger("matinee")


def answer_errors(app: FastAPI, frame: Frame) -> None:
    """Give an application its answers to what goes wrong."""
    mistakes = Mistakes(frame)
    app.add_exception_handler(HTTPException, mistakes.http)
    app.add_exception_handler(RequestValidationError, mistakes.validation)
    app.add_exception_handler(MatineeError, mistakes.known)
    app.add_exception_handler(SQLAlchemyError, mistakes.database)
    app.add_exception_handler(Exception, mistakes.unknown)


class Mistakes:
    """The answers, one for each kind of mistake."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def http(self, request: Request, error: Exception) -> Response:
        """No such page, wrong method, too large."""
        problem = cast(HTTPException, error)
        if _is_api(request):
            return await http_exception_handler(request, problem)
        if problem.status_code == 404:
            path = request.url.path
            wanted = path.rpartition("/")[2]
            return self._frame.problem(request, PageError("error.no_page", 404, wanted=wanted, name=path[:100]))
        return self._frame.error(request, problem.status_code, str(problem.detail))

    async def validation(self, request: Request, error: Exception) -> Response:
        """A form or a request that is not as it should be. What was sent is not repeated: it may be a password."""
        problem = cast(RequestValidationError, error)
        if _is_api(request):
            keep = ("loc", "msg", "type")  # not what was sent: it may hold NaN, which no JSON answer can
            return JSONResponse({"detail": [{key: one[key] for key in keep} for one in problem.errors()]}, 422)
        field = problem.errors()[0]
        told = PageError("error.bad_field", name=field["loc"][-1], reason=field["msg"].lower())
        return self._frame.problem(request, told)

    async def known(self, request: Request, error: Exception) -> Response:
        """What we foresaw."""
        told = TOLD.get(type(cast(MatineeError, error)))
        if _is_api(request):
            return JSONResponse({"detail": str(error)}, told.status if told else 422)
        if told or isinstance(error, PageError):
            return self._frame.problem(request, told or cast(PageError, error))
        return self._frame.error(request, 404, str(error))

    async def database(self, request: Request, error: Exception) -> Response:
        """A database that does not answer: what can be said without it."""
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        _log.error("the database failed: %s; `matinee doctor --db URL` tells what to do", reason)
        said = texts_for(request)("account.shut")
        if _is_api(request):
            return JSONResponse({"detail": said}, 503)
        request.state.visit = Visit(visit_of(request).token, asked=True)  # whose session it is cannot be looked up
        return self._frame.page(request, "shut.html", 503, n_watched=0, message=said)

    async def unknown(self, request: Request, error: Exception) -> Response:
        """What we did not foresee."""
        return PlainTextResponse(texts_for(request)("error.ours") + "\n", 500, HEADERS)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(("/api/v1/", "/health/"))

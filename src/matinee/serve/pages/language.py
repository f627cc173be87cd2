"""Choosing the language."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.accounts.sessions import cookie_path
from matinee.serve.pages.context import own_path
from matinee.serve.pages.errors import PageError
from matinee.serve.pages.i18n import COOKIE, TEXTS

COOKIE_SECONDS = 365 * 86_400

router = APIRouter()


@router.get("/language")
def language(request: Request, to: str = "", next_path: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Switch the language, and go back to the page with the link. Writes no event and opens no session."""
    if to not in TEXTS:
        raise PageError("error.no_language", languages=", ".join(TEXTS))
    response = RedirectResponse(own_path(next_path), status_code=303)
    secure = request.url.scheme == "https"
    path = cookie_path(request)
    response.set_cookie(COOKIE, to, max_age=COOKIE_SECONDS, path=path, httponly=True, samesite="lax", secure=secure)
    return response

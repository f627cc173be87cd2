"""Erases a visitor so that their browser, and nobody else, can take it back."""

import secrets
from collections.abc import Callable

from fastapi import Request
from fastapi.responses import Response

from matinee.serve.accounts.sessions import cookie_path, hash_token, secret_cookie
from matinee.serve.site import Site
from matinee.store.erasures import UNDO_ERASING_SECONDS

UNDO_COOKIE = "matinee_undo"
"""The token that takes a deletion back; the site keeps its hash."""
DONE = "/my/deleted"
"""The page that says what was deleted."""


def eraser(request: Request, response: Response, site: Site) -> Callable[[str], None]:
    """Erases a user, and gives the response the cookie that takes it back."""

    def erase(user_id: str) -> None:
        token = secrets.token_urlsafe(32)
        site.erasures.erase(user_id, hash_token(token), site.now())
        name, seconds, path = secret_cookie(request, UNDO_COOKIE), UNDO_ERASING_SECONDS, cookie_path(request)
        secure = request.url.scheme == "https"
        response.set_cookie(name, token, seconds, path=path, httponly=True, samesite="lax", secure=secure)

    return erase


def undo_hash(request: Request) -> str:
    """The hash of the token with which a browser takes its last deletion back; of nothing without one."""
    return hash_token(request.cookies.get(secret_cookie(request, UNDO_COOKIE), ""))


def forget_undo(request: Request, response: Response) -> None:
    """Delete the cookie."""
    name, secure = secret_cookie(request, UNDO_COOKIE), request.url.scheme == "https"
    response.delete_cookie(name, path=cookie_path(request), httponly=True, samesite="lax", secure=secure)

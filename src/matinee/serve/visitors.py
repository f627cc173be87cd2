"""Who is asking: a random token in a cookie, of which the store keeps only a hash."""

import re
import secrets
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from matinee.histories import Instant
from matinee.store.protocols import VisitorBook

COOKIE = "matinee_session"
COOKIE_SECONDS = 365 * 86_400
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
"""What token_urlsafe(32) looks like; anything else in the cookie is nobody's."""


class Visitors:
    """The visitors of a site. A session is opened by the first thing a visitor does, not by looking."""

    def __init__(self, book: VisitorBook) -> None:
        self._book = book

    def find(self, request: Request) -> str | None:
        """The user id of whoever asks; None without a session, or with a cookie that is none of ours."""
        token = request.cookies.get(COOKIE, "")
        return self._book.find(_hashed(token)) if _TOKEN.fullmatch(token) else None

    def open(self, request: Request, response: Response, at: Instant) -> str:
        """The user id of whoever asks; a new visitor gets one, and the response the cookie."""
        found = self.find(request)
        if found is not None:
            return found
        token, user_id = secrets.token_urlsafe(32), f"visitor-{secrets.token_urlsafe(16)}"
        self._book.add(_hashed(token), user_id, at)
        response.set_cookie(
            COOKIE,
            token,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return user_id

    def close(self, response: Response, user_id: str) -> None:
        """Forget a visitor's sessions, and take the cookie back."""
        self._book.forget(user_id)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")


def _hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()

"""The session of a request: a random token in a cookie, of which the store keeps only a hash.

The cookie comes with the first page that holds a form, because the form's own token is made from it (`csrf.py`). It
belongs to nobody, and nothing is stored, until its owner does something: then it is a guest's. Whoever signs up or logs
in gets a new one, so that a token known from before opens nothing.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from matinee.errors import MatineeError
from matinee.histories import Instant
from matinee.store.protocols import AccountBook, Identity

COOKIE, SECURE_COOKIE = "matinee_session", "__Host-matinee_session"
"""Behind TLS the second, which a browser takes from this very host over TLS alone."""
COOKIE_SECONDS = 365 * 86_400
IDLE_SECONDS = 60 * 86_400
"""A member's session that was not used for so long is over."""
SEEN_EVERY = 600
"""Seconds between two notes that a session is in use."""
IN_FLIGHT = 60
"""Seconds for which a request may still come in under the token that a guest had before signing up or logging in."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
"""What token_urlsafe(32) looks like; anything else in the cookie is nobody's."""


class SignedInMeanwhile(MatineeError):
    """A guest's request that came in after the guest had become a member, in another tab."""


@dataclass(slots=True)
class Visit:
    """What one request knows of whoever sent it; kept with the request, so that the store is asked once.

    token: the session's, None where the request brought none; fresh: whether it was made for this answer.
    """

    token: str | None
    fresh: bool = False
    asked: bool = False
    who: Identity | None = None


class Visitors:
    """The visitors of a site. A session is opened by the first thing a visitor does, not by looking."""

    def __init__(self, book: AccountBook, clock: Callable[[], float]) -> None:
        self._book = book
        self._clock = clock

    def who(self, request: Request) -> Identity | None:
        """The guest or member who asks; None without a session, or with a cookie that is none of ours."""
        visit = visit_of(request)
        if not visit.asked:
            visit.who = self._look_up(visit.token) if visit.token else None
            visit.asked = True
        return visit.who

    def find(self, request: Request) -> str | None:
        """The user id of whoever asks, None as in `who`."""
        who = self.who(request)
        return who.user_id if who else None

    def open(self, request: Request, response: Response, at: Instant) -> str:
        """The user id of whoever asks; a new guest gets one, and the response the cookie.

        Raises SignedInMeanwhile for a token that was a guest's until just now.
        """
        found = self.find(request)
        if found is not None:
            return found
        visit = visit_of(request)
        if visit.token and self._book.was_moved(hashed(visit.token), at - IN_FLIGHT):
            raise SignedInMeanwhile("you signed in meanwhile, in another tab; please send that again")
        token = visit.token or secrets.token_urlsafe(32)
        user_id = self._book.open_guest(hashed(token), f"visitor-{secrets.token_urlsafe(16)}", at)
        self.give(request, response, token, Identity(user_id, None, None, at))
        return user_id

    def give(self, request: Request, response: Response, token: str, who: Identity) -> None:
        """Put a session's cookie on a response, to stay."""
        request.state.visit = Visit(token, asked=True, who=who)
        _set_cookie(request, response, token, COOKIE_SECONDS)

    def keep(self, request: Request, response: Response) -> None:
        """Put the cookie on a page that a new token was made for; it goes with the browser, unless it is used."""
        visit = visit_of(request)
        if visit.fresh and visit.token:
            _set_cookie(request, response, visit.token, None)

    def forget(self, request: Request, response: Response) -> bool:
        """Delete a guest and everything they did. False for a member, whose password that takes (`Accounts`)."""
        who = self.who(request)
        if who is not None and who.session_id is not None:
            return False
        if who is not None:
            self._book.forget(who.user_id)
        self.close(request, response)
        return True

    def close(self, request: Request, response: Response) -> None:
        """Take the cookie back."""
        request.state.visit = Visit(None, asked=True)
        secure = _is_secure(request)
        response.delete_cookie(_name(request), path="/", httponly=True, samesite="lax", secure=secure)

    def _look_up(self, token: str) -> Identity | None:
        who, now = self._book.who(hashed(token)), int(self._clock())
        if who is None or who.session_id is None:
            return who
        if now - who.seen > IDLE_SECONDS:
            return None
        if now - who.seen >= SEEN_EVERY:
            self._book.touch(who.session_id, now)
        return who


def visit_of(request: Request) -> Visit:
    """What this request knows of whoever sent it."""
    found: Visit | None = getattr(request.state, "visit", None)
    if found is None:
        token = request.cookies.get(_name(request), "")
        found = request.state.visit = Visit(token if _TOKEN.fullmatch(token) else None)
    return found


def session_token(request: Request) -> str:
    """The token of whoever asks; a fresh one for this answer where there is none."""
    visit = visit_of(request)
    if visit.token is None:
        visit.token, visit.fresh = secrets.token_urlsafe(32), True
    return visit.token


def hashed(token: str) -> str:
    """The form in which a token is stored. 256 random bits need no salt and no slow hash."""
    return sha256(token.encode()).hexdigest()


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(request: Request) -> str:
    return SECURE_COOKIE if _is_secure(request) else COOKIE


def _set_cookie(request: Request, response: Response, token: str, seconds: int | None) -> None:
    response.set_cookie(
        _name(request), token, max_age=seconds, path="/", httponly=True, samesite="lax", secure=_is_secure(request)
    )

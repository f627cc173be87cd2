"""The session of a request: a random token in a cookie, of which the store keeps only a hash.

The cookie comes with the first page that holds a form, because the form's token is made from it (`http/csrf.py`). It
belongs to nobody, and nothing is stored, until the visitor does something and becomes a guest. Signing up or logging in
gives a new token, so that a token that someone planted opens nothing.
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
from matinee.serve.logs import note
from matinee.store.protocols import AccountBook, Identity

COOKIE, SECURE_COOKIE = "matinee_session", "__Host-matinee_session"
"""The second is for HTTPS, as `secret_cookie` names it."""
COOKIE_SECONDS = 365 * 86_400
IDLE_SECONDS = 60 * 86_400
"""A member's session ends after so long without use."""
ABSOLUTE_SECONDS = 180 * 86_400
"""And so long after the log-in, however much it is used."""
SEEN_EVERY = 600
"""Seconds between two updates of a session's last use."""
IN_FLIGHT = 60
"""Seconds for which requests may still arrive with the token of a guest who has signed up or logged in."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
"""The form of token_urlsafe(32); any other cookie value is ignored."""


class SignedInElsewhere(MatineeError):
    """A guest's request that arrives after the guest became a member, in another tab."""


@dataclass(slots=True)
class RequestSession:
    """The session of one request, kept in its state so that the store is queried once.

    token: None if the request has none; is_new: whether the token was made for this answer.
    """

    token: str | None
    is_new: bool = False
    is_looked_up: bool = False
    identity: Identity | None = None


class Visitors:
    """The visitors of a site. A visitor's first event opens a session; looking at pages does not."""

    def __init__(self, book: AccountBook, clock: Callable[[], float]) -> None:
        self._book = book
        self._clock = clock

    def identity(self, request: Request) -> Identity | None:
        """The guest or member whose session it is; None without a session or with an unknown cookie."""
        session = session_of(request)
        if not session.is_looked_up:
            session.identity = self._look_up(session.token) if session.token else None
            session.is_looked_up = True
        return session.identity

    def user_id(self, request: Request) -> str | None:
        """The visitor's user id, None as in `identity`."""
        identity = self.identity(request)
        return identity.user_id if identity else None

    def open(self, request: Request, response: Response, at: Instant) -> str:
        """The visitor's user id; a visitor without one becomes a guest, and the response gets the cookie.

        Raises SignedInElsewhere for a token that was a guest's until a moment ago.
        """
        found = self.user_id(request)
        if found is not None:
            return found
        session = session_of(request)
        if session.token and self._book.was_moved(hash_token(session.token), at - IN_FLIGHT):
            raise SignedInElsewhere("you signed in meanwhile, in another tab; please send that again")
        token = session.token or secrets.token_urlsafe(32)
        user_id = self._book.open_guest(hash_token(token), f"visitor-{secrets.token_urlsafe(16)}", at)
        self.sign_in(request, response, token, Identity(user_id, None, None, at, at))
        return user_id

    def sign_in(self, request: Request, response: Response, token: str, identity: Identity) -> None:
        """Set a session's lasting cookie on a response."""
        request.state.session = RequestSession(token, is_looked_up=True, identity=identity)
        _set_cookie(request, response, token, COOKIE_SECONDS)

    def keep_cookie(self, request: Request, response: Response) -> None:
        """Set the cookie of a new token on a page; it lasts until the browser closes, unless a session is opened."""
        session = session_of(request)
        if session.is_new and session.token:
            _set_cookie(request, response, session.token, None)

    def forget(self, request: Request, response: Response, erase: Callable[[str], object]) -> bool:
        """Delete a guest and all their events. erase: deletes a user by their id.

        False for a member, who needs a password for that (`Accounts`).
        """
        identity = self.identity(request)
        if identity is not None and identity.session_id is not None:
            return False
        if identity is not None:
            erase(identity.user_id)
            note("guest_deleted", user_id=identity.user_id)
        self.close(request, response)
        return True

    def reopen(self, request: Request, response: Response, user_id: str, at: Instant) -> None:
        """Open a session, with a new token, for a guest who was deleted and is back."""
        token = secrets.token_urlsafe(32)
        self._book.open_guest(hash_token(token), user_id, at)
        self.sign_in(request, response, token, Identity(user_id, None, None, at, at))

    def close(self, request: Request, response: Response) -> None:
        """Delete the cookie."""
        request.state.session = RequestSession(None, is_looked_up=True)
        secure, path = _is_secure(request), cookie_path(request)
        response.delete_cookie(_cookie_name(request), path=path, httponly=True, samesite="lax", secure=secure)

    def _look_up(self, token: str) -> Identity | None:
        identity, now = self._book.identity(hash_token(token)), int(self._clock())
        if identity is None or identity.session_id is None:
            return identity
        if now - identity.seen > IDLE_SECONDS or now - identity.created > ABSOLUTE_SECONDS:
            return None
        if now - identity.seen >= SEEN_EVERY:
            self._book.touch(identity.session_id, now)
        return identity


def session_of(request: Request) -> RequestSession:
    """The session of a request."""
    found: RequestSession | None = getattr(request.state, "session", None)
    if found is None:
        token = request.cookies.get(_cookie_name(request), "")
        found = request.state.session = RequestSession(token if _TOKEN.fullmatch(token) else None)
    return found


def ensure_token(request: Request) -> str:
    """The token of a request's session, made for this answer if there is none."""
    session = session_of(request)
    if session.token is None:
        session.token, session.is_new = secrets.token_urlsafe(32), True
    return session.token


def hash_token(token: str) -> str:
    """A token as it is stored. 256 random bits need no salt and no slow hash."""
    return sha256(token.encode()).hexdigest()


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def secret_cookie(request: Request, name: str) -> str:
    """The name of a cookie that holds a secret.

    Over HTTPS browsers accept it, by its prefix, only from this very host, over TLS, and for all of its paths; below a
    root path, where another site may use the rest of the host, over TLS.
    """
    if not _is_secure(request):
        return name
    return f"__Host-{name}" if cookie_path(request) == "/" else f"__Secure-{name}"


def _cookie_name(request: Request) -> str:
    return secret_cookie(request, COOKIE)


def cookie_path(request: Request) -> str:
    """The path of the site's cookies: that of the site on its host."""
    return request.scope.get("root_path", "") or "/"


def _set_cookie(request: Request, response: Response, token: str, seconds: int | None) -> None:
    name, secure = _cookie_name(request), _is_secure(request)
    path = cookie_path(request)
    response.set_cookie(name, token, max_age=seconds, path=path, httponly=True, samesite="lax", secure=secure)

"""The origin of every request, security headers on every answer, and HEAD for every GET."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matinee.serve.http.asgi import HttpMiddleware
from matinee.serve.http.cors import is_called_from
from matinee.serve.http.problems import is_api, problem
from matinee.serve.http.root_path import site_path
from matinee.serve.stylesheet import STYLE_SOURCES

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'self'; style-src 'self' {STYLE_SOURCES}; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_HEADER_NAMES = frozenset(name for name, _ in _RAW_HEADERS)
PRIVATE, FOREVER, AN_HOUR = "private, no-cache", "public, max-age=31536000, immutable", "public, max-age=3600"
PERSONAL = "no-store"
"""For members' pages, everyone's own data and the operator's page: the back button must not show them later."""
PERSONAL_PATHS = ("/my", "/account", "/log-in", "/sign-up", "/operate")


class SecurityMiddleware(HttpMiddleware):
    """ASGI middleware around the whole site. origins: whose pages may call the API, as `read_origins` returns them."""

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        super().__init__(app)
        self._origins = origins

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        path = site_path(scope)  # before a mounted application changes the scope

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [pair for pair in message["headers"] if pair[0] not in _HEADER_NAMES]
                message["headers"] = own + _RAW_HEADERS
                answer_headers = MutableHeaders(scope=message)
                if _is_members(scope, path):
                    answer_headers["Cache-Control"] = PERSONAL
                answer_headers.setdefault("Cache-Control", _cache(scope, path))
            await send(message)

        headers = Headers(scope=scope)
        comes_from_known = comes_from_here(headers) or is_called_from(self._origins, scope)
        if scope["method"] not in SAFE_METHODS and not comes_from_known:
            reason = "This request came from another site and was not carried out."
            refusal = problem(scope, 403, reason) if is_api(scope) else PlainTextResponse(f"{reason}\n", 403)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def comes_from_here(headers: Headers) -> bool:
    """Whether a request comes from a page of this site, or from a program that is no browser."""
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _is_members(scope: Scope, path: str) -> bool:
    """Whether the answer was made for a member, by the `RequestSession` of the request."""
    identity = getattr(scope.get("state", {}).get("session"), "identity", None)
    return identity is not None and identity.session_id is not None and not path.startswith("/static/")


def _cache(scope: Scope, path: str) -> str:
    if path.startswith(PERSONAL_PATHS):
        return PERSONAL
    if not path.startswith("/static/"):
        return PRIVATE
    return FOREVER if path.startswith("/static/fonts/") or b"v=" in scope["query_string"] else AN_HOUR


class HeadAsGet(HttpMiddleware):
    """ASGI middleware that answers HEAD as it would answer GET, without the body."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as a GET."""
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)

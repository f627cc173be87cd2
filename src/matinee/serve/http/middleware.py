"""Limits on the size and origin of every request, and security headers on every answer."""

from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024
LARGER_BODIES = {"/my/import": 5 * 1024 * 1024 + 64 * 1024}
"""Paths with a larger limit, the overhead of a form included."""
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
PRIVATE, FOREVER, AN_HOUR = "private, no-cache", "public, max-age=31536000, immutable", "public, max-age=3600"
PERSONAL = "no-store"
"""For members' pages and everyone's own data: the back button must not show them after logging out."""
PERSONAL_PATHS = ("/my", "/account", "/log-in", "/sign-up")


class SecurityMiddleware:
    """ASGI middleware around the whole site."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer_headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer_headers[name] = value
                if _is_members(scope):
                    answer_headers["Cache-Control"] = PERSONAL
                answer_headers.setdefault("Cache-Control", _cache(scope))
            await send(message)

        headers = Headers(scope=scope)
        if scope["method"] not in SAFE_METHODS and not comes_from_here(headers):
            refusal = PlainTextResponse("This request came from another site and was not carried out.\n", 403)
            await refusal(scope, receive, send_with_headers)
            return
        most = LARGER_BODIES.get(scope["path"], MAX_BODY_BYTES)
        await self._app(scope, _bounded(receive, headers, most), send_with_headers)


def comes_from_here(headers: Headers) -> bool:
    """Whether a request comes from a page of this site, or from a program that is no browser."""
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _bounded(receive: Receive, headers: Headers, most: int) -> Receive:
    length = headers.get("content-length", "0")
    left = most if not length.isdecimal() or int(length) <= most else -1

    async def read() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"A request may have at most {most:,} bytes.")
        return message

    return read


def _is_members(scope: Scope) -> bool:
    """Whether the answer was made for a member, by the `RequestSession` of the request."""
    identity = getattr(scope.get("state", {}).get("session"), "identity", None)
    return identity is not None and identity.session_id is not None and not scope["path"].startswith("/static/")


def _cache(scope: Scope) -> str:
    path: str = scope["path"]
    if path.startswith(PERSONAL_PATHS):
        return PERSONAL
    if not path.startswith("/static/"):
        return PRIVATE
    return FOREVER if path.startswith("/static/fonts/") or b"v=" in scope["query_string"] else AN_HOUR

"""Which pages of other sites may call the API from a browser (CORS): those of `--cors-origin`.

A named origin may send cookies, and so act for a visitor of its own site (a cookie is `SameSite=Lax`, so that other
sites' pages never send it). Any origin (`*`) may
not: a request that has a cookie is refused then, whatever the browser does.
"""

import re
from collections.abc import Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from matinee.errors import UsageError
from matinee.serve.http.asgi import HttpMiddleware
from matinee.serve.http.root_path import site_path

ANY = "*"
API = ("/api/v1/", "/api/openapi.json")
"""Not `/api/docs`: a page of the site has the token of its visitor's forms."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
SENT = ("Authorization", "Content-Type", "X-Client-Id")
"""Headers that a page may send, beside those that every page may."""
READ = ("Allow", "Retry-After", "WWW-Authenticate", "X-Request-ID")
"""Headers of an answer that a page may read, beside those that every page may."""
PREFLIGHT_SECONDS = 600
_ORIGIN = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?)(?::([0-9]{1,5}))?", re.ASCII
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Cors(HttpMiddleware):
    """ASGI middleware that answers preflights, and lets pages of named origins read answers. origins: not empty."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(app)
        rules: dict[str, Any] = {"allow_methods": METHODS, "allow_headers": SENT, "expose_headers": READ}
        credentials = ANY not in origins
        self._origins = origins
        self._cors = CORSMiddleware(app, origins, allow_credentials=credentials, max_age=PREFLIGHT_SECONDS, **rules)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with Starlette's rules if it is of the API and of such an origin."""
        app = self._cors if is_called_from(self._origins, scope) else self._app
        await app(scope, receive, send)


def is_called_from(origins: Sequence[str], scope: Scope) -> bool:
    """Whether a request for the API comes from a page of one of these origins, and may come from there."""
    if not origins or not site_path(scope).startswith(API):
        return False
    headers = Headers(scope=scope)
    sent = headers.getlist("origin")
    if len(sent) != 1:
        return False
    return sent[0] in origins or (ANY in origins and "cookie" not in headers)


def read_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """The origins of `--cors-origin` as browsers write them, or `*` alone. Raises UsageError."""
    if ANY in origins and len(set(origins)) > 1:
        raise UsageError("--cors-origin * lets every page in, without cookies; give it alone, or name the origins")
    return tuple(dict.fromkeys(ANY if origin == ANY else _read(origin) for origin in origins))


def _read(origin: str) -> str:
    found = _ORIGIN.fullmatch(origin.strip().lower())
    if found is None or int(found[4] or 1) not in range(1, 65_536):
        raise UsageError(
            f"--cors-origin {origin[:100]!r} is not an origin: a scheme and a host, with a port if it has one, and no "
            "path, such as https://shop.example.org or http://localhost:5173"
        )
    scheme, host, port = found[1], found[2], found[4]
    return f"{scheme}://{host}" + (f":{int(port)}" if port and port != _DEFAULT_PORTS[scheme] else "")

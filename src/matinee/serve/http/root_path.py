"""A site below a path of its host, such as https://example.org/films/.

Inside, every path is the site's own (`/my`); the prefix is taken off requests, and put before the links of pages, the
targets of redirects and the path of cookies, at the edge. A proxy may take the prefix off or leave it.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matinee.errors import UsageError
from matinee.serve.http.asgi import HttpMiddleware

_PATH = re.compile(r"(/[A-Za-z0-9_~.-]+)+", re.ASCII)
_LINK = re.compile(r'((?: href| src| action| formaction)=")/(?!/)')
OWN = (
    *("account", "about", "api", "compare", "forget", "health", "item", "lab", "language", "log-in", "log-out"),
    *("manifest.webmanifest", "mark", "metrics", "models", "movie", "my", "operate", "picker", "picture", "preview"),
    *("preview.png", "robots.txt", "search", "sign-up", "static", "tonight", "why"),
)
"""First parts of the site's own paths: a prefix that begins so would be ambiguous."""


class RootPath(HttpMiddleware):
    """ASGI middleware that takes the prefix off a request's path, and puts it before the target of a redirect."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        super().__init__(app)
        self._root = root_path

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the prefix as ASGI has it: in `root_path`, and at the beginning of `path`."""
        path, raw = scope["path"], scope.get("raw_path") or quote(scope["path"]).encode()
        if path != self._root and not path.startswith(self._root + "/"):
            path, raw = self._root + path, self._root.encode() + raw
        path = path + "/" if path == self._root else path

        async def send_below_root(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                target = headers.get("location", "")
                if target.startswith("/") and not target.startswith((self._root + "/", "//")):
                    headers["location"] = self._root + target
            await send(message)

        await self._app({**scope, "root_path": self._root, "path": path, "raw_path": raw}, receive, send_below_root)


def site_path(scope: Mapping[str, Any]) -> str:
    """The path of a request without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def with_root(html: str, root_path: str) -> str:
    """A page whose links to paths of the site begin with the prefix."""
    return _LINK.sub(rf"\g<1>{root_path}/", html) if root_path else html


def read_root_path(text: str) -> str:
    """The prefix of `--root-path`, without a slash at its end; empty for none. Raises UsageError."""
    path = text.rstrip("/")
    if not path:
        return ""
    if not _PATH.fullmatch(path) or any(part.strip(".") == "" for part in path[1:].split("/")):
        raise UsageError(f"--root-path {text[:100]!r} is not a path below a host; for example --root-path /films")
    if path.split("/")[1] in OWN:
        raise UsageError(f"--root-path {text[:100]!r} begins like a page of the site; take another, such as /films")
    return path

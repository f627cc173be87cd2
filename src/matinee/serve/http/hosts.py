"""Which hosts the site answers for, by the Host header of a request.

A page of another site can make its own name point to this address (DNS rebinding), and would then count as the same
origin. That needs a name; so addresses and localhost are always allowed, and names are where they were named.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from matinee.errors import UsageError
from matinee.serve.http.asgi import HttpMiddleware
from matinee.serve.http.refusals import refuse

KEPT_HOSTS = 256
"""Hosts about which it is known whether the site answers for them."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]{1,253})(:[0-9]{1,5})?", re.ASCII)
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?|\*", re.ASCII)


class AllowedHosts(HttpMiddleware):
    """ASGI middleware that refuses requests for other hosts. names: as `read_hosts` returns them."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        super().__init__(app)
        self._names = frozenset(names)
        self._is_allowed = lru_cache(maxsize=KEPT_HOSTS)(self._look_up)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it: 400 without one valid Host header, 421 for another host."""
        sent = Headers(scope=scope).getlist("host")
        found = _HOST.fullmatch(sent[0].lower()) if len(sent) == 1 else None
        if found is None:
            await refuse(scope, receive, send, 400, "closed.no_host")
        elif self._is_allowed(found[1].rstrip(".")):
            await self._app(scope, receive, send)
        else:
            await refuse(scope, receive, send, 421, "closed.other_host")

    def _look_up(self, host: str) -> bool:
        if "*" in self._names or host == "localhost" or host in self._names:
            return True
        try:
            return bool(ip_address(host.strip("[]")))
        except ValueError:
            parts = host.split(".")
            return any(f"*.{'.'.join(parts[n:])}" in self._names for n in range(1, len(parts)))


def read_hosts(names: Sequence[str]) -> list[str]:
    """The names of `--allowed-host`: `films.example.org`, `*.example.org`, or `*` for any. Raises UsageError."""
    for name in names:
        if not _NAME.fullmatch(name.lower()):
            raise UsageError(
                f"--allowed-host {name[:100]!r} is not a host: a name without scheme, port and path, such as "
                "films.example.org or *.example.org"
            )
    return [name.lower().rstrip(".") for name in names]

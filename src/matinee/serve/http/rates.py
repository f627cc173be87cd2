"""Limits of requests: for an address, a visitor and an API key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Self

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from matinee.serve.accounts.rate_limit import RequestRate, network_of
from matinee.serve.accounts.sessions import session_of
from matinee.serve.http.asgi import HttpMiddleware
from matinee.serve.http.refusals import refuse
from matinee.serve.http.root_path import site_path

PER_MINUTE = {"address": 3_000, "visitor": 600, "key": 60_000}
"""Requests a minute, by default."""
FREE_PATHS = ("/health/", "/static/")
KEPT_ADDRESSES = 1024
WRONG_KEY_TOKENS = 20
"""What a request with a wrong key costs the address that sends it."""


@dataclass(frozen=True, slots=True)
class RequestRates:
    """The limits of a site. Addresses of this machine have none: behind a proxy that does not say who asks, all are."""

    address: RequestRate
    visitor: RequestRate
    key: RequestRate

    @classmethod
    def of(cls, ticks: Callable[[], float], per_minute: Mapping[str, int]) -> Self:
        """Limits in requests a minute, PER_MINUTE where none is given; 0 for no limit."""
        return cls(**{name: RequestRate(ticks, most) for name, most in {**PER_MINUTE, **per_minute}.items()})

    def take_address(self, address: str, tokens: float = 1) -> int:
        """The seconds to wait for an address, 0 for none."""
        return 0 if _is_local(address) else self.address.take(network_of(address), tokens)


class LimitedRates(HttpMiddleware):
    """ASGI middleware that refuses what is past the limits of addresses and visitors, with a 429."""

    def __init__(self, app: ASGIApp, rates: RequestRates) -> None:
        super().__init__(app)
        self._rates = rates

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it. A request with an API key has the limit of the key alone."""
        path = site_path(scope)
        has_key = path.startswith("/api/v1/") and any(name == b"authorization" for name, _ in scope["headers"])
        limit, seconds = ("", 0) if has_key or path.startswith(FREE_PATHS) else self._wait(scope)
        if seconds:
            await refuse(scope, receive, send, 429, "closed.too_often", seconds=seconds, reason=limit)
        else:
            await self._app(scope, receive, send)

    def _wait(self, scope: Scope) -> tuple[str, int]:
        """Which limit refuses a request, and for how many seconds; 0 for none."""
        address = scope["client"][0] if scope.get("client") else ""
        token = session_of(Request(scope)).token
        if waits := self._rates.take_address(address):
            return "address", waits
        return "visitor", self._rates.visitor.take(token) if token else 0


@lru_cache(maxsize=KEPT_ADDRESSES)
def _is_local(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:  # a socket without an address, or a caller in this process
        return True

"""A line of the access log for each request."""

import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matinee.serve import logs

PATH_LETTERS = 200


class AccessLog:
    """ASGI middleware that numbers each request (`X-Request-ID`) and logs its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it: method and path without the query, status, milliseconds, bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, begun = secrets.token_hex(8), time.perf_counter()
        scope.setdefault("state", {})["request_id"] = request_id
        status, n_bytes = 500, 0

        async def send_and_count(message: Message) -> None:
            nonlocal status, n_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            n_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_and_count)
        finally:
            logs.write(
                "access",
                id=request_id,
                address=scope["client"][0] if scope.get("client") else None,
                method=scope["method"],
                path=scope["path"][:PATH_LETTERS],
                status=status,
                ms=round(1000 * (time.perf_counter() - begun), 1),
                bytes=n_bytes,
            )

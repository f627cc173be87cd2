"""The body of a request: read whole, within a time and a size, before anything else is done for it.

So a body that arrives slowly holds no thread and no place in the queue.
"""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matinee.serve.http.asgi import HttpMiddleware
from matinee.serve.http.refusals import refuse
from matinee.serve.http.root_path import site_path

MAX_BODY_BYTES = 256 * 1024
LARGER_BODIES = {"/my/import": 5 * 1024 * 1024 + 64 * 1024}
"""Paths with a larger limit, the overhead of a form included."""
BODY_SECONDS, BYTES_A_SECOND = 20, 100_000
"""For a body: so many seconds, and one more for each so many bytes that it may have."""
MOST_BYTES_HELD = 64 * 1024 * 1024
"""Of all bodies that are being read or used."""


class WholeBodies(HttpMiddleware):
    """ASGI middleware that reads bodies; too large ones are a 413, slow ones a 408."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self._held = 0

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body and pass the request on."""
        if not _has_body(headers := Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        most = LARGER_BODIES.get(site_path(scope), MAX_BODY_BYTES)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            await self._app(scope, _too_large(most), send)
            return
        body = bytearray()
        try:
            await self._pass_on(body, most, scope, receive, send)
        finally:
            self._held -= len(body)

    async def _pass_on(self, body: bytearray, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body into an empty array, and give it to the application."""
        more = True
        try:
            async with asyncio.timeout(BODY_SECONDS + most / BYTES_A_SECOND):
                while more and len(body) <= most:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    self._held += len(message.get("body", b""))
                    more = message.get("more_body", False)
                    if self._held > MOST_BYTES_HELD:
                        await refuse(scope, receive, send, 503, "closed.busy")
                        return
        except TimeoutError:
            await refuse(scope, receive, send, 408, "closed.slow")
            return
        await self._app(scope, _too_large(most) if len(body) > most else _replay(bytes(body), receive), send)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body at once, and then what the connection says."""
    first = True

    async def read() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return read


def _too_large(most: int) -> Callable[[], Awaitable[Message]]:
    async def read() -> Message:
        raise HTTPException(413, f"A request may have at most {most:,} bytes.")

    return read

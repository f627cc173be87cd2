"""How many requests are worked on at a time, and how many wait: past that a request is refused at once, with a 503.

Requests that only read and those that write have a lane each, so that writes that wait for the database never take all
threads from the pages. `/health/live` and `/metrics` have none: they answer whatever waits.
"""

import asyncio
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matinee.serve.http.asgi import HttpMiddleware
from matinee.serve.http.middleware import SAFE_METHODS
from matinee.serve.http.refusals import refuse
from matinee.serve.http.root_path import site_path

WITHOUT_LANE = {"/health/live", "/metrics"}
READING_AT_ONCE = 2
"""One works while the other waits for the database. More answer no more, for they share one interpreter, and each of
them takes it from the event loop, which refuses (decision 083)."""
QUEUE_SECONDS = 5
"""The longest that a request waits for its turn."""


@dataclass(eq=False)
class Lane:
    """at_once: requests that are worked on at a time; most: these and those that wait."""

    at_once: int
    most: int
    n: int = 0
    turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.turns = asyncio.Semaphore(self.at_once)


class Admission(HttpMiddleware):
    """ASGI middleware that lets requests in, lets them wait, or refuses them."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self._reading = Lane(READING_AT_ONCE, 64)
        self._writing = Lane(24, 96)  # they mostly wait for the disk; the server has 40 threads

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on in its turn."""
        if site_path(scope) in WITHOUT_LANE:
            await self._app(scope, receive, send)
            return
        lane = self._reading if scope["method"] in SAFE_METHODS else self._writing
        if lane.n >= lane.most:
            await refuse(scope, receive, send, 503, "closed.busy")
            return
        lane.n += 1
        has_turn = False
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await lane.turns.acquire()
            has_turn = True
        except TimeoutError:
            await refuse(scope, receive, send, 503, "closed.busy")
            return
        finally:
            if not has_turn:
                lane.n -= 1
        await self._in_turn(lane, scope, receive, send)

    async def _in_turn(self, lane: Lane, scope: Scope, receive: Receive, send: Send) -> None:
        """The turn ends where the answer begins: a client that reads slowly holds nobody up."""
        is_over = False

        def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                lane.turns.release()
                lane.n -= 1

        async def send_after_turn(message: Message) -> None:
            end()
            await send(message)

        try:
            await self._app(scope, receive, send_after_turn)
        finally:
            end()

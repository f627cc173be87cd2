"""What became of each request: numbered at the edge, and given to those who count and log it."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matinee.serve import logs
from matinee.serve.http.asgi import HttpMiddleware

PATH_LETTERS = 200
STATIC = "/static"
UNMATCHED = "none"
"""The route of requests that no route of the site answers, whatever their paths are."""


@dataclass(slots=True, eq=False)
class Answer:
    """A request and its answer, of which more is known as it goes through the site.

    route: the template of its path, such as `/movie/{item_id:path}`; refusal: which limit refused it, None if none did.
    """

    request_id: str
    address: str | None
    method: str
    path: str
    route: str = UNMATCHED
    status: int = 500
    n_bytes: int = 0
    seconds: float = 0.0
    refusal: str | None = None


def answer_of(scope: Scope) -> Answer | None:
    """What is known so far of the answer to a request; None outside `Answers`."""
    found: Answer | None = scope.get("state", {}).get("answer")
    return found


class Answers(HttpMiddleware):
    """The outermost middleware: numbers each request (`X-Request-ID`), and gives its answer to those who listen."""

    def __init__(self, app: ASGIApp, listeners: Sequence[Callable[[Answer], None]]) -> None:
        super().__init__(app)
        self._listeners = listeners

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        address = scope["client"][0] if scope.get("client") else None
        answer = Answer(secrets.token_hex(8), address, scope["method"], scope["path"][:PATH_LETTERS])
        scope.setdefault("state", {}).update(answer=answer, request_id=answer.request_id)
        begun = time.perf_counter()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = answer.request_id
            answer.n_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_and_count)
        finally:
            answer.seconds = time.perf_counter() - begun
            for listener in self._listeners:
                listener(answer)


class NamedRoutes(HttpMiddleware):
    """The innermost middleware: notes the route that answers a request."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the router puts the route into the scope."""
        try:
            await self._app(scope, receive, send)
        finally:
            answer, route = answer_of(scope), scope.get("route")
            if answer is not None:
                is_static = scope.get("root_path", "").endswith(STATIC)  # a mounted folder has no route
                answer.route = getattr(route, "path", STATIC if is_static else UNMATCHED)


def log_answer(answer: Answer) -> None:
    """A line of the access log: method and path without the query, status, milliseconds, bytes."""
    logs.write(
        "access",
        id=answer.request_id,
        address=answer.address,
        method=answer.method,
        path=answer.path,
        status=answer.status,
        ms=round(1000 * answer.seconds, 1),
        bytes=answer.n_bytes,
    )

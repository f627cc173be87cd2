"""Routes whose usual requests are answered without FastAPI's dependencies, which cost as much as a list itself."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

Quick = Callable[[Request], Awaitable[Response | None]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def answered_by(quick: Quick) -> Callable[[Endpoint], Endpoint]:
    """Let a function answer the requests of an endpoint that it can answer; for any other it returns None.

    It answers exactly as the endpoint would, errors included. What it is not sure of it leaves to the endpoint.
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.quick = quick  # type: ignore[attr-defined]
        return endpoint

    return mark


class QuickRoute(APIRoute):
    """A route that asks the quick function of its endpoint first, if it has one. The description stays FastAPI's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute."""
        ordinary, quick = super().get_route_handler(), getattr(self.endpoint, "quick", None)
        if quick is None:
            return ordinary

        async def answer(request: Request) -> Response:
            found = await quick(request)
            return found if found is not None else await ordinary(request)

        return answer

"""Which of a site's artefacts can be served together, and the answer of a site that has not started."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from matinee.errors import MatineeError
from matinee.serve.garbage import keep_again
from matinee.serve.http.middleware import HeadAsGet, SecurityMiddleware
from matinee.serve.pages.i18n import texts_for
from matinee.serve.pages.rendering import HERE
from matinee.serve.stylesheet import STATIC
from matinee.store.artefact import Artefact, load
from matinee.store.compatible import require_same_items
from matinee.store.database import DatabaseNotReady

_log = logging.getLogger("matinee")


def load_compatible(paths: Sequence[Path]) -> tuple[list[Artefact], list[str]]:
    """The artefacts that load and fit the first that does, and the folder names of the others.

    The log says why each of the others is left out.
    """
    found: list[Artefact] = []
    left_out: list[str] = []
    for path in paths:
        try:
            artefact = load(path)
            require_same_items([*found, artefact])
            found.append(artefact)
        except MatineeError as error:
            _log.warning("left out: %s", error)
            left_out.append(path.name)
    return found, left_out


RETRY_SECONDS, LONGEST_RETRY_SECONDS, REMIND_SECONDS = 0.5, 5.0, 60
"""Between two tries to open the database, and between two lines of the log about it."""


class WaitingApp:
    """A site whose database cannot be opened yet: it answers 503 until it can, and is the site from then on.

    make: the site's application; raises DatabaseNotReady for as long as waiting may help. stop: called when it raises
    anything else, which is kept in `failure`.
    """

    def __init__(self, make: Callable[[], FastAPI], reason: str) -> None:
        self._make, self._reason = make, reason
        self.stop: Callable[[], None] = lambda: None
        self.failure: MatineeError | None = None
        self._app: FastAPI | None = None
        self._closed = unavailable_app(self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the site, or as one that is closed."""
        app = self._closed if self._app is None or scope["type"] == "lifespan" else self._app
        await app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            opening = asyncio.create_task(self._open(stack))
            yield
            opening.cancel()
            with suppress(asyncio.CancelledError):
                await opening

    async def _open(self, stack: AsyncExitStack) -> None:
        pause, said_at = RETRY_SECONDS, time.monotonic()
        _log.warning("%s; waiting for it", self._reason)
        while self._app is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)
            try:
                app = await asyncio.to_thread(self._make)
            except DatabaseNotReady as error:
                if time.monotonic() - said_at > REMIND_SECONDS:
                    said_at = time.monotonic()
                    _log.warning("%s; still waiting for it", error)
            except MatineeError as error:
                self.failure = error
                self.stop()
                return
            else:
                await stack.enter_async_context(app.router.lifespan_context(app))
                self._app = app
                keep_again()
                _log.warning("the database is open")


def unavailable_app(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None) -> FastAPI:
    """A site that has not started: every page is a 503 that says so, but not why, which is in the log."""
    templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    app = FastAPI(title="Matinee", openapi_url=None, lifespan=lifespan)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def unavailable(request: Request, path: str) -> Response:
        texts = texts_for(request)
        if path == "health" or path.startswith(("api/", "health/")):
            return JSONResponse({"status": "not ready", "detail": texts("closed.why")}, 503, {"Retry-After": "5"})
        html = templates.get_template("unavailable.html").render(t=texts, h=texts.html, lang=texts.language)
        return HTMLResponse(html, 503, {"Retry-After": "5"})

    app.add_middleware(HeadAsGet)
    app.add_middleware(SecurityMiddleware)
    return app

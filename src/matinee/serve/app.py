"""The site as an ASGI application, and the server that runs it."""

import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

import matinee
from matinee.errors import MatineeError
from matinee.serve.api import Api
from matinee.serve.covers import Covers
from matinee.serve.engine import Engine
from matinee.serve.frame import HERE, Frame, PageError
from matinee.serve.guard import HEADERS, Guard
from matinee.serve.pages import Pages
from matinee.serve.search import TitleSearch
from matinee.serve.site import Site
from matinee.serve.texts import texts_for
from matinee.serve.visitors import Visitors
from matinee.store.accounts import SqlAccounts
from matinee.store.artefact import load
from matinee.store.sql import SqlDatabase, SqlEvents

DEFAULT_DB = "sqlite:///matinee.sqlite3"


def create_app(
    artefact_paths: Sequence[Path],
    *,
    db_url: str = DEFAULT_DB,
    clock: Callable[[], float] = time.time,
    default: str | None = None,
    api_open: bool = False,
) -> FastAPI:
    """The site over these artefacts and this database.

    clock: UTC seconds; default: the model of "for you"; api_open: whether the API reads and writes for any user id,
    not only for the session that asks.
    Raises MatineeError if an artefact or the database cannot be used, or the artefacts do not belong together.
    """
    site = build_site([Path(path) for path in artefact_paths], db_url, clock, default, api_open)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        site.database.close()

    app = FastAPI(
        title="Matinee",
        version=matinee.__version__,
        summary="Movies for you, from what you watched.",
        docs_url=None,  # the stock page loads its script from elsewhere; ours is drawn from the same description
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.state.site = site
    pages = Pages(site)
    app.include_router(pages.router())
    app.include_router(Api(site).router())
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    _answer_errors(app, pages.frame)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    app.add_middleware(Guard)
    return app


def build_site(
    paths: Sequence[Path], db_url: str, clock: Callable[[], float], default: str | None, api_open: bool
) -> Site:
    """Load what the site stands on. Raises MatineeError as create_app."""
    artefacts = [load(path) for path in paths]
    if not artefacts:
        raise MatineeError("a site needs at least one artefact; make one with `matinee train ease --out DIR`")
    first = artefacts[0]
    database = SqlDatabase(db_url)
    try:
        log = SqlEvents(database, first.items, first.users)
        return Site(
            Engine(artefacts, log, default),
            log,
            database,
            Visitors(SqlAccounts(database), clock),
            TitleSearch(first.catalogue, first.popularity),
            Covers(first.catalogue),
            clock,
            api_open,
        )
    except MatineeError:
        database.close()
        raise


def serve(
    artefacts: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 8000,
    db: str = DEFAULT_DB,
    on_ready: Callable[[str], None] | None = None,
    *,
    default: str | None = None,
    api_open: bool = False,
) -> None:
    """Run the site until it is interrupted. on_ready is told its address; port 0 takes a free one.

    Raises MatineeError if the port is taken, or as create_app.
    """
    with _listen(host, port) as listener:
        app = create_app(artefacts, db_url=db, default=default, api_open=api_open)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listener.getsockname()[1]}/"
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        _Server(config, (lambda: on_ready(url)) if on_ready else None).run(sockets=[listener])


def require_free(host: str, port: int) -> None:
    """Raises MatineeError if the port is taken."""
    _listen(host, port).close()


class _Server(uvicorn.Server):
    """A server that says when it can be asked."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_ready and self.started:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise MatineeError(f"{host}:{port} cannot be listened on ({reason}); choose another --port") from None
    return listener


def _answer_errors(app: FastAPI, frame: Frame) -> None:
    """Mistakes are answered in kind: JSON to the API, a page to people."""

    async def http(request: Request, error: Exception) -> Response:
        problem = cast(HTTPException, error)
        if _is_api(request):
            return await http_exception_handler(request, problem)
        if problem.status_code == 404:
            path = request.url.path
            return frame.problem(
                request, PageError("error.no_page", 404, wanted=path.rpartition("/")[2], name=path[:100])
            )
        return frame.error(request, problem.status_code, str(problem.detail))

    async def validation(request: Request, error: Exception) -> Response:
        problem = cast(RequestValidationError, error)
        if _is_api(request):
            keep = ("loc", "msg", "type")  # not what was sent: it may hold NaN, which no JSON answer can
            return JSONResponse({"detail": [{key: one[key] for key in keep} for one in problem.errors()]}, 422)
        field = problem.errors()[0]
        return frame.problem(request, PageError("error.bad_field", name=field["loc"][-1], reason=field["msg"].lower()))

    async def known(request: Request, error: Exception) -> Response:
        if _is_api(request):
            return JSONResponse({"detail": str(error)}, 422)
        if isinstance(error, PageError):
            return frame.problem(request, error)
        return frame.error(request, 404, str(error))

    async def unknown(request: Request, error: Exception) -> Response:
        return PlainTextResponse(texts_for(request)("error.ours") + "\n", 500, HEADERS)

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(MatineeError, known)
    app.add_exception_handler(Exception, unknown)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(("/api/v1/", "/health/"))

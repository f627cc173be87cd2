"""The site as an ASGI application, and the server that runs it."""

import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from argon2 import PasswordHasher
from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from matinee.errors import MatineeError
from matinee.recommender import Engine
from matinee.serve import api, pages
from matinee.serve.accounts.api_keys import ApiKeys
from matinee.serve.accounts.members import Accounts
from matinee.serve.accounts.sessions import Visitors
from matinee.serve.art.covers import Covers
from matinee.serve.error_handlers import add_error_handlers
from matinee.serve.http.csrf import require_token
from matinee.serve.http.middleware import SecurityMiddleware
from matinee.serve.pages.i18n import DEFAULT, texts_of
from matinee.serve.pages.rendering import STATIC
from matinee.serve.pages.resources import PageResources
from matinee.serve.search import TitleSearch
from matinee.serve.site import Site
from matinee.serve.startup import load_compatible, unavailable_app
from matinee.serve.transfer.importer import Importer
from matinee.serve.wording import Wording, wording_of
from matinee.store.accounts import SqlAccounts
from matinee.store.api_keys import SqlApiKeys
from matinee.store.artefact import Artefact, load
from matinee.store.database import SqlDatabase
from matinee.store.imports import SqlImports
from matinee.store.impressions import SqlImpressions
from matinee.store.protocols import FLAGS, Kind
from matinee.store.sql import EXTREMES, SqlEvents
from matinee.version import __version__

DEFAULT_DB = "sqlite:///matinee.sqlite3"


def create_app(
    artefact_paths: Sequence[Path],
    *,
    db_url: str = DEFAULT_DB,
    clock: Callable[[], float] = time.time,
    default: str | None = None,
    hasher: PasswordHasher | None = None,
    strict: bool = True,
    noun: str | None = None,
) -> FastAPI:
    """The site over these artefacts and this database.

    clock: UTC seconds; default: the model of "for you"; hasher: of passwords, argon2id with its authors' settings by
    default. strict: whether an artefact that cannot be used is an error; otherwise it is left out; noun: what items are
    called, such as `product`, in place of the data's own word.
    Raises MatineeError if an artefact or the database cannot be used, or the artefacts were fitted on different data.
    """
    paths = [Path(path) for path in artefact_paths]
    artefacts, left_out = ([load(path) for path in paths], []) if strict else load_compatible(paths)
    if not strict and default not in {artefact.name for artefact in artefacts}:
        default = None
    site = build_site(artefacts, db_url=db_url, clock=clock, default=default, hasher=hasher, noun=noun)
    site = replace(site, left_out=tuple(left_out))

    app = _new_app(site)
    app.state.site = site
    app.state.texts = texts_of(site.wording)
    app.state.resources = PageResources.of(site)
    app.include_router(pages.router, dependencies=[Depends(require_token)])
    app.include_router(api.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    add_error_handlers(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    app.add_middleware(SecurityMiddleware)
    return app


def _new_app(site: Site) -> FastAPI:
    """An application without routes, which closes the site's database at its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        meaning = app.state.site.meaning
        meaning.start(next(iter(site.engine.artefacts.values())))
        yield
        meaning.stop()
        site.database.close()

    return FastAPI(
        title="Matinee",
        version=__version__,
        summary=texts_of(site.wording)[DEFAULT]("base.description"),
        docs_url=None,  # FastAPI's page loads a script from another host; ours has the same content
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )


def build_site(
    artefacts: Sequence[Artefact],
    *,
    db_url: str,
    clock: Callable[[], float],
    default: str | None,
    hasher: PasswordHasher | None = None,
    noun: str | None = None,
) -> Site:
    """The services of a site. Raises MatineeError as create_app."""
    if not artefacts:
        raise MatineeError("a site needs at least one artefact; make one with `matinee train ease --out DIR`")
    first = artefacts[0]
    wording = wording_of(first, noun)
    database = SqlDatabase(db_url)
    try:
        book = SqlAccounts(database)
        history_kinds = tuple(dict.fromkeys(("rating", "watched", *EXTREMES, wording.kind, *wording.kinds)))
        log = SqlEvents(database, first.items, first.users, history_kinds, first.model.value_map.of_stars)
        return Site(
            engine=Engine(artefacts, log, default),
            log=log,
            database=database,
            visitors=Visitors(book, clock),
            search=TitleSearch(first.catalogue, first.popularity),
            covers=Covers(first.catalogue, is_movies=wording.is_movies),
            clock=clock,
            impressions=SqlImpressions(database),
            accounts=Accounts(book, clock, hasher),
            api_keys=ApiKeys(SqlApiKeys(database), clock),
            importer=Importer(first.items, first.catalogue, first.popularity, wording=wording),
            imports=SqlImports(database),
            wording=wording,
            kinds=_writable(wording),
        )
    except MatineeError:
        database.close()
        raise


def _writable(wording: Wording) -> tuple[Kind, ...]:
    """The kinds of events that visitors and programs may write."""
    stars = ("rating",) if wording.has_ratings else ()
    return tuple(dict.fromkeys((*stars, wording.kind, *wording.kinds, *EXTREMES, "click", *FLAGS)))


def serve(
    artefacts: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 8000,
    db: str = DEFAULT_DB,
    on_ready: Callable[[str], None] | None = None,
    *,
    default: str | None = None,
    noun: str | None = None,
) -> None:
    """Run the site until it is interrupted. on_ready: called with the site's address; port: 0 for any free one.

    Artefacts that cannot be used are left out. Without any, or without a database, every page is a 503 that says so.
    Raises MatineeError if the port is taken.
    """
    with _listen(host, port) as listener:
        try:
            app = create_app(artefacts, db_url=db, default=default, strict=False, noun=noun)
        except MatineeError as error:
            app = unavailable_app(str(error))
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{listener.getsockname()[1]}/"
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        _Server(config, (lambda: on_ready(url)) if on_ready else None).run(sockets=[listener])


def require_free(host: str, port: int) -> None:
    """Raises MatineeError if the port is taken."""
    _listen(host, port).close()


class _Server(uvicorn.Server):
    """A server that calls on_ready when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_ready and self.started:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # without IPPROTO_TCP, asyncio leaves Nagle's algorithm on, and each answer with a body waits 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError, UnicodeError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        option = "--host" if isinstance(error, socket.gaierror | UnicodeError) else "--port"
        raise MatineeError(f"{host}:{port} cannot be listened on ({reason}); choose another {option}") from None
    return listener

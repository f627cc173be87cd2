"""The site as an ASGI application, and the server that runs it."""

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from argon2 import PasswordHasher
from fastapi import Depends, FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from matinee.errors import MatineeError
from matinee.ranking.indexes import Indexes
from matinee.serve import api, operate, pages
from matinee.serve.accounts.api_keys import ApiKeys
from matinee.serve.accounts.members import Accounts
from matinee.serve.accounts.sessions import Visitors
from matinee.serve.api.description import describe
from matinee.serve.api.events import write_named
from matinee.serve.api.gathered_writes import GatheredWrites
from matinee.serve.arms import arms_of
from matinee.serve.error_handlers import add_error_handlers
from matinee.serve.garbage import keep_for_good
from matinee.serve.http.access import Answers, NamedRoutes, log_answer
from matinee.serve.http.admission import Admission
from matinee.serve.http.body import WholeBodies
from matinee.serve.http.cors import Cors
from matinee.serve.http.csrf import require_token
from matinee.serve.http.hosts import AllowedHosts
from matinee.serve.http.middleware import HeadAsGet, SecurityMiddleware
from matinee.serve.http.page_response import LEVEL
from matinee.serve.http.rates import LimitedRates, RequestRates
from matinee.serve.http.root_path import RootPath
from matinee.serve.http.server import ServerSettings, address_of, listen, server_of
from matinee.serve.live_items import LiveItems
from matinee.serve.operate.overview import Overviews
from matinee.serve.options import SiteOptions
from matinee.serve.own_fits.fits import OwnFits
from matinee.serve.pages.i18n import DEFAULT, texts_for, texts_of
from matinee.serve.pages.resources import PageResources
from matinee.serve.pages.without_database import go_on_without_database
from matinee.serve.pictures import Pictures
from matinee.serve.renewal import parts_of_site, renew
from matinee.serve.retention import GuestRetention
from matinee.serve.site import Site
from matinee.serve.startup import WaitingApp, load_compatible
from matinee.serve.stylesheet import STATIC
from matinee.serve.versions import ServedVersion, follow_versions
from matinee.serve.wording import Wording, wording_of
from matinee.store.accounts import SqlAccounts
from matinee.store.api_keys import SqlApiKeys
from matinee.store.artefact import Artefact, load
from matinee.store.database import DatabaseNotReady, SqlDatabase
from matinee.store.erasures import SqlErasures
from matinee.store.identity import settle
from matinee.store.imports import SqlImports
from matinee.store.impressions import SqlImpressions
from matinee.store.kept_lists import SqlKeptLists
from matinee.store.live_items import SqlLiveItems
from matinee.store.protocols import FLAGS, Kind
from matinee.store.sql import EXTREMES
from matinee.version import __version__

FOLLOW_SECONDS = 0.5
"""How often a process asks whether another one changed the catalogue."""
EXPIRY_SECONDS = 60
"""How often copies of what visitors deleted are looked for that can no longer be restored."""
KEYS_SECONDS = 30
"""How often it asks whether a key may add items, until one may."""
DEFAULT_DB = "sqlite:///matinee.sqlite3"


def create_app(
    artefact_paths: Sequence[Path],
    *,
    db_url: str = DEFAULT_DB,
    clock: Callable[[], float] = time.time,
    default: str | None = None,
    hasher: PasswordHasher | None = None,
    strict: bool = True,
    options: SiteOptions = SiteOptions(),  # noqa: B008 - frozen
) -> FastAPI:
    """The site over these artefacts and this database.

    clock: UTC seconds; default: the model of "for you"; hasher: of passwords, argon2id with its authors' settings by
    default. strict: whether an artefact that cannot be used is an error; otherwise it is left out.
    Raises MatineeError if an artefact or the database cannot be used, or the artefacts were fitted on different data.
    """
    paths = [Path(path) for path in artefact_paths]
    version = ServedVersion(options.registry) if options.registry else None
    if version is not None:
        artefacts, left_out, default = version.artefacts, list[str](), default or version.artefacts[0].name
    else:
        artefacts, left_out = ([load(path) for path in paths], []) if strict else load_compatible(paths)
    if not strict and default not in {artefact.name for artefact in artefacts}:
        default = None
    site = build_site(artefacts, db_url=db_url, clock=clock, default=default, hasher=hasher, options=options)
    if version is not None:
        version.warn_of_older_log(site.database)
    return app_of(replace(site, left_out=tuple(left_out)), version)


def app_of(site: Site, version: ServedVersion | None = None) -> FastAPI:
    """The application over the services of a site. version: of a registry, which it follows."""
    options = site.options
    app = _new_app(site)
    app.state.site, app.state.version = site, version
    app.state.texts = texts_of(site.wording)
    app.state.refusal_text = lambda request, key: texts_for(request)(key)
    app.state.resources = PageResources.of(site)
    app.state.overviews = Overviews()
    app.state.gathered_events = GatheredWrites(write_named)
    state = app.state
    state.live = LiveItems(list(site.engine.artefacts.values()), SqlLiveItems(site.database), partial(renew, state))
    state.live.follow()
    try:
        state.arms = arms_of(options.experiment, version, state.resources)
    except MatineeError:
        site.database.close()
        raise
    app.router.routes.extend(api.router.routes)  # before the pages: a router is searched from its first route on
    app.include_router(operate.router)
    app.include_router(pages.router, dependencies=[Depends(require_token), Depends(go_on_without_database)])
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    describe(app)
    add_error_handlers(app)
    app.add_middleware(NamedRoutes)  # the innermost; the others in this order
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=LEVEL)
    app.add_middleware(Admission)
    app.add_middleware(WholeBodies)
    app.add_middleware(HeadAsGet)
    app.add_middleware(LimitedRates, rates=site.rates)
    app.add_middleware(AllowedHosts, names=options.allowed_hosts)
    if options.cors_origins:
        app.add_middleware(Cors, origins=options.cors_origins)
    app.add_middleware(SecurityMiddleware, origins=options.cors_origins)
    if options.root_path:
        app.add_middleware(RootPath, root_path=options.root_path)
    app.add_middleware(Answers, listeners=(log_answer, site.metrics.count_answer))
    return app


def _new_app(site: Site) -> FastAPI:
    """An application without routes, which deletes idle guests, and closes the site's database at its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        meaning, arms = app.state.site.meaning, app.state.arms
        meaning.start(next(iter(site.engine.artefacts.values())))
        if arms is not None:
            arms.start()
        with GuestRetention(site.book, site.clock, site.options.guest_days):
            ends = asyncio.Event()
            following = asyncio.gather(_follow(app, ends), _follow_versions(app, ends))
            yield
            ends.set()
            await following  # it may be reading from the database, which is closed next
        meaning.stop()
        if arms is not None:
            arms.close()
        if site.own_fits is not None:
            await run_in_threadpool(site.own_fits.stop)
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


async def _follow_versions(app: FastAPI, ends: asyncio.Event) -> None:
    """Serve what is promoted in the registry, if the site has one, until the application ends."""
    if app.state.version is not None:
        await follow_versions(app.state.version, app.state.live.serve, ends)


async def _follow(app: FastAPI, ends: asyncio.Event) -> None:
    """Show what other processes change in the catalogue, and let expire what was deleted, until the application ends.

    Where a key may add items, what the first one would wait for is made ahead. Such a key is looked for at the start,
    then once in KEYS_SECONDS, and at once when a request comes with the first one.
    """
    is_prepared, looked_at, expired_at = False, -math.inf, -math.inf
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(ends.wait(), FOLLOW_SECONDS)
            return
        try:
            site, arms = app.state.site, app.state.arms
            await run_in_threadpool(site.database.look)
            await run_in_threadpool(app.state.live.follow)
            site.note_state()
            if arms is not None:
                await run_in_threadpool(arms.follow)
            if time.monotonic() - expired_at > EXPIRY_SECONDS:
                expired_at = time.monotonic()
                await run_in_threadpool(site.erasures.delete_expired, site.now())
            if not is_prepared and (site.api_keys.saw_admin or time.monotonic() - looked_at > KEYS_SECONDS):
                looked_at = time.monotonic()
                if await run_in_threadpool(site.api_keys.has, "admin"):
                    await run_in_threadpool(app.state.live.prepare)
                    is_prepared = True
        except (SQLAlchemyError, MatineeError):
            continue  # pages say that the database is down


def build_site(
    artefacts: Sequence[Artefact],
    *,
    db_url: str,
    clock: Callable[[], float],
    default: str | None,
    hasher: PasswordHasher | None = None,
    options: SiteOptions = SiteOptions(),  # noqa: B008 - frozen
) -> Site:
    """The services of a site. Raises MatineeError as create_app."""
    if not artefacts:
        raise MatineeError("a site needs at least one artefact; make one with `matinee train ease --out DIR`")
    first = artefacts[0]
    wording = wording_of(first, options.noun)
    database = SqlDatabase(db_url, options.durability)
    try:
        settle(database, first)
        book = SqlAccounts(database)
        return Site(
            **parts_of_site(artefacts, database, wording, default, indexes=Indexes() if options.ann else None),
            database=database,
            visitors=Visitors(book, clock),
            clock=clock,
            impressions=SqlImpressions(database),
            book=book,
            accounts=Accounts(book, clock, hasher, options.ticks),
            api_keys=ApiKeys(SqlApiKeys(database), clock),
            imports=SqlImports(database),
            kept_lists=SqlKeptLists(database),
            erasures=SqlErasures(database),
            wording=wording,
            kinds=_writable(wording),
            rates=RequestRates.of(options.ticks, options.rates),
            options=options,
            pictures=Pictures(options.pictures),
            own_fits=OwnFits(options.own_fits, options.ticks) if options.own_fits else None,
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
    settings: ServerSettings = ServerSettings(),  # noqa: B008 - frozen
    db: str = DEFAULT_DB,
    on_ready: Callable[[str], None] | None = None,
    *,
    default: str | None = None,
    options: SiteOptions = SiteOptions(),  # noqa: B008 - frozen
) -> None:
    """Run the site until it is interrupted. on_ready: called with the site's address.

    Raises MatineeError if the port is taken, and as `serve_on`.
    """
    with listen(settings.host, settings.port) as listener:
        serve_on(listener, artefacts, settings, db, on_ready, default=default, options=options)


def serve_on(
    listener: socket.socket,
    artefacts: Sequence[Path],
    settings: ServerSettings,
    db: str,
    on_ready: Callable[[str], None] | None,
    *,
    default: str | None,
    options: SiteOptions,
) -> None:
    """Run the site on a socket that listens, until it is interrupted.

    Artefacts that cannot be used are left out. While the database is not up yet, every page is a 503 that says so.
    Raises MatineeError if no artefact can be used, or the database cannot be opened and waiting does not help.
    """

    def make() -> FastAPI:
        return create_app(artefacts, db_url=db, default=default, strict=False, options=options)

    waiting: WaitingApp | None = None
    try:
        app: ASGIApp = make()
    except DatabaseNotReady as error:
        app = waiting = WaitingApp(make, str(error))
    url = address_of(settings.host, listener, options.root_path)
    server = server_of(app, settings, (lambda: on_ready(url)) if on_ready else None)
    if waiting is not None:
        waiting.stop = server.stop
    keep_for_good()
    server.run(sockets=[listener])
    if waiting is not None and waiting.failure is not None:
        raise waiting.failure

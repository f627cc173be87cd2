"""A small real site: three models on the better-known bundled movies, and a new database for each test."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from argon2 import PasswordHasher
from fastapi import APIRouter, FastAPI
from httpx2 import Response
from sqlalchemy.engine import Dialect
from starlette.routing import Route
from starlette.testclient import TestClient

from matinee.dataset import Dataset
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.serve.accounts.sessions import COOKIE, SECURE_COOKIE
from matinee.serve.app import create_app
from matinee.serve.http.csrf import FIELD, form_token
from matinee.serve.pages.context import LAB_COOKIE
from matinee.store.api_keys import Scope
from matinee.store.artefact import Artefact, save
from matinee.store.database import SqlDatabase
from matinee.store.prepared import Parameters, PreparedQuery
from matinee.training.run import Run

NOW = 1_750_000_000
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Fast password hashes, for tests only."""
MODELS = ("popularity", "item-knn", "ease")


@pytest.fixture
def database(db_url: str) -> Iterator[SqlDatabase]:
    """An empty database of a site."""
    database = SqlDatabase(db_url)
    yield database
    database.close()


def count_events(database: SqlDatabase) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one())


@pytest.fixture(scope="session")
def known_movies(bundled: Dataset) -> Dataset:
    """The bundled events of movies with at least 25 ratings: about 1,000 movies."""
    counts = np.bincount(bundled.events.item_rows)
    return bundled.keep(counts[bundled.events.item_rows] >= 25)


def train(name: str, data: Dataset, folder: Path) -> Path:
    training = TrainingData(Histories.from_events(data.events, np.arange(len(data.users))), len(data.items))
    model = create(name).fit(training, Run.seeded(42))
    save(Artefact.of(model, data, training), folder / name)
    return folder / name


@pytest.fixture(scope="session")
def artefact_paths(known_movies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Popularity, ItemKNN and EASE, fitted on known_movies."""
    folder = tmp_path_factory.mktemp("artefacts")
    return [train(name, known_movies, folder) for name in MODELS]


@pytest.fixture
def app(artefact_paths: list[Path], db_url: str) -> Iterator[FastAPI]:
    """The site with an empty database, at NOW."""
    app = create_app(artefact_paths, db_url=db_url, clock=lambda: NOW, hasher=CHEAP)
    yield app
    app.state.site.database.close()


def copying_fit(pause: float = 0.0) -> tuple[str, ...]:
    """A program that fits nothing: it writes the served artefact again. pause: seconds of each of its seven steps."""
    text = f"""
import json, shutil, sys, time
order = json.loads(sys.stdin.readline())
def say(**what):
    print(json.dumps(what), flush=True)
    time.sleep({pause})
for stage in ("reading", "measuring"):
    say(stage=stage)
for epoch in (1, 2, 3):
    say(epoch=epoch, epochs=3, loss=1 / epoch)
shutil.copytree(order["like"], order["out"])
say(stage="fitting")
say(done=True)
"""
    return (sys.executable, "-c", text)


def key_headers(app: FastAPI, *scopes: Scope) -> dict[str, str]:
    """The headers of a request with a new API key that has these scopes."""
    _, text = app.state.site.api_keys.create("a program", scopes)
    return {"Authorization": f"Bearer {text}"}


def routes_of(router: FastAPI | APIRouter) -> Iterator[Route]:
    """The routes of an application or router, with those of included routers."""
    for route in router.routes:
        if isinstance(route, Route):
            yield route
        elif (inner := getattr(route, "original_router", None)) is not None:
            yield from routes_of(inner)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class SiteClient(TestClient):
    """A browser with cookies and redirects, which opens a page before it posts its form.

    token: of its session at the start, if any; lab: whether lists name models.
    """

    def __init__(self, app: FastAPI, token: str = "", *, lab: bool = True, **more: Any) -> None:
        super().__init__(app, **more)
        if lab:
            self.cookies.set(LAB_COOKIE, "open", domain="testserver.local")
        if token:
            name = SECURE_COOKIE if str(self.base_url).startswith("https") else COOKIE
            self.cookies.set(name, token, domain="testserver.local")

    def post(self, url: str, *, data: dict[str, str] | None = None, **more: Any) -> Response:
        """Post a form with its token; post to the API unchanged."""
        if not str(url).startswith("/api/") and FIELD not in (data or {}):
            if not self.token:
                self.get("/about")
            data = {FIELD: form_token(self.token), **(data or {})}
        return super().post(url, data=data, **more)

    @property
    def token(self) -> str:
        """The session's token, empty before the first page."""
        return self.cookies.get(SECURE_COOKIE) or self.cookies.get(COOKIE) or ""


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A browser with cookies and redirects."""
    with SiteClient(app) as client:
        yield client


def note_prepared(patch: pytest.MonkeyPatch, asked: list[str]) -> None:
    """Append the text of each prepared query to a list when it is asked: SQLAlchemy's events do not see them."""
    of = PreparedQuery.of

    def note(query: PreparedQuery, dialect: Dialect, value: str) -> tuple[str, Parameters]:
        text, parameters = of(query, dialect, value)
        asked.append(text)
        return text, parameters

    patch.setattr(PreparedQuery, "of", note)

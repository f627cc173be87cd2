"""A small real site: three models on the better-known bundled movies, and a database of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.dataset import Dataset
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Run
from matinee.serve.app import create_app
from matinee.store.artefact import Artefact, save

NOW = 1_750_000_000
MODELS = ("popularity", "item-knn", "ease")


@pytest.fixture(scope="session")
def known_movies(bundled: Dataset) -> Dataset:
    """The bundled events of movies that at least 25 people rated: some 1,000."""
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
def app(artefact_paths: list[Path], tmp_path: Path) -> FastAPI:
    """The site with an empty database, at NOW."""
    return create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/site.db", clock=lambda: NOW)


@pytest.fixture
def open_app(artefact_paths: list[Path], tmp_path: Path) -> FastAPI:
    """The same with an open API."""
    return create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/open.db", clock=lambda: NOW, api_open=True)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A browser, as far as cookies and redirects go."""
    with TestClient(app) as client:
        yield client


@pytest.fixture
def open_client(open_app: FastAPI) -> Iterator[TestClient]:
    """A program that uses the open API."""
    with TestClient(open_app) as client:
        yield client

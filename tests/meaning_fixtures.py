"""A site whose movies have texts, for searches by meaning."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.dataset import Dataset
from matinee.serve.app import create_app
from matinee.serve.live_meaning import LiveMeaning
from site_fixtures import CHEAP, NOW, SiteClient, train
from toy_encoder import ToyEncoder

TEXTS = {
    "Alien (1979)": "The crew of a ship in space is hunted by a monster.",
    "Aliens (1986)": "Soldiers fight a whole nest of monsters on a far planet.",
    "Toy Story (1995)": "The toys of a boy come to life, and a cowboy doll is jealous of a new toy.",
    "Titanic (1997)": "A love story aboard a ship that sinks.",
    "Jaws (1975)": "A shark hunts bathers, and three men take a ship to kill the monster.",
    "Apollo 13 (1995)": "Three astronauts in space must bring their damaged ship home.",
    "Babe (1995)": "A pig on a farm learns to herd sheep.",
    "Groundhog Day (1993)": "A man lives the same day again and again, until he finds love.",
    "Matrix, The (1999)": "A programmer learns that the world is a simulation and fights machines.",
    "Rocky (1976)": "A small boxer from Philadelphia fights the champion.",
    "Jurassic Park (1993)": "Dinosaurs are brought back to life in a park on an island, and escape.",
    "Godfather, The (1972)": "The ageing head of a mafia family hands his empire to his son.",
}


@pytest.fixture(scope="session")
def described_movies(known_movies: Dataset) -> Dataset:
    """Known movies, a dozen of them with a text."""
    table, titles = known_movies.item_table, known_movies.catalogue.titles
    return known_movies.with_table(replace(table, texts={"text": tuple(TEXTS.get(title, "") for title in titles)}))


@pytest.fixture(scope="session")
def described_path(described_movies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefact of a model of movies with texts."""
    return train("popularity", described_movies, tmp_path_factory.mktemp("described"))


@pytest.fixture
def toy_encoder() -> ToyEncoder:
    """An encoder that counts."""
    return ToyEncoder()


@pytest.fixture
def described_app(described_path: Path, tmp_path: Path, toy_encoder: ToyEncoder) -> FastAPI:
    """A site of movies with texts and this encoder."""
    app = create_app([described_path], db_url=f"sqlite:///{tmp_path}/site.db", clock=lambda: NOW, hasher=CHEAP)
    site = replace(app.state.site, meaning=LiveMeaning(toy_encoder))
    app.state.site, app.state.resources = site, app.state.resources.of_site(site)
    return app


@pytest.fixture
def described_client(described_app: FastAPI) -> Iterator[TestClient]:
    """A browser on that site, once it finds by meaning."""
    with SiteClient(described_app) as client:
        wait_until_ready(described_app)
        yield client


def wait_until_ready(app: FastAPI) -> None:
    """Return once a site finds by meaning."""
    until = time.monotonic() + 20
    while not app.state.site.meaning.ready and time.monotonic() < until:
        time.sleep(0.01)


def rows_of(data: Dataset, *titles: str) -> list[int]:
    """The item rows of titles."""
    return [data.catalogue.titles.index(title) for title in titles]


def popularity_of(data: Dataset) -> np.ndarray:
    """Events of each item. [I]."""
    return np.bincount(data.events.item_rows, minlength=len(data.items))

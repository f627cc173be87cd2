"""Fixtures for all tests: where the real data lies, and small logs with a known answer."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from matinee.data.loading import load
from matinee.dataset import Dataset

PROJECT = Path(__file__).parents[1]
pytest_plugins = ("site_fixtures", "browser_fixtures", "model_fixtures")


def require(present: bool, what: str) -> None:
    """Skip where a service is missing; fail instead where MATINEE_REQUIRE_ALL is set."""
    if present:
        return
    if os.environ.get("MATINEE_REQUIRE_ALL"):
        pytest.fail(f"{what} is required (MATINEE_REQUIRE_ALL is set) and missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """The folder of a data set that is not part of the project: in MATINEE_DATA, else in ../shared/data."""
    root = Path(os.environ.get("MATINEE_DATA") or PROJECT.parent / "shared" / "data")

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"data set {name} is not in {root}; set MATINEE_DATA to the folder that holds it")
        return root / name

    return find


@pytest.fixture(scope="session")
def bundled() -> Dataset:
    """MovieLens small of 10/2016, as bundled."""
    return load("bundled")

"""Fixtures for all tests: where the real data lies, and small logs with a known answer."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from matinee.data.loading import load
from matinee.dataset import Dataset
from matinee.models import MODELS

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


FITS = {"fitted"}
"""Fixtures that fit models on the bundled data."""
SITES = {"app", "open_app", "client", "open_client", "artefact_paths", "measured_paths", "address", "engine"}
"""Fixtures that train what a site serves, and open it."""
FOLDERS = {"contract": "fits", "browser": "browser", "reference": "reference"}
"""Folders of which every test has a mark."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they need, and group them so that one worker fits a model, or opens a site, once."""
    for item in items:
        path = item.path.relative_to(PROJECT / "tests")
        fixtures = set(getattr(item, "fixturenames", ()))
        if path.parts[0] in FOLDERS:
            item.add_marker(FOLDERS[path.parts[0]])
        if fixtures & FITS:
            item.add_marker("fits")
        if fixtures & SITES:
            item.add_marker("site")
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_group(item, path)))


def _group(item: pytest.Item, path: Path) -> str:
    """Of a test of one fitted model: the model; of a browser test: the browser; else the file."""
    if item.get_closest_marker("browser"):
        return "browser"
    if item.get_closest_marker("fits"):
        call = getattr(item, "callspec", None)
        names = [value for value in call.params.values() if isinstance(value, str) and value in MODELS] if call else []
        return f"model {names[0]}" if names else str(path)
    return str(path)

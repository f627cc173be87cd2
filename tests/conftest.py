"""Fixtures for all tests: where the real data lies, and small logs with a known answer."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from groups import group_of
from matinee.data.loading import load
from matinee.dataset import Dataset

PROJECT = Path(__file__).parents[1]
hypothesis.settings.register_profile("matinee", deadline=None)  # other processes must not fail a test
hypothesis.settings.load_profile("matinee")
pytest_plugins = (
    "server_fixtures",
    "stream_fixtures",
    "cluster_fixtures",
    "site_fixtures",
    "shop_fixtures",
    "browser_fixtures",
    "docs_fixtures",
    "model_fixtures",
    "meaning_fixtures",
    "reading_fixtures",
    "quick_tests",
)


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
SITES = {"app", "client", "artefact_paths", "measured_paths", "address", "engine", "shop_paths", "described_path"}
"""Fixtures that train what a site serves, and open it."""
FOLDERS = {"contract": "fits", "browser": "browser", "reference": "reference"}
"""Folders of which every test has a mark."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they need."""
    for item in items:
        path = item.path.relative_to(PROJECT / "tests")
        fixtures = set(getattr(item, "fixturenames", ()))
        if path.parts[0] in FOLDERS:
            item.add_marker(FOLDERS[path.parts[0]])
        if fixtures & FITS:
            item.add_marker("fits")
        if fixtures & SITES:
            item.add_marker("site")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute by group_of for `--dist loadgroup`: xdist 3.8 does not find its own groups under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None

"""docs/defaults.md is what benchmarks/defaults.py writes, and its grids begin with the defaults."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from matinee.models import model_class, model_names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def defaults() -> ModuleType:
    spec = importlib.util.spec_from_file_location("defaults", ROOT / "benchmarks" / "defaults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_defaults_is_that_of_the_stored_values(defaults: ModuleType) -> None:
    assert (ROOT / "docs" / "defaults.md").read_text("utf-8") == defaults.page(defaults.load())


def test_every_model_has_a_grid_that_begins_with_its_defaults(defaults: ModuleType) -> None:
    assert set(defaults.GRIDS) == set(model_names())
    for name, grid in defaults.GRIDS.items():
        config = model_class(name).Config()
        assert {field: values[0] for field, values in grid.items()} == {field: getattr(config, field) for field in grid}


def test_what_the_other_logs_choose_never_sees_the_log_itself(defaults: ModuleType) -> None:
    """Three logs, three points: the first log alone prefers the last point, which the other two find worst."""
    shares = {"one": [0.5, 0.6, 1.0], "two": [0.9, 1.0, 0.1], "three": [0.95, 1.0, 0.2]}
    chosen = {name: defaults._chosen_without(shares, name) for name in shares}
    assert chosen == {"one": 1, "two": 1, "three": 1}
    shares["two"] = shares["three"] = [1.0, 0.8, 0.1]
    assert defaults._chosen_without(shares, "one") == 0

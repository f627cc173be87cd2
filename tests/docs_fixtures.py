"""Scripts of the docs folder as modules, and what documents and tests register, undone."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from matinee.evaluation.metrics import LOWER_IS_BETTER, METRICS
from matinee.evaluation.own_metrics import OWN

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def docs_script() -> Callable[[str], ModuleType]:
    """Imports a script of docs/ by its name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def metrics_of_one_test() -> Iterator[None]:
    """Metrics that a test registers are gone after it."""
    metrics, lower, own = METRICS.copy(), LOWER_IS_BETTER.copy(), OWN.copy()
    yield
    for now in (METRICS, LOWER_IS_BETTER, OWN):
        now.clear()
    METRICS.update(metrics)
    LOWER_IS_BETTER.update(lower)
    OWN.update(own)

"""docs/results.md is what benchmarks/results.py writes from the stored results."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_results_is_that_of_the_stored_results() -> None:
    spec = importlib.util.spec_from_file_location("results", ROOT / "benchmarks" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    assert (ROOT / "docs" / "results.md").read_text("utf-8") == results.page(results.load())

"""The page of promises names tests that exist, and figures that were measured."""

import json
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs/promises.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)))
LIMITS = {"bytes": 200_000, "first_paint": 1.0}
"""Of a page on a slow line: bytes, and seconds until it is painted."""


def stored(name: str) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = json.loads((PROJECT / f"benchmarks/{name}.json").read_text("utf-8"))
    return found


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 35
    for file, test in NAMED:
        path = PROJECT / (file if "/" in file else f"tests/browser/{file}")
        assert f"\ndef {test}(" in path.read_text("utf-8"), test


def test_the_figures_of_the_slow_line_are_those_that_were_measured_and_within_their_limits() -> None:
    pages = {name: one for name, one in stored("page_weight").items() if name != "before"}
    assert len(pages) == 9
    for name, one in pages.items():
        assert f"| `{name}` | {one['bytes'] / 1000:.0f} kB | {one['first_paint']:.2f} s |" in TEXT
        assert all(one[what] < limit for what, limit in LIMITS.items()), name


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_clicks_are_those_that_were_counted(when: str) -> None:
    for name, one in stored("tasks")[when]["tasks"].items():  # type: ignore[attr-defined]
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| {name} |"))
        said = "not possible" if one is None else f"{one['clicks']} and {one['keys']}"
        assert row.split(" | ")[1 if when == "before" else 2].removesuffix(" |") == said

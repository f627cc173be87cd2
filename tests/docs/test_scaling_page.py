"""docs/scaling.md is what benchmarks/capacity.py writes from the stored figures, and formulas compute what they say."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def capacity() -> ModuleType:
    """The script, with its neighbours in reach."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("capacity")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_the_page_is_that_of_the_stored_figures(capacity: ModuleType) -> None:
    assert (ROOT / "docs" / "scaling.md").read_text("utf-8") == capacity.page()


def test_another_price_changes_what_it_is_in(capacity: ModuleType) -> None:
    changed = zip(capacity.page({"price_gpu_hour": 30.0}).splitlines(), capacity.page().splitlines(), strict=True)
    names = [one.split("`")[1] for one, other in changed if one != other]
    assert names == ["neural_cost", "price_gpu_hour"]


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("a + b * 3", 17),
        ("(a + b) * 3", 21),
        ("-a ** 2 / 8", -0.5),
        ("ceil(b / a) - max(a, b)", -2),
        ("2 * sqrt(min(a, b) * 8)", 8),
        ("1e9 / 1000", 1e6),
    ],
)
def test_formulas_are_arithmetic(capacity: ModuleType, formula: str, value: float) -> None:
    """a = 2, b = 5."""
    assert sys.modules["capacity_sheet"].value_of(formula, {"a": 2, "b": 5}) == pytest.approx(value)


@pytest.mark.parametrize("formula", ["open('x')", "a.real", "[a][0]", "__import__('os')", "a if b else 1", "'a'"])
def test_formulas_are_nothing_else(capacity: ModuleType, formula: str) -> None:
    with pytest.raises(ValueError, match="not arithmetic"):
        sys.modules["capacity_sheet"].value_of(formula, {"a": 2, "b": 5})


def test_ease_at_ten_thousand_items_and_a_billion_users_by_hand(capacity: ModuleType) -> None:
    """10^4 squared in float32 are .4 GB; a tenth of 10^9 users, 5 minutes each, thrice the mean: 1,041,667 visitors."""
    sheet = capacity.sheet_of({"active": 0.1, "minutes": 5, "peak": 3})
    values = sheet.compute(
        capacity.PACE | capacity.TRAINING | capacity.RETRIEVAL | capacity.SERVING,
        events=1e11,
        users=1e9,
        items=1e4,
        busy=0.5,
    )
    assert values["gram_gb"] == pytest.approx(0.4)
    assert values["visitors"] == pytest.approx(1e9 * 0.1 * 5 / 1440 * 3)
    assert values["exact_ms"] == pytest.approx(165.551 / 1e6 * 1000 / 6, rel=1e-4)
    assert values["workers"] == pytest.approx(values["cores"] / 0.5, abs=1)

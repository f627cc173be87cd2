"""The check of retired words finds them, and knows where they may stand."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def check(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("check_words")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("src/matinee/models/graph/lightgcn.py", "what each layer heard"),
        ("src/matinee/ranking/rerank.py", "worth = (1 - v) * score"),
        ("docs/serving.md", "Whoever has no history is ranked by popularity."),
        ("src/matinee/models/sequences/sasrec.py", "        self.mixed = 1"),
        ("tests/test_training.py", "chance = torch_generator(run)"),
        ("src/matinee/serve/pages/languages/en/pages.toml", 'x = "Nobody knows you yet"'),
        ("src/matinee/serve/pages/languages/ko/pages.toml", 'x = "에이리언 덕분에"'),
    ],
)
def test_a_retired_word_is_refused_with_its_line_and_the_fix(check: ModuleType, name: str, line: str) -> None:
    found = list(check.problems(name, f"first line\n{line}\n"))
    assert len(found) == 1
    assert found[0].startswith(f"{name}:2: ")
    assert "is retired; write " in found[0]


def test_ordinary_english_is_left_alone(check: ModuleType) -> None:
    text = "no better than chance, drawn by chance, to two decimal places, an ALS half-step, a figure of the audit"
    assert list(check.problems("src/matinee/x.py", text)) == []


def test_the_rename_map_is_not_checked(check: ModuleType) -> None:
    names = {path.relative_to(PROJECT).as_posix() for path in check.files()}
    assert "src/matinee/config.py" in names
    assert not {"src/matinee/renamed.py", "docs/check_words.py"} & names
    assert not any(name.startswith("tests/golden/format-1/") for name in names)

"""Decisions are numbered from 001 without gaps, dated, have a status, and the index lists them all."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
FILES = sorted(FOLDER.glob("[0-9]*.md"))


def test_the_numbers_have_no_gap() -> None:
    assert [int(path.name[:3]) for path in FILES] == list(range(1, len(FILES) + 1))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_decision_has_its_number_a_date_and_a_status(path: Path) -> None:
    title, blank, about, *_ = path.read_text("utf-8").splitlines()
    assert re.fullmatch(rf"# {path.name[:3]}\. [A-Z\"`i].*", title)
    assert blank == ""
    assert re.fullmatch(r"Date: \d{4}-\d{2}-\d{2}\. Status: (accepted|replaced by \[\d{3}\]).*", about)


def test_the_index_lists_every_decision_under_its_title() -> None:
    index = (FOLDER / "README.md").read_text("utf-8")
    for path in FILES:
        title = path.read_text("utf-8").splitlines()[0].removeprefix(f"# {path.name[:3]}. ")
        assert f"| {path.name[:3]} | [{title}]({path.name}) |" in index

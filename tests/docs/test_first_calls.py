"""The page of first calls shows what they answer today."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import matinee as mt


@pytest.mark.slow
def test_the_page_has_every_call_with_its_answer(
    docs_script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = docs_script("write_first_calls")
    page = writer.PAGE.read_text("utf-8").splitlines()
    for call, answer in writer.answers():
        if call.startswith("## "):
            assert call in page
            continue
        at = page.index(f">>> {call}")
        for line in answer.splitlines()[:1]:
            assert page[at + 1] == line or line.startswith("shape: "), "run `python docs/write_first_calls.py`"
    assert {name for name in mt.FUNCTIONS if f"mt.{name}(" in "\n".join(page)} >= {"load", "fit", "evaluate", "compare"}

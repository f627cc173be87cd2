"""Fixtures shared by the tests of reading."""

from collections.abc import Callable
from pathlib import Path

import pytest

from matinee import memory
from matinee.reading import needs


@pytest.fixture
def small_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Call it with the kB that are then free; from then on, small files too are asked for the memory they need."""

    def begin(free_kb: int) -> None:
        proc = tmp_path / "proc"
        proc.mkdir()
        (proc / "meminfo").write_text(f"MemAvailable: {free_kb} kB\n")
        monkeypatch.setattr(memory, "PROC", proc)
        monkeypatch.setattr(memory, "CGROUPS", tmp_path / "none")
        monkeypatch.setattr(needs, "LARGEST_SMALL", 0)

    return begin

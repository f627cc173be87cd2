"""import-linter, as `make check` calls it, refuses an upward import, a cycle and an import of the front door."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's Python files and its contracts."""
    folder = tmp_path_factory.mktemp("imports")
    shutil.copytree(PROJECT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "bundled", "static"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("", "", ""),
        ("training/loop.py", "import matinee.models.base", "Rooms import downwards"),
        ("ranking/rank.py", "import matinee.store.artefact", "Rooms import downwards"),
        ("models/graph/lightgcn.py", "import matinee.models.linear.ease", "Families of models do not know each other"),
        ("evaluation/metrics.py", "import matinee.evaluation.evaluate", "No cycles"),
        ("serve/search.py", "import matinee.data.loading", "The site serves"),
        ("config.py", "import matinee", "front door"),
    ],
)
def test_an_import_against_the_order_is_refused(copied: Path, module: str, line: str, contract: str) -> None:
    path = copied / "src" / "matinee" / module
    before = path.read_text("utf-8") if module else ""
    try:
        if module:
            path.write_text(f"{before}\n{line}\n", "utf-8")
        done = lint(copied)
    finally:
        if module:
            path.write_text(before, "utf-8")
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert (done.returncode != 0) == bool(module), done.stdout + done.stderr
    assert any(contract in text for text in broken) == bool(module), done.stdout

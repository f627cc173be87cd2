"""A plugin of pytest for an environment without torch: a test that asks for torch is skipped, and counted.

`tests/other_versions.sh` uses it; elsewhere a missing torch fails.
"""

import re
from collections.abc import Generator
from pathlib import Path

import pytest

LEFT_OUT = {"browser", "contract", "golden", "reference"}
"""Folders of tests that are slow or fit models."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out files that import torch themselves, and folders without fast tests."""
    if collection_path.is_dir():
        return True if collection_path.name in LEFT_OUT else None
    if collection_path.suffix != ".py":
        return None
    imports = re.search(
        r"^(import|from) (torch|matinee\.training\.torch_trainer)\b", collection_path.read_text("utf-8"), flags=re.M
    )
    return True if imports else None


def _without_torch() -> Generator[None, object, object]:
    """Skip a test in which a model, a fixture, or the test itself finds that torch is not installed."""
    try:
        return (yield)
    except Exception as error:
        if re.search(
            r"which is not installed: pip install 'matinee\[train|No (module|package).* torch|'torch'", str(error)
        ):
            pytest.skip("torch is not installed")
        raise


pytest_runtest_setup = pytest.hookimpl(wrapper=True)(_without_torch)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(_without_torch)

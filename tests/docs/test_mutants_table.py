"""The table of mutants names modules, tests and constants that exist."""

import ast
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TABLE = tomllib.loads((PROJECT / "tests" / "mutants.toml").read_text("utf-8"))


@pytest.mark.parametrize("module", TABLE)
def test_a_module_its_tests_and_its_constants_exist(module: str) -> None:
    tree = ast.parse((PROJECT / "src" / "matinee" / module).read_text("utf-8"))
    constants = {name.id for node in tree.body for name in ast.walk(node) if isinstance(name, ast.Name)}
    entry = TABLE[module]
    assert entry.keys() <= {"tests", "speed"}
    assert set(entry.get("speed", ())) <= constants
    assert entry["tests"]
    assert [path for path in entry["tests"] if not (PROJECT / path).is_file()] == []

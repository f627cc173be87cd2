"""What a package index and a citation show of the project."""

import tomllib
from pathlib import Path

import yaml

import matinee

PROJECT = Path(__file__).parents[1]
METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]


def test_every_licence_that_lies_in_the_package_is_named() -> None:
    named = {path for pattern in METADATA["license-files"] for path in PROJECT.glob(pattern)}
    there = {path for path in (PROJECT / "src").rglob("LICENSE*") if "__pycache__" not in path.parts}
    assert named == there | {PROJECT / "LICENSE"}
    assert set(METADATA["license"].split(" AND ")) == {"MIT", "OFL-1.1", "LicenseRef-GroupLens"}
    assert not any(each.startswith("License ::") for each in METADATA["classifiers"])  # the expression says it


def test_the_citation_names_the_version_of_the_code() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == matinee.__version__
    assert citation["authors"][0]["name"] == METADATA["authors"][0]["name"]


def test_the_classifiers_name_the_least_python() -> None:
    least = METADATA["requires-python"].removeprefix(">=")
    assert "<" not in METADATA["requires-python"]
    assert f"Programming Language :: Python :: {least}" in METADATA["classifiers"]

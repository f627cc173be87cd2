"""What a package index and a citation show of the project."""

import re
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
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


@pytest.fixture
def package_page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook, without hatchling, which only builds have."""
    interface = "hatchling.metadata.plugin.interface"
    monkeypatch.setitem(sys.modules, interface, SimpleNamespace(MetadataHookInterface=object))
    spec = spec_from_file_location("package_page", PROJECT / "deploy" / "package_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_an_index_has_absolute_pictures_and_links(package_page: ModuleType) -> None:
    readme = (PROJECT / "README.md").read_text("utf-8")
    page = package_page.page(readme, "https://example.org/m", "v1")
    targets = re.findall(r"\]\(([^)]+)\)", page)
    assert all(target.startswith(("https://", "http://")) for target in targets)
    ours = [each for each in targets if each.startswith("https://example.org/m/")]
    assert len(ours) == len([each for each in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in each])
    for target in ours:
        kind, tag, path = target.removeprefix("https://example.org/m/").split("/", 2)
        assert (kind, tag) == ("raw" if path.endswith(".png") else "blob", "v1")
        assert (PROJECT / path.partition("#")[0]).exists(), path


def test_without_an_address_the_page_has_no_link_that_leads_nowhere(package_page: ModuleType) -> None:
    page = package_page.page("[a](docs/a.md) ![p](x.png) [b](https://example.org) [c](#d)", "", "v1")
    assert page == "a *p* [b](https://example.org) [c](#d)"

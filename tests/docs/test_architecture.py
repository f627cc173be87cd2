"""The architecture page says what the code does: its picture, its table of rooms and its table of families."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from matinee.models import MODELS
from released import RELEASED

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "architecture.md").read_text("utf-8")


@pytest.fixture(scope="module")
def drawing(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("draw_rooms")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_picture_shows_the_imports_of_today(drawing: ModuleType) -> None:
    assert drawing.PICTURE.read_text("utf-8") == drawing.draw(), "run `python docs/draw_rooms.py`"


def test_the_table_has_every_room_and_allows_every_import(drawing: ModuleType) -> None:
    table = {row[0].strip("`/"): {name.strip() for name in row[2].split(",")} for row in rows("Rooms")}
    assert set(table) == {room for layer in drawing.layers() for room in layer}
    for importer, imported in drawing.imports():
        assert table[importer] == {"all"} or imported in table[importer], f"{importer} imports {imported}"


def test_the_rooms_are_the_folders_and_modules_of_the_package(drawing: ModuleType) -> None:
    source = PROJECT / "src" / "matinee"
    folders = {path.parent.name for path in source.glob("*/__init__.py")}
    modules = {path.stem for path in source.glob("*.py")} - {"__init__"}
    named = {room for layer in drawing.layers() for room in layer} - {drawing.GROUND} | set(drawing.ground())
    assert named == folders | modules


def test_the_table_of_families_names_every_released_model_in_its_folder() -> None:
    table = {(row[0].strip("`/"), name) for row in rows("Families of models") for name in row[1].split(", ")}
    folders = {(path.split(".")[2], name) for name, path in MODELS.items()}
    assert {each for each in folders if each[1] in RELEASED} <= table <= folders


def test_names_of_modules_on_the_page_exist() -> None:
    for name in re.findall(r"`([a-z_]+\.py)`", PAGE):
        assert list((PROJECT / "src" / "matinee").rglob(name)), name

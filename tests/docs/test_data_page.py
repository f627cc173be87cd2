"""The page on data and splits against the code."""

import re
from pathlib import Path

from matinee.config import SplitConfig
from matinee.data.notes import columns_note
from matinee.data.part_files import WORDS
from matinee.data.split_settings import USES
from matinee.reading.table import Read

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def test_the_table_of_splits_has_every_split_and_its_settings() -> None:
    rows = {
        name: set(re.findall(r"`(\w+)`", settings))
        for name, settings in re.findall(r"^\| `([\w-]+)` \|.*\|([^|]*)\|$", PAGE, re.MULTILINE)
    }
    assert rows == {name: set(fields) - {"path"} for name, fields in USES.items()}
    assert set().union(*USES.values()) | {"split", "seed"} == set(SplitConfig.model_fields)


def test_every_word_for_a_part_is_on_the_page() -> None:
    for words in WORDS.values():
        assert all(f"`{word}`" in PAGE for word in words)


def test_the_note_on_columns_is_that_of_the_code() -> None:
    read = Read("books.csv", "text", {"user": "User-ID", "item": "ISBN"}, ("Loved",))
    assert columns_note(read) in PAGE

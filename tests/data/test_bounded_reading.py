"""What reading gives to callers with bounds of their own, and JSON of several tables."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from matinee.errors import DataError
from matinee.reading.archives import Zip
from matinee.reading.compression import TooLargeError, unpack
from matinee.reading.json_text import arrays_of, read_json


def test_what_a_file_unpacks_to_is_bounded_by_the_caller() -> None:
    raw = gzip.compress(b"a" * 1000)
    assert unpack(raw, "x.gz", 1000) == b"a" * 1000
    with pytest.raises(TooLargeError, match="unpack it by hand"):
        unpack(raw, "x.gz", 999)


def test_what_a_zip_unpacks_to_is_bounded_by_the_caller() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"a" * 600)
        archive.writestr("b.csv", b"b" * 400)
    assert Zip(Path("x.zip"), out.getvalue(), 1000).names() == ["a.csv", "b.csv"]
    with pytest.raises(TooLargeError, match="unpack it by hand"):
        Zip(Path("x.zip"), out.getvalue(), 999)


def test_every_array_of_objects_in_a_document_is_a_table() -> None:
    document = {"note": "x", "movies": [{"a": 1}], "none": [], "numbers": [1], "shows": [{"b": 2, "c": {"d": 3}}]}
    found = arrays_of(json.dumps(document).encode(), "x.json")
    assert {name: frame.to_dicts() for name, frame in found.items()} == {
        "movies": [{"a": 1}],
        "shows": [{"b": 2, "c.d": 3}],
    }


@pytest.mark.parametrize("raw", [b'[{"a": 1}]', b'{"a": 1}\n{"a": 1}', b'{"a": 1}'])
def test_other_json_is_one_table_without_a_name(raw: bytes) -> None:
    (name,) = arrays_of(raw, "x.json")
    assert name == ""


@pytest.mark.parametrize("raw", [b"[" * 50_000, b'{"a": ' * 50_000, b'{"a": [{"b": 1}', b'{"a": [1]}x', b"{}"])
def test_damaged_json_and_json_without_a_table_are_refused(raw: bytes) -> None:
    with pytest.raises(DataError):
        arrays_of(raw, "x.json")


def test_half_a_character_is_replaced() -> None:
    frame, _, _ = read_json(b'[{"a": "x\\ud800"}]', "x.json")
    assert frame["a"].to_list() == ["x?"]

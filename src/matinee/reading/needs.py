"""What reading a log needs of memory, from the sizes of its files and a sample, so that it is said before it is read.

The bytes are those that readings of 8 and 32 million events held (docs/growth.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from matinee.memory import available_memory, require_memory, size
from matinee.reading.archives import Archive
from matinee.reading.columnar import sample_columnar

LARGEST_SMALL = 2 * 10**8
"""Bytes up to which a reading is not asked for."""
NUMBERS = 40
"""Of an event of a delimited file whose cells are read as numbers at once, beside the file's own."""
TYPED, COPIES = 10, 2.4
"""Of an event of typed columns, and for each of its bytes there."""
TYPED_TEXT = 55
"""Of a cell of a typed column of text, beside its long text."""
CELL, CONVERTED = 16, 26
"""Of a cell of delimited text, and while it becomes an id, a value or a time, beside its long text."""
LONGEST_INSIDE = 12
"""Length of a text from which it is long: it lies outside of its cell."""
ROLES = 4
"""Columns of a log that become one, at most."""
PLAIN = 87
"""Of an event of a Parquet file with four columns of 8 bytes."""
SAMPLE_BYTES, SAMPLE_ROWS = 2**20, 1000
_SEPARATOR = re.compile(rb"::|[\t,;|]")
_NOT_ROWS = (b"{", b"[", b"PK\x03\x04")
"""First bytes of JSON and workbooks, whose rows are not lines."""


@dataclass(frozen=True, slots=True)
class ReadingNeed:
    """About what reading a log takes: its events, bytes, and whether its cells are text."""

    events: int
    n_bytes: int
    is_text: bool

    def __add__(self, other: "ReadingNeed") -> "ReadingNeed":
        return ReadingNeed(self.events + other.events, self.n_bytes + other.n_bytes, self.is_text or other.is_text)


def excess_of_reading(archive: Archive, names: Sequence[str], *, numbers: bool = False) -> str | None:
    """What reading the files of a log as a whole takes and what is free, as a clause; None where it fits.

    numbers: as in `require_reading`.
    """
    need, free = _need_of_all(archive, names, numbers=numbers), available_memory()
    if need.n_bytes <= LARGEST_SMALL or free is None or need.n_bytes <= free:
        return None
    return f"as a whole that takes {size(need.n_bytes)}, and {size(free)} are free"


def require_reading(archive: Archive, names: Sequence[str], where: str, *, numbers: bool = False) -> None:
    """Raises MatineeError, before the files of a log are read, if the memory that this takes is not free.

    numbers: cells are read as numbers at once, as those of MovieLens are.
    """
    need = _need_of_all(archive, names, numbers=numbers)
    if need.n_bytes <= LARGEST_SMALL:
        return
    plain = size(PLAIN * need.events)
    fix = "give some of its files, or keep fewer of its events before they are read"
    if need.is_text:
        fix = f"write it as Parquet with whole numbers as ids, which takes {plain} to read, or {fix}"
    require_memory(need.n_bytes, f"reading {where}, about {need.events:,} events,", fix)


def _need_of_all(archive: Archive, names: Sequence[str], *, numbers: bool) -> ReadingNeed:
    found = (reading_need(archive, name, numbers=numbers) for name in names)
    return sum((need for need in found if need is not None), ReadingNeed(0, 0, False))


def reading_need(archive: Archive, name: str, *, numbers: bool = False) -> ReadingNeed | None:
    """About what reading one file takes; None where nothing says it before. numbers: as in `require_reading`."""
    path = archive.on_disk(name)
    found = None if path is None else sample_columnar(path, SAMPLE_ROWS)
    if found is not None:
        n_rows, columns = found
        if not columns:
            return None
        texts = [column for column in columns if column.dtype == pl.String]
        n_bytes = sum(column.estimated_size() for column in columns if column.dtype != pl.String)
        of_row = TYPED + COPIES * n_bytes / max(1, len(columns[0])) + sum(map(_text_cell, texts))
        return ReadingNeed(n_rows, int(n_rows * of_row), bool(texts))
    sample = archive.sample(name, SAMPLE_BYTES)
    if sample is None or not sample.head or sample.head.startswith(_NOT_ROWS) or b"\0" in sample.head:
        return None
    lines = sample.head.split(b"\n")[1:-1] or [sample.head]
    n_lines = int(sample.n_bytes / max(1, len(sample.head)) * (sample.head.count(b"\n") or 1))
    if numbers:
        return ReadingNeed(n_lines, sample.n_bytes + n_lines * NUMBERS, is_text=False)
    rows = [_SEPARATOR.split(line) for line in lines[:SAMPLE_ROWS]]
    width = sum(map(len, rows)) / len(rows)
    long = sum(len(cell) for row in rows for cell in row if len(cell) > LONGEST_INSIDE) / len(rows)
    of_row = width * CELL + 2 * long + min(width, ROLES) * CONVERTED
    return ReadingNeed(n_lines, int(sample.n_bytes + n_lines * of_row), is_text=True)


def _text_cell(column: pl.Series) -> float:
    """Bytes of a cell of a typed column of text."""
    lengths = column.drop_nulls().str.len_bytes()
    return TYPED_TEXT + int(lengths.filter(lengths > LONGEST_INSIDE).sum()) / max(1, len(lengths))

"""Tables of any format: a file's bytes or a table in memory as one frame whose rows have a place."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import polars as pl

from matinee.config import ColumnsConfig
from matinee.errors import DataError, first_line
from matinee.reading.adjacency_text import NOTE, is_adjacency_text, read_adjacency_text
from matinee.reading.columnar import OWN, facts_of, read_columnar
from matinee.reading.columns import SNIFFED, find_roles, numbered_roles
from matinee.reading.compression import refuse_foreign, unpack
from matinee.reading.delimited import read_text
from matinee.reading.encodings import UTF_8, Encoding, decode
from matinee.reading.frames import as_frame
from matinee.reading.json_text import is_json, read_json
from matinee.reading.netflix import is_netflix, read_netflix
from matinee.reading.tolerant import Fault

WINDOWS = "cp1252"
"""The encoding of text that is not UTF-8, as spreadsheets of Windows write it."""
_NOT_TABLES: Mapping[str, str] = {
    r"\(\d+,\s*\d+\)\t\d+\t": "lists NCF's sampled negatives, not events; it goes with --candidates, beside a log",
    r"(?i)\s*<(!doctype|html)": "is a web page; download the file itself",
    r"\s*<\?xml": "is XML; save the table as CSV, JSON or Parquet",
    r"version https://git-lfs": "is a pointer of Git LFS in place of the file; fetch it with git lfs pull",
}


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table, and what reading it took.

    where: its name in messages. frame: [N, columns]; cells of a text table are text, null if blank; others keep their
    types. lines: [N], the line of each row in the file from 1, or None where the format has no lines. numbered: the
    columns are numbered for want of a header. format: what the file is, such as `Parquet`. faults: rows that a tolerant
    reader left out. dropped: lines that are no rows, by reason. notes: sentences on what reading took or changed.
    parts: the tables of which it is made, where those are several files. kept: which rows of theirs, or of a table
    without lines, are left; None for all. facts: what a data set that was imported says about itself.
    """

    where: str
    frame: pl.DataFrame
    lines: pl.Series | None = None
    numbered: bool = False
    format: str = "text"
    faults: tuple[Fault, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parts: tuple["Table", ...] = ()
    kept: pl.Series | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def locate(self, row: int) -> str:
        """The place of a row in the file: `line 7`, or `row 7`."""
        row = row if self.kept is None else int(self.kept[row])
        if self.parts:
            starts = [0, *accumulate(len(part.frame) for part in self.parts)]
            part = bisect_right(starts, row) - 1
            return f"{self.parts[part].where}, {self.parts[part].locate(row - starts[part])}"
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"

    def roles(self, columns: ColumnsConfig = SNIFFED) -> dict[str, str]:
        """The column of each role, as configured, recognised by name or, without a header, by its place."""
        if self.numbered:
            return numbered_roles(self.frame, self.where, columns)
        return find_roles(self.frame.columns, self.where, columns)

    def filtered(self, kept: pl.Series, dropped: Mapping[str, int]) -> "Table":
        """The table with only some rows ([N] booleans), and the others counted by reason."""
        left = replace(self, frame=self.frame.filter(kept), dropped={**self.dropped, **dropped})
        if self.lines is None:
            return replace(left, kept=kept.arg_true())
        return replace(left, lines=self.lines.filter(kept))


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a read took of a table, to show to its user.

    where: the table's name. format: `text`, `Parquet`, ... roles: the column of each role (user, item, value, at).
    unused: the other columns. dropped: lines left out, by reason. notes: one sentence each.
    """

    where: str
    format: str
    roles: Mapping[str, str]
    unused: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_table(
    raw: bytes,
    where: str,
    columns: ColumnsConfig = SNIFFED,
    *,
    encoding: Encoding = UTF_8,
    tolerant: bool = False,
    beside: bool = False,
    headed: bool = False,
) -> Table:
    """Read a table from a file's bytes, in any format, compressed or not. Raises DataError.

    encoding: of text. tolerant: leave out rows that cannot be read and report them, look for the header in the first
    lines, and read text that is not UTF-8 as Windows-1252. beside: another part of the same split is adjacency text, so
    this may be too, although its shape alone does not say so. headed: the first row of text has the columns' names.
    """
    raw = unpack(raw, where)
    refuse_foreign(raw, where)
    if (columnar := read_columnar(raw, where)) is not None:
        frame, format, notes = columnar
        if encoding.name is not None:
            raise DataError(
                f"{where} is {format}, which says itself how its text is written; leave {encoding.option} out"
            )
        facts = facts_of(raw, where) if format == OWN else {}
        return Table(where, frame, format=format, notes=notes, facts=facts)
    text = decode(raw, where, Encoding(fallback=WINDOWS) if tolerant else encoding)
    note = encoding.note(raw)
    del raw
    _refuse_text(text, where)
    table = _table_of_text(text, where, set(columns.named.values()), tolerant=tolerant, beside=beside, headed=headed)
    return table if note is None else replace(table, notes=(f"{where}: {note}", *table.notes))


def _table_of_text(text: bytes, where: str, wanted: set[str], *, tolerant: bool, beside: bool, headed: bool) -> Table:
    """Read decoded text of any form. wanted: names of columns; the others as in `read_table`."""
    if is_json(text):
        frame, format, notes = read_json(text, where)
        return Table(where, frame, format=format, notes=notes, numbered=_is_numbered(frame))
    if not headed and is_netflix(text):
        frame, lines = read_netflix(text, where)
        return Table(where, frame, lines, format="Netflix")
    if not wanted and not tolerant and not headed and is_adjacency_text(text, beside=beside):
        return Table(where, read_adjacency_text(text, where), format="adjacency text", notes=(NOTE,))
    table = read_text(text, where, wanted, tolerant=tolerant, headed=headed)
    return Table(where, table.frame, table.lines, not table.has_header, "text", table.faults, table.dropped)


def holds_adjacency_text(raw: bytes, where: str) -> bool:
    """Whether a file's bytes are unmistakably adjacency text: then the other parts of its split may be too."""
    raw = unpack(raw, where)
    return b"\0" not in raw[:512] and is_adjacency_text(raw)


def as_table(table: Any, where: str) -> Table:  # noqa: ANN401 - any table
    """A table in memory (polars, pandas, Arrow, a dict of columns), without other libraries. Raises DataError."""
    return Table(where, as_frame(table), format="table")


def concatenated(tables: Sequence[Table], where: str) -> Table:
    """Tables of the same columns, one below the other; a column that is text in one of them becomes text in all.

    Raises DataError if their columns differ, or the types of one column cannot be brought together.
    """
    names = tables[0].frame.columns
    for table in tables[1:]:
        if set(table.frame.columns) != set(names):
            raise DataError(f"{table.where} has other columns than {tables[0].where}; give files of one kind")
    frames = [table.frame.select(names) for table in tables]
    mixed = [name for name in names if len({frame.schema[name] == pl.String for frame in frames}) > 1]
    try:
        frame = pl.concat(
            [frame.with_columns(pl.col(mixed).cast(pl.String)) for frame in frames], how="vertical_relaxed"
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{where}: its files have columns of different types ({first_line(error)})") from None
    return replace(tables[0], where=where, frame=frame, lines=None, parts=tuple(tables))


def _refuse_text(text: bytes, where: str) -> None:
    head = text[:500].decode("utf-8", "replace")
    for pattern, sentence in _NOT_TABLES.items():
        if re.match(pattern, head):
            raise DataError(f"{where} {sentence}")


def _is_numbered(frame: pl.DataFrame) -> bool:
    return frame.columns == [str(number + 1) for number in range(frame.width)]

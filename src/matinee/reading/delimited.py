"""Delimited text: sniff the delimiter, quotes and header, and read columns of text with their line numbers."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

import polars as pl

from matinee.errors import DataError
from matinee.reading.columns import PERSONAL_NAMES, columns_named, is_header, recognise
from matinee.reading.prelude import Prelude, read_prelude
from matinee.reading.tolerant import Fault, tolerant_rows

_BLANKS = "  "
"""Runs of blanks and tabs between columns, as in columns that are aligned."""
SEPARATORS = ("::", "\t", ";", "|", ",", " ", _BLANKS)
"""Candidates in order of preference."""
HEADER_WITHIN = 10
"""A tolerant reader looks for the header in so many lines."""
_OF_MOVIES = {"item", "title", "imdb", "tmdb"}
_SAMPLE_BYTES, _SAMPLE_LINES = 65_536, 100
_UNIT = "\x1f"
"""ASCII's unit separator replaces `::`, because CSV readers take a single byte."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text cells, null if blank.

    lines: [N], the line number of each row in the file, from 1. faults: rows that are left out, where any may be.
    dropped: lines that are no rows, by reason.
    """

    frame: pl.DataFrame
    has_header: bool
    lines: pl.Series
    faults: tuple[Fault, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a text is a table.

    raw: its rows, the header among them. separator: one byte. names: of the columns, numbers if there are none.
    n_header: the lines of the header in raw, 0 without one. skipped: lines that are left out before it.
    """

    prelude: Prelude
    raw: bytes
    separator: str
    quoted: bool
    names: list[str]
    n_header: int
    skipped: int = 0

    @property
    def header(self) -> int:
        """How many rows the header is: 1, or 0 without one."""
        return min(self.n_header, 1)

    def lines(self, lines: pl.Series) -> pl.Series:
        """Line numbers [N] in raw, from 1, as line numbers in the file."""
        return self.prelude.lines(lines + self.skipped)

    def line(self, number: int) -> int:
        """The same of one line."""
        return int(self.lines(pl.Series([number]))[0])


def read_text(raw: bytes, where: str, wanted: set[str], *, tolerant: bool = False, headed: bool = False) -> TextTable:
    """Read a table from decoded text. wanted: names of columns that make the first row a header.

    tolerant: leave out rows that cannot be read, as faults, and look for the header in the first lines. headed: the
    first row is the header, whatever it holds.
    Raises DataError if the table is empty, has no delimiter or, unless tolerant, has rows longer than the first.
    """
    prelude = read_prelude(raw)
    if not prelude.raw[:_SAMPLE_BYTES].strip() and not prelude.raw.strip():  # stripping copies the whole
        raise DataError(f"{where} is empty; a log has a line for each event: user, item, value, time")
    layout = (_tolerant_layout(prelude) if tolerant else None) or _layout(prelude, where, wanted, headed)
    faults: tuple[Fault, ...] = ()
    if tolerant:
        frame, lines, faults = _tolerant_frame(layout)
    else:
        frame = _frame(layout, where)
        lines = layout.lines(_lines(layout, frame))
    blank = _blank_rows(frame)
    if blank is not None:
        frame, lines = frame.filter(~blank), lines.filter(~blank)
    dropped = {"comments": prelude.comments, "lines before the header": layout.skipped}
    named = layout.names != _numbers(len(layout.names))
    return TextTable(frame, named, lines, faults, {reason: n for reason, n in dropped.items() if n})


def sniff(raw: bytes, where: str, headed: bool = False) -> str:
    """The delimiter of decoded text: the one that gives most of the first lines as many fields as the first line.

    headed: the text is a table with a header, not a log. Raises DataError if there is none.
    """
    best, best_score = "", (0.0, 0)
    most = (0.0, 0, 0)
    head = _head(raw)
    for candidate in SEPARATORS:
        if candidate.isspace() and candidate != "\t" and best.strip(" "):
            continue  # blanks stand inside the cells of a table with another separator
        text, separator = _single_byte(head, candidate)
        rows = [row for row in islice(_records(text, separator, True), _SAMPLE_LINES) if row]
        widths = Counter(map(len, rows))
        width = len(rows[0]) if rows else 0
        score = (round(widths[width] / len(rows), 1), width) if width > 1 else (0.0, 0)
        if score > best_score:
            best, best_score = candidate, score
        [(usual, n_usual)] = widths.most_common(1) or [(0, 0)]
        most = max(most, (round(n_usual / len(rows), 1), usual, width) if usual > 1 else most)
    if best_score[0] < 0.5 < most[0]:
        _, usual, width = most
        raise DataError(f"{where}, line 1: it has {width} fields, but most lines have {usual}; fix it or drop it")
    if best_score[0] < 0.5:  # most lines do not fit: running text, or a ragged list
        wanted = "a header such as id, title, genres and a line for each item" if headed else "user, item, value, time"
        raise DataError(
            f"{where}, line 1: no separator gives columns (tried :: tab ; | , space); "
            f"write {wanted} with one of them between"
        )
    return best


def _layout(prelude: Prelude, where: str, wanted: set[str], headed: bool) -> _Layout:
    separator = prelude.separator or (_BLANKS if prelude.konect else sniff(prelude.raw, where, headed))
    raw, separator = _single_byte(prelude.raw, separator)
    quoted = _has_quotes(raw, separator)
    first, *following = islice(_records(_head(raw), separator, quoted), 2)
    commented = _names_in_comment(prelude.names, len(first))
    header = headed or (not commented and is_header(first, following[0] if following else [], wanted))
    names = (commented if not headed else []) or (first if header else _numbers(len(first)))
    return _Layout(prelude, raw, separator, quoted, _unique(names), _n_lines(first) if header else 0)


def _tolerant_layout(prelude: Prelude) -> _Layout | None:
    """The layout by the first line that names an item or a title among its columns; None without one."""
    head = _head(prelude.raw)
    for skipped, line in enumerate(head.split(b"\n")[:HEADER_WITHIN]):
        readings = []
        for candidate in [prelude.separator] if prelude.separator else SEPARATORS[:-2]:
            text, separator = _single_byte(line, candidate)
            cells = next(iter(_records(text, separator, True)), [])
            fields = {field for field, known in PERSONAL_NAMES.items() if columns_named(cells, known)}
            readings.append((fields, candidate, cells))
        fields, candidate, cells = max(readings, key=lambda reading: len(reading[0]))
        if fields & _OF_MOVIES:
            raw = prelude.raw.split(b"\n", skipped)[-1]
            raw, separator = _single_byte(raw, candidate)
            return _Layout(prelude, raw, separator, True, _unique(cells), 1, skipped)
    return None


def _single_byte(raw: bytes, separator: str) -> tuple[bytes, str]:
    """The text with a separator of one byte, and that separator."""
    if separator == "::":
        return raw.replace(b"::", _UNIT.encode()), _UNIT
    if separator != _BLANKS:
        return raw, separator
    raw = raw.replace(b"\t", b" ")
    while b"  " in raw:
        raw = raw.replace(b"  ", b" ")
    return raw.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" "), " "


def _names_in_comment(comment: str, width: int) -> list[str]:
    """The names of the columns, where the comment above a table gives them; otherwise empty."""
    for separator in (*SEPARATORS[1:-2], None):
        cells = [cell.strip() for cell in comment.split(separator)]
        if len(cells) == width and {"user", "item"} <= recognise(cells).keys():
            return cells
    return []


def _head(raw: bytes) -> bytes:
    """A sample of whole lines from the start."""
    if len(raw) <= _SAMPLE_BYTES:
        return raw
    head = raw[:_SAMPLE_BYTES]
    return head[: head.rfind(b"\n") + 1] or head


class _Records(Protocol):
    """The part of csv.reader that is used here: rows, and the line on which the last one ended."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...


def _records(raw: bytes, separator: str, quoted: bool, strict: bool = False) -> _Records:
    """Python's csv reader: slow, but it knows line numbers."""
    text = io.StringIO(raw.decode("utf-8", errors="replace"), newline="")
    if quoted:
        return csv.reader(text, delimiter=separator, strict=strict)
    return csv.reader(text, delimiter=separator, quoting=csv.QUOTE_NONE)


def _has_quotes(raw: bytes, separator: str) -> bool:
    """Whether any field begins with a quote; otherwise quotes are plain characters, as in `5" disk`."""
    if b'"' not in raw:
        return False
    return raw[:1] == b'"' or b'\n"' in raw or separator.encode() + b'"' in raw


def _unique(names: Sequence[str]) -> list[str]:
    """Stripped header names; a repeated or blank one gets its column number as a suffix."""
    unique: list[str] = []
    for number, name in enumerate(names, start=1):
        plain = name.strip()
        unique.append(plain if plain and plain not in unique else f"{plain}#{number}")
    return unique


def _frame(layout: _Layout, where: str) -> pl.DataFrame:
    """Read every column as text with polars; if it fails, with the slow reader, which accepts it or names the line."""
    try:
        return _by_polars(layout)
    except pl.exceptions.PolarsError:
        return _of_rows(_checked_rows(layout, where)[layout.header :], layout.names)


def _by_polars(layout: _Layout) -> pl.DataFrame:
    if layout.quoted and layout.raw.count(b'"') % 2:
        raise pl.exceptions.ComputeError("an unpaired quote")
    return pl.read_csv(
        layout.raw,
        has_header=False,
        separator=layout.separator,
        quote_char='"' if layout.quoted else None,
        schema=dict.fromkeys(layout.names, pl.String),
    ).slice(layout.header)


def _tolerant_frame(layout: _Layout) -> tuple[pl.DataFrame, pl.Series, tuple[Fault, ...]]:
    if b'"' not in layout.raw:  # then only the number of cells can be wrong, and polars refuses that
        plain = replace(layout, quoted=False)
        with suppress(pl.exceptions.PolarsError):
            frame = _by_polars(plain)
            return frame, layout.lines(_lines(plain, frame)), ()
    text = layout.raw.decode("utf-8", "replace")
    rows, lines, faults = tolerant_rows(text, layout.separator, len(layout.names))
    frame = _of_rows(rows[layout.header :], layout.names)
    numbers = layout.lines(pl.Series(lines[layout.header :], dtype=pl.Int64))
    return frame, numbers, tuple(replace(fault, line=layout.line(fault.line)) for fault in faults)


def _of_rows(rows: Sequence[Sequence[str]], names: Sequence[str]) -> pl.DataFrame:
    """Rows of at most as many cells as there are names; blank cells are null."""
    width = len(names)
    full = (row if len(row) == width else [*row, *[""] * (width - len(row))] for row in rows)
    frame = pl.DataFrame(list(zip(*full, strict=True)) or None, schema=dict.fromkeys(names, pl.String), orient="col")
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()))


def _checked_rows(layout: _Layout, where: str) -> list[list[str]]:
    """Read all records. Raises DataError for a record with too many fields, or an unclosed quote."""
    reader, line = _records(layout.raw, layout.separator, layout.quoted, strict=True), 1
    width = len(layout.names)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if len(row) > width:
                raise DataError(
                    f"{where}, line {layout.line(line)}: {len(row)} fields, but the first line has {width}; "
                    "quote fields that contain the separator, or fix the line"
                )
            rows.append(row)
            line = reader.line_num + 1
    except csv.Error as error:
        unclosed = "end of data" in str(error) or "field limit" in str(error)
        problem = "a quote is opened but never closed" if unclosed else f"broken quotes ({error})"
        line = layout.line(line)
        raise DataError(f"{where}, line {line}: {problem}; close it, or double a quote that is a character") from None
    return rows


def _lines(layout: _Layout, frame: pl.DataFrame) -> pl.Series:
    """The line in raw on which each row begins. [N]."""
    lines = pl.int_range(layout.n_header + 1, layout.n_header + 1 + len(frame), eager=True)
    if not layout.quoted or layout.raw.count(b"\n") + (layout.raw[-1:] != b"\n") == len(frame) + layout.n_header:
        return lines
    breaks = pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True).fill_null(0))  # line breaks in quotes
    return lines + frame.select(breaks.cum_sum().shift(1, fill_value=0).cast(pl.Int64)).to_series()


def _n_lines(cells: Sequence[str]) -> int:
    return 1 + sum(cell.count("\n") for cell in cells)


def _numbers(width: int) -> list[str]:
    return [str(number + 1) for number in range(width)]


def _blank_rows(frame: pl.DataFrame) -> pl.Series | None:
    """Whether each row is entirely blank; None if no row starts with a blank cell."""
    first = frame.to_series(0).str.strip_chars()
    if first.null_count() == 0 and (first != "").all():
        return None
    blank = pl.all_horizontal(pl.all().str.strip_chars().fill_null("") == "")
    return frame.select(blank.alias("blank")).to_series()

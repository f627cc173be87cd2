"""Delimited text: sniff the delimiter, quotes and header, and read columns of text with their line numbers."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import polars as pl

from matinee.errors import DataError

SEPARATORS = ("::", "\t", ";", "|", ",", " ")
"""Candidates in order of preference."""
_SAMPLE_BYTES, _SAMPLE_LINES = 65_536, 100
_UNIT = "\x1f"
"""ASCII's unit separator replaces `::`, because CSV readers take a single byte."""
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text cells, null if blank.

    lines: [N], the line number of each row in the file, from 1.
    """

    frame: pl.DataFrame
    has_header: bool
    lines: pl.Series

    def locate(self, row: int) -> str:
        """`line 7`."""
        return f"line {self.lines[row]}"


def decode(raw: bytes, where: str, *, latin1: bool = False) -> bytes:
    r"""Re-encode a file's bytes as UTF-8 without a byte-order mark, lines ending in \n.

    latin1: read invalid UTF-8 as Latin-1, the encoding of the older MovieLens. Raises DataError if it is not text.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raw = _recode(raw, "utf-16", where)
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        raise DataError(f"{where} is not text (a zero byte on line {line}); give a CSV, TSV or Parquet table")
    if not raw.isascii():
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if not latin1:
                line = raw.count(b"\n", 0, error.start) + 1
                raise DataError(
                    f"{where}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
                ) from None
            raw = _recode(raw, "latin-1", where)
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw


def read_text(raw: bytes, where: str, is_header: Callable[[list[str], list[str]], bool]) -> TextTable:
    """Read a table from decoded text. is_header(first, second) decides whether the first row is a header.

    Raises DataError if the table is empty, has no delimiter, or has rows longer than the first.
    """
    raw = raw.lstrip(b"\n") if (leading := _leading_blank_lines(raw)) else raw
    if not raw.strip():
        raise DataError(f"{where} is empty; a log has a line for each event: user, item, value, time")
    separator = sniff(raw, where)
    quoted = _has_quotes(raw, separator)
    if separator == "::":
        raw, separator = raw.replace(b"::", _UNIT.encode()), _UNIT
    sample = list(islice(_records(_head(raw), separator, quoted), 2))
    header = is_header(sample[0], sample[1] if len(sample) > 1 else [])
    names = _unique(sample[0]) if header else [str(number + 1) for number in range(len(sample[0]))]
    frame = _frame(raw, where, separator, quoted, names, header)
    lines = _lines(raw, separator, quoted, header, len(frame)) + leading
    blank = _blank_rows(frame)
    if blank is not None:
        frame, lines = frame.filter(~blank), lines.filter(~blank)
    return TextTable(frame, header, lines)


def sniff(raw: bytes, where: str) -> str:
    """The delimiter of decoded text: the one that gives most of the first lines as many fields as the first line."""
    best, best_score = "", (0.0, 0)
    for separator in SEPARATORS:
        text = raw.replace(b"::", _UNIT.encode()) if separator == "::" else raw
        delimiter = _UNIT if separator == "::" else separator
        rows = [row for row in islice(_records(_head(text), delimiter, True), _SAMPLE_LINES) if row]
        widths = Counter(map(len, rows))
        width = len(rows[0]) if rows else 0
        score = (round(widths[width] / len(rows), 1), width) if width > 1 else (0.0, 0)
        if score > best_score and not (separator == " " and best):
            best, best_score = separator, score
    if best_score[0] < 0.5:  # most lines do not fit: running text, or a ragged list
        raise DataError(
            f"{where}, line 1: no separator gives columns (tried :: tab ; | , space); "
            "write user, item, value, time with one of them between"
        )
    return best


def is_number(cell: str) -> bool:
    """Whether a cell is a decimal number."""
    return bool(_NUMBER.match(cell))


def _recode(raw: bytes, encoding: str, where: str) -> bytes:
    try:
        return raw.decode(encoding).encode()
    except UnicodeDecodeError:
        raise DataError(f"{where} begins like {encoding} text but is not; save the file as UTF-8 text") from None


def _leading_blank_lines(raw: bytes) -> int:
    return len(raw) - len(raw.lstrip(b"\n"))


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


def _frame(raw: bytes, where: str, separator: str, quoted: bool, names: list[str], header: bool) -> pl.DataFrame:
    """Read every column as text with polars; if it fails, with the slow reader, which accepts it or names the line."""
    try:
        if quoted and raw.count(b'"') % 2:
            raise pl.exceptions.ComputeError("an unpaired quote")
        return pl.read_csv(
            raw,
            has_header=False,
            separator=separator,
            quote_char='"' if quoted else None,
            schema=dict.fromkeys(names, pl.String),
        ).slice(1 if header else 0)
    except pl.exceptions.PolarsError:
        rows = _checked_rows(raw, where, separator, quoted, len(names))
        padded = ([cell or None for cell in row] + [None] * (len(names) - len(row)) for row in rows)
        columns: Iterable[Sequence[str | None]] = zip(*islice(padded, int(header), None), strict=True)
        return pl.DataFrame(list(columns) or None, schema=dict.fromkeys(names, pl.String), orient="col")


def _checked_rows(raw: bytes, where: str, separator: str, quoted: bool, width: int) -> list[list[str]]:
    """Read all records. Raises DataError for a record with too many fields, or an unclosed quote."""
    reader, line = _records(raw, separator, quoted, strict=True), 1
    rows: list[list[str]] = []
    try:
        for row in reader:
            if len(row) > width:
                raise DataError(
                    f"{where}, line {line}: {len(row)} fields, but the first line has {width}; "
                    "quote fields that contain the separator, or fix the line"
                )
            rows.append(row)
            line = reader.line_num + 1
    except csv.Error as error:
        unclosed = "end of data" in str(error) or "field limit" in str(error)
        problem = "a quote is opened but never closed" if unclosed else f"broken quotes ({error})"
        raise DataError(f"{where}, line {line}: {problem}; close it, or double a quote that is a character") from None
    return rows


def _lines(raw: bytes, separator: str, quoted: bool, header: bool, n_rows: int) -> pl.Series:
    first = 2 if header else 1
    if not quoted or raw.count(b"\n") + (raw[-1:] != b"\n") == n_rows + int(header):
        return pl.int_range(first, first + n_rows, eager=True)
    reader, line = _records(raw, separator, quoted), 1  # line breaks inside quotes: count them
    lines: list[int] = []
    for _ in reader:
        lines.append(line)
        line = reader.line_num + 1
    return pl.Series(lines[int(header) :], dtype=pl.Int64)


def _blank_rows(frame: pl.DataFrame) -> pl.Series | None:
    """Whether each row is entirely blank; None if no row starts with a blank cell."""
    first = frame.to_series(0).str.strip_chars()
    if first.null_count() == 0 and (first != "").all():
        return None
    blank = pl.all_horizontal(pl.all().str.strip_chars().fill_null("") == "")
    return frame.select(blank.alias("blank")).to_series()

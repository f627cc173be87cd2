"""Tables of any format: a file's bytes or a table in memory as one frame whose rows have a place."""

import gzip
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from matinee.config import ColumnsConfig
from matinee.errors import DataError
from matinee.reading.columns import SNIFFED, is_header
from matinee.reading.delimited import decode, read_text


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table, and what reading it took.

    where: its name in messages. frame: [N, columns]; cells of a text table are text, null if blank; others keep their
    types. lines: [N], the line of each row in the file from 1, or None where the format has no lines. numbered: the
    columns are numbered for want of a header. format: what the file is, such as `Parquet`. notes: sentences on what
    reading took or changed.
    """

    where: str
    frame: pl.DataFrame
    lines: pl.Series | None = None
    numbered: bool = False
    format: str = "text"
    notes: tuple[str, ...] = ()

    def locate(self, row: int) -> str:
        """The place of a row in the file: `line 7`, or `row 7`."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a read took of a table, to show to its user.

    where: the table's name. format: `text`, `Parquet`, ... roles: the column of each role (user, item, value, at).
    unused: the other columns. dropped: rows left out, by reason. notes: one sentence each.
    """

    where: str
    format: str
    roles: Mapping[str, str]
    unused: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_table(raw: bytes, where: str, columns: ColumnsConfig = SNIFFED, *, latin1: bool = False) -> Table:
    """Read a table from a file's bytes: delimited text or Parquet, optionally gzipped. Raises DataError."""
    wanted = set(columns.named.values())
    raw = _unzipped(raw, where)
    if raw[:4] == b"PAR1":
        try:
            return Table(where, pl.read_parquet(io.BytesIO(raw)), format="Parquet")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{where} is damaged Parquet ({_first_line(error)}); write or copy it again") from None
    text = read_text(decode(raw, where, latin1=latin1), where, lambda first, next_: is_header(first, next_, wanted))
    return Table(where, text.frame, text.lines, numbered=not text.has_header)


def as_table(table: Any, where: str) -> Table:  # noqa: ANN401 - any table
    """A table in memory (polars, pandas, Arrow, a dict of columns), without other libraries. Raises DataError."""
    return Table(where, _as_frame(table), format="table")


def _as_frame(table: Any) -> pl.DataFrame:  # noqa: ANN401 - any table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if isinstance(table, pl.DataFrame):
        return table
    named = table if isinstance(table, Mapping) else getattr(table, "column_names", getattr(table, "columns", ()))
    names = list(named)
    if not names:
        raise DataError(f"{type(table).__name__} is not a table; give polars, pandas, Arrow or a dict of columns")
    try:
        return pl.DataFrame([_series(str(name), table[name]) for name in names])
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the table cannot be read: {_first_line(error)}; give columns of equal length, each of one type"
        ) from None


def _series(name: str, column: Any) -> pl.Series:  # noqa: ANN401 - a column of any library
    """Convert a column by way of numpy; missing values of any kind become null."""
    if isinstance(column, pl.Series):
        return column.alias(name)
    values = np.asarray(column)
    if values.dtype.kind == "M":
        return pl.Series(name, values.astype("datetime64[us]"))
    if values.dtype.kind in "biuf":
        return pl.Series(name, values)
    cells = [None if cell is None or cell != cell else cell for cell in values.tolist()]  # cell != cell: NaN
    try:
        return pl.Series(name, cells, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if cell is None else str(cell) for cell in cells], dtype=pl.String)


def _unzipped(raw: bytes, where: str) -> bytes:
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where} is damaged gzip ({error}); download or copy it again") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]

"""Tables as logs: delimited text, Parquet and data frames, their columns and cell types."""

import gzip
import io
import time
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray
from matinee.config import ColumnsConfig
from matinee.data.columns import SNIFFED, find_roles, is_header, numbered_roles, plain_name
from matinee.data.delimited import decode, read_text
from matinee.data.log import (
    Locate,
    Log,
    Repeats,
    Titles,
    assemble,
    check_scale,
    check_times,
    check_values,
    titles_of,
)
from matinee.data.timestamps import MICROS, to_micros
from matinee.dataset import Dataset
from matinee.errors import DataError
from matinee.histories import Instant

_INTEGER = r"^(0|-?[1-9]\d{0,17})$"
"""`007` is not a match: as a number it would be a different id."""
_MISSING = ("nan", "NaN")


def read_log(raw: bytes, where: str, columns: ColumnsConfig, now: Instant, *, latin1: bool = False) -> Log:
    """Read a log from a file's bytes: delimited text or Parquet, optionally gzipped. Raises DataError."""
    frame, locate, numbered = read_frame(raw, where, columns, latin1=latin1)
    return log_of(frame, where, columns, now, locate=locate, numbered=numbered)


def read_frame(
    raw: bytes, where: str, columns: ColumnsConfig = SNIFFED, *, latin1: bool = False
) -> tuple[pl.DataFrame, Locate, bool]:
    """Read a table. Returns it, a function that locates a row, and whether its columns are numbered for want of names.

    Cells of a text table are text, null if blank; Parquet keeps its types. Raises DataError.
    """
    wanted = set(columns.model_dump(exclude_none=True).values())
    raw = _unzipped(raw, where)
    if raw[:4] == b"PAR1":
        try:
            return pl.read_parquet(io.BytesIO(raw)), _row, False
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"{where} is damaged Parquet ({_first_line(error)}); write or copy it again") from None
    table = read_text(decode(raw, where, latin1=latin1), where, lambda first, next_: is_header(first, next_, wanted))
    return table.frame, table.locate, not table.has_header


def events_from_frame(
    frame: Any,  # noqa: ANN401 - any table: polars, pandas, Arrow, dict of arrays
    columns: ColumnsConfig = SNIFFED,
    *,
    name: str = "events",
    repeats: Repeats = "last",
    now: Instant | None = None,
) -> Dataset:
    """Build a data set from a table in memory: polars, pandas, Arrow, or a dict of columns.

    Columns that `columns` leaves out are recognised by name, including optional titles and genres.
    now: times more than a day later are an error, by default the current time. Raises DataError.
    """
    now = int(time.time()) if now is None else now
    log = log_of(as_frame(frame), name, columns.model_copy(update={"scale": None}), now)
    return assemble(check_scale(log, columns.scale), name, repeats=repeats)


def as_frame(table: Any) -> pl.DataFrame:  # noqa: ANN401 - any table
    """Convert a table to polars, column by column, so that no other library is a dependency. Raises DataError."""
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


def log_of(
    frame: pl.DataFrame,
    where: str,
    columns: ColumnsConfig,
    now: Instant,
    *,
    locate: Locate | None = None,
    numbered: bool = False,
) -> Log:
    """Convert a table, whose cells may all be text, to a log. Raises DataError with the column and the line."""
    locate = locate or _row
    roles = numbered_roles(frame, where, columns) if numbered else find_roles(frame.columns, where, columns)
    users = _ids(frame[roles["user"]], "user", where, locate)
    items = _ids(frame[roles["item"]], "item", where, locate)
    values = _values(frame[roles["value"]], where, locate) if "value" in roles else None
    titles = _titles(frame, items, set(roles.values()))
    if "at" not in roles:
        return Log(where, users, items, values, None, titles)
    micros, unit = _micros(frame[roles["at"]], where, locate)
    times: IntArray = micros // MICROS
    check_times(where, times, now, locate)
    notes = () if unit in ("seconds", "dates") else (f"times in {unit} were truncated to seconds",)
    if len(times) and (micros % MICROS).any():  # sort now: truncation loses the order within a second
        order = np.argsort(micros, kind="stable")
        users, items, times = users[order], items[order], times[order]
        values = None if values is None else values[order]
    return Log(where, users, items, values, times, titles, notes)


def _ids(column: pl.Series, role: str, where: str, locate: Locate) -> pl.Series:
    """Ids as Int64 if all are whole numbers, otherwise as text, unchanged."""
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        if (whole == column).all():  # pandas stores integers with missing values as floats
            column = whole
    if column.dtype.is_integer() and column.dtype != pl.UInt64:
        _require_cells(column.is_null(), column, role, where, locate)
        return column.cast(pl.Int64)
    text = column.cast(pl.String)
    plain = text.str.strip_chars()
    _require_cells(text.is_null() | (plain == "") | plain.is_in(_MISSING), text, role, where, locate)
    if len(text) and plain.head(100).str.contains(_INTEGER).all() and plain.str.contains(_INTEGER).all():
        return plain.cast(pl.Int64)
    if len(text) and text.str.starts_with(" ").all():
        return text.str.strip_prefix(" ")  # in `a, b, c` the space belongs to the separator
    return text


def _values(column: pl.Series, where: str, locate: Locate) -> FloatArray:
    numbers = column
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        text = column.cast(pl.String)
        numbers = text.str.strip_chars().cast(pl.Float64, strict=False)
        _require_cells(text.is_null() | (text.str.strip_chars() == ""), text, "value", where, locate)
        _require_cells(numbers.is_null(), text, "value", where, locate)
    _require_cells(numbers.is_null(), numbers, "value", where, locate)
    values = numbers.cast(pl.Float32).to_numpy()
    check_values(where, values, locate)
    return values


def _micros(column: pl.Series, where: str, locate: Locate) -> tuple[IntArray, str]:
    micros, unit = to_micros(column)
    _require_cells(micros.is_null(), column, "time", where, locate)
    return micros.to_numpy(), unit


def _require_cells(bad: pl.Series, column: pl.Series, role: str, where: str, locate: Locate) -> None:
    """Raise DataError for the first bad cell of a column."""
    if not bad.any():
        return
    index = bad.arg_max() or 0
    cell = column[index]
    location = f"{where}, {locate(index)}"
    if cell is None or (isinstance(cell, str) and cell.strip() in ("", *_MISSING)):
        raise DataError(f"{location}: no {role} ({cell or 'blank'}); fill it in or drop the line")
    kinds = {"value": "number", "time": "time (seconds since 1970, or ISO such as 2016-10-16T17:57:24)"}
    raise DataError(f"{location}: the {role} {cell!r} is not a {kinds.get(role, role)}; fix it or drop the line")


def _titles(frame: pl.DataFrame, items: pl.Series, taken: set[str]) -> Titles | None:
    """Titles from a log's own column, the first of each item; None without one."""
    columns = {plain_name(name): name for name in reversed(frame.columns) if name not in taken}
    if "title" not in columns:
        return None
    genres = pl.col(columns["genres"]).cast(pl.String) if "genres" in columns else pl.lit(None, pl.String)
    known = frame.select(items.alias("id"), title=pl.col(columns["title"]).cast(pl.String), genres=genres)
    return titles_of(known.unique("id", keep="first", maintain_order=True))


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


def _row(index: int) -> str:
    return f"row {index + 1}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]

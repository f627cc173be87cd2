"""Columns of ids, values and times, from cells of any type. Each refuses the first bad cell by its place."""

from collections.abc import Callable

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray
from matinee.errors import DataError
from matinee.reading.timestamps import to_micros

Locate = Callable[[int], str]
"""From the index of a row in its table to its place, such as `line 7`."""
_INTEGER = r"^(0|-?[1-9]\d{0,17})$"
"""`007` is not a match: as a number it would be a different id."""
_MISSING = ("nan", "NaN")


def read_ids(column: pl.Series, role: str, where: str, locate: Locate) -> pl.Series:
    """Ids as Int64 if all are whole numbers, otherwise as text, unchanged. Raises DataError for a missing one."""
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


def read_values(column: pl.Series, where: str, locate: Locate) -> FloatArray:
    """Values [N]. Raises DataError for a cell that is not a finite number."""
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


def read_micros(column: pl.Series, where: str, locate: Locate) -> tuple[IntArray, str]:
    """Times [N] in microseconds UTC, and the name of their unit. Raises DataError for a cell that is not a time."""
    micros, unit = to_micros(column)
    _require_cells(micros.is_null(), column, "time", where, locate)
    return micros.to_numpy(), unit


def check_values(where: str, values: FloatArray, locate: Locate) -> None:
    """Raise DataError for the first value that is not finite."""
    finite = np.isfinite(values)
    if not finite.all():
        index = int(np.argmin(finite))
        raise DataError(f"{where}, {locate(index)}: the value is {values[index]}; give a number or drop the line")


def check_times(where: str, times: IntArray, now: int, locate: Locate) -> None:
    """Raise DataError for the first time before 1970 or more than a day after now."""
    if len(times) == 0:
        return
    if times.min() < 0:
        index = int(np.argmax(times < 0))
        raise DataError(f"{where}, {locate(index)}: the time {times[index]} is negative; times count from 1970 on")
    if times.max() > now + 86_400:  # a day of tolerance for fast clocks and time zones
        index = int(np.argmax(times > now + 86_400))
        time = str(np.datetime64(int(min(times[index], 2**38)), "s")).replace("T", " ")
        raise DataError(f"{where}, {locate(index)}: the time {time} is in the future; fix it or drop the line")


def blank_cells(column: pl.Series) -> pl.Series:
    """Whether each cell is missing: null, NaN, or text of blanks or `nan`. [N]."""
    if column.dtype.is_float():
        return column.is_null() | column.is_nan().fill_null(True)
    if column.dtype != pl.String:
        return column.is_null()
    plain = column.str.strip_chars()
    return column.is_null() | (plain == "") | plain.is_in(_MISSING)


def _require_cells(bad: pl.Series, column: pl.Series, role: str, where: str, locate: Locate) -> None:
    """Raise DataError for the first bad cell of a column."""
    if not bad.any():
        return
    index = bad.arg_max() or 0
    cell = column[index]
    location = f"{where}, {locate(index)}"
    if cell is None or (isinstance(cell, str) and cell.strip() in ("", *_MISSING)):
        n_more = int(blank_cells(column).sum()) - 1
        flag = {"time": "at"}.get(role, role)
        which = f", and none on {n_more:,} more lines" if n_more > 0 else ""
        lines, other = ("these lines", f", or name another column (--{flag})") if n_more > 0 else ("the line", "")
        raise DataError(
            f"{location}: no {role} ({cell or 'blank'}){which}; fill it in or drop {lines} "
            f"(--drop-blank true does){other}"
        )
    kinds = {"value": "number", "time": "time (seconds since 1970, or ISO such as 2016-10-16T17:57:24)"}
    raise DataError(f"{location}: the {role} {cell!r} is not a {kinds.get(role, role)}; fix it or drop the line")

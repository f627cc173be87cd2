"""Columns of ids, values and times, from cells of any type. Each refuses the first bad cell by its place."""

from collections.abc import Callable

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray
from matinee.errors import DataError
from matinee.reading.numbers import MISSING, to_numbers
from matinee.reading.timestamps import to_micros

Locate = Callable[[int], str]
"""From the index of a row in its table to its place, such as `line 7`."""
_LARGEST = 10**18
_WHOLE = r"^(0|-?[1-9]\d{0,17})(\.0+)?$"
"""Whole numbers below `_LARGEST`. `007` is not a match: as a number it would be a different id."""
_ROUNDED = r"^-?\d(\.\d+)?[eE]\+?\d+$"
_NARROW = (pl.Int8, pl.Int16, pl.Int32)
"""Types of ids that stay as they are: a wider copy of a long column would be most of what reading holds."""
_EXACT = 2**53
"""From here on floats skip whole numbers."""


def read_ids(column: pl.Series, role: str, where: str, locate: Locate) -> tuple[pl.Series, tuple[str, ...]]:
    """Ids [N] as integers if all are whole numbers (`101.0` is 101), else as text without blanks around; and notes.

    Raises DataError for a missing one, and for a column of lists or objects.
    """
    refuse_type(column, role, where)
    if column.dtype.is_float():
        return _float_ids(column, role, where, locate)
    if column.dtype.is_integer():
        require_cells(column.is_null(), column, role, where, locate)
        if column.dtype in _NARROW:
            return column, ()
        whole = column.cast(pl.Int64, strict=False)
        return (whole if whole.null_count() == 0 else column.cast(pl.String)), ()
    text, plain = _texts(column)
    if (numbers := _whole(plain)) is not None:
        return numbers, ()
    require_cells(blank_cells(plain), text, role, where, locate)
    notes = [f"blanks around the ids of {role}s were dropped"] if _is_padded(text, plain) else []
    rounded = plain.filter(plain.str.contains("+", literal=True))
    rounded = rounded.filter(rounded.str.contains(_ROUNDED))
    if len(rounded):
        notes.append(_rounded_note(role, rounded[0]))
    return plain, tuple(notes)


def read_values(column: pl.Series, where: str, locate: Locate) -> tuple[FloatArray, tuple[str, ...]]:
    """Values [N] and notes. Raises DataError for a cell that is not a finite number."""
    refuse_type(column, "value", where)
    if isinstance(column.dtype, pl.Date | pl.Datetime | pl.Time):
        raise DataError(f"{where}: the column {column.name!r} holds dates, not values; name another (--value COLUMN)")
    numbers, notes = (column, ()) if column.dtype == pl.Float32 else to_numbers(column, where)
    if numbers.null_count() or numbers.is_nan().any():
        require_cells(blank_cells(column), column, "value", where, locate)
        require_cells(numbers.is_null(), column, "value", where, locate)
    values = numbers.cast(pl.Float32).to_numpy()
    check_values(where, values, locate)
    return values, notes


def read_micros(column: pl.Series, where: str, locate: Locate) -> tuple[IntArray, str]:
    """Times [N] in microseconds UTC, and the name of their unit. Raises DataError for a cell that is not a time."""
    try:
        micros, unit = to_micros(column)
    except DataError as error:
        raise DataError(f"{where}: the column {column.name!r} of times holds {error}") from None
    require_cells(micros.is_null(), column, "time", where, locate)
    return micros.to_numpy(), unit


def refuse_type(column: pl.Series, role: str, where: str) -> None:
    """Raise DataError for a column of lists or objects, and of durations unless they are values."""
    kind = ""
    if column.dtype.is_nested():
        kind = "objects" if isinstance(column.dtype, pl.Struct) else "lists"
    elif role != "value" and isinstance(column.dtype, pl.Duration | pl.Time):
        kind = "durations"
    if kind:
        raise DataError(f"{where}: the column {column.name!r} holds {kind}; give one {role} a row or name another")


def blank_cells(column: pl.Series) -> pl.Series:
    """Whether each cell is null, NaN, blank or a word for nothing. [N]."""
    if column.dtype.is_float():
        return column.is_null() | column.is_nan()
    if column.dtype != pl.String:
        return column.is_null()
    return column.is_null() | column.str.strip_chars().is_in(MISSING)


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


def require_cells(bad: pl.Series, column: pl.Series, role: str, where: str, locate: Locate) -> None:
    """Raise DataError for the first bad cell of a column, with the number of further ones."""
    if not bad.any():
        return
    index = bad.arg_max() or 0
    cell = column[index]
    location = f"{where}, {locate(index)}"
    n_more = int(bad.sum()) - 1
    if cell is None or cell != cell or (isinstance(cell, str) and cell.strip() in MISSING):  # cell != cell: NaN
        shown = "blank" if cell is None else str(cell).strip() or "blank"
        flag = {"time": "at"}.get(role, role)
        which = f", and none on {n_more:,} more lines" if n_more else ""
        lines, other = ("these lines", f", or name another column (--{flag})") if n_more else ("the line", "")
        raise DataError(
            f"{location}: no {role} ({shown}){which}; fill it in or drop {lines} (--drop-blank true does){other}"
        )
    more = f", and {n_more:,} more such lines" if n_more else ""
    kinds = {"value": "number", "time": "time (seconds since 1970, or ISO such as 2016-10-16T17:57:24)"}
    cell = f"{cell[:80]}..." if isinstance(cell, str) and len(cell) > 80 else cell
    raise DataError(f"{location}: the {role} {cell!r} is not a {kinds.get(role, role)}{more}; fix it or drop the line")


def _texts(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """A column as text, and without the blanks around each cell. Bytes that are not UTF-8 become hexadecimal."""
    if column.dtype == pl.Binary:
        try:
            text = column.cast(pl.String)
        except pl.exceptions.ComputeError:
            text = column.bin.encode("hex")
    else:
        text = column.cast(pl.String)
    return text, text.str.strip_chars()


def _float_ids(column: pl.Series, role: str, where: str, locate: Locate) -> tuple[pl.Series, tuple[str, ...]]:
    require_cells(blank_cells(column), column, role, where, locate)
    large = column.filter(column.abs() >= (2**24 if column.dtype == pl.Float32 else _EXACT))
    notes = (_rounded_note(role, large[0]),) if len(large) else ()
    whole = column.cast(pl.Int64, strict=False)
    if whole.null_count() == 0 and (whole.cast(column.dtype) == column).all():
        return whole, notes
    return column.cast(pl.String), notes


def _whole(plain: pl.Series) -> pl.Series | None:
    """Stripped text as Int64, if all of it is whole numbers; otherwise None."""
    if not len(plain) or not plain.head(100).str.contains(_WHOLE).all():
        return None
    numbers = plain.cast(pl.Int64, strict=False)
    if not numbers.null_count():
        odd = plain.filter(plain.str.starts_with("0") | plain.str.starts_with("+") | plain.str.starts_with("-0"))
        if (odd == "0").all() and ((numbers < _LARGEST) & (numbers > -_LARGEST)).all():
            return numbers
    if plain.null_count() or not plain.str.contains(_WHOLE).all():
        return None
    return plain.str.replace(r"\.0+$", "").cast(pl.Int64)


def _is_padded(text: pl.Series, plain: pl.Series) -> bool:
    """Whether cells had blanks around; if all had one before, as in `a, b, c`, it belongs to the separator."""
    return bool((text.str.len_bytes() != plain.str.len_bytes()).any()) and not text.str.starts_with(" ").all()


def _rounded_note(role: str, example: object) -> str:
    return (
        f"ids of {role}s such as {example} look rounded by a spreadsheet or a table of floats: "
        f"different {role}s may have become one; export the ids as text"
    )

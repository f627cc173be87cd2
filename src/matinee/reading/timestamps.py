"""Timestamps as logs write them: epoch seconds, milliseconds, microseconds or nanoseconds, ISO text, other dates."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from matinee.arrays import IntArray
from matinee.errors import DataError, MatineeError
from matinee.reading.date_text import parse_dates

MICROS = 1_000_000
_BLOCK = 2**20
"""Times that are divided at once."""
_SAMPLE = 10_000
"""Times whose median gives the unit."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("seconds", 1e11, 1e6), ("milliseconds", 1e14, 1e3), ("microseconds", 1e17, 1.0), ("nanoseconds", 1e20, 1e-3))
"""Unit, the bound its timestamps stay below until the year 5138, and the microseconds in it."""
_DIGITS = (("%Y%m%d", 19_000_101, 21_001_231), ("%Y%m%d%H%M%S", 19_000_101_000_000, 21_001_231_235_959))
"""Whole numbers in such a range are dates such as 20161016, where each one in the column is."""
_YEARS = (1900, 2100)
"""Whole numbers of a column that all lie between are years."""
_SPREADSHEET_DAYS = (20_000, 60_000)
"""Days since 1900 as spreadsheets count them, of the years 1954 to 2064."""


def to_micros(column: pl.Series) -> tuple[pl.Series, str]:
    """Convert timestamps [N] to UTC microseconds [N] Int64, null if unreadable. Returns them and their unit's name.

    Raises DataError for a column without times: lists, objects, durations, times of day, or dates such as 01/02/2016,
    in which the month may come first or second. Its message is what the column holds, and how to fix it.
    """
    _refuse(column.dtype)
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).cast(pl.Int64), "dates"
    if isinstance(column.dtype, pl.Datetime):
        zoned = column.dt.convert_time_zone("UTC") if column.dtype.time_zone else column
        return zoned.dt.cast_time_unit("us").cast(pl.Int64), "dates"
    if column.dtype.is_numeric():
        return _from_numbers(column.cast(pl.Float64) if column.dtype.is_decimal() else column)
    text = column.cast(pl.String, strict=False).str.strip_chars()
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count() > text.null_count():
        numbers = text.cast(pl.Float64, strict=False)
    if 2 * numbers.null_count() > len(text) + text.null_count():
        return parse_dates(text), "dates"
    return _from_numbers(numbers)


def whole_seconds(micros: IntArray) -> tuple[IntArray, bool]:
    """Microseconds [N] as seconds, rounded down, and whether any were between two seconds. By blocks."""
    seconds, is_split = np.empty_like(micros), False
    for start in range(0, len(micros), _BLOCK):
        block = slice(start, start + _BLOCK)
        np.floor_divide(micros[block], MICROS, out=seconds[block])
        is_split = is_split or bool((seconds[block] * MICROS != micros[block]).any())
    return seconds, is_split


def note_on(unit: str) -> str | None:
    """What to say of times that were read in a unit; None if nothing."""
    if unit == "years":
        return "times are years: each is read as its 1 January, and a year's events keep the order of the file"
    if unit == "seconds like days":
        return "times are read as seconds after 1970-01-01; if they are days of a spreadsheet, save the column as dates"
    return None if unit in ("seconds", "dates") else f"times in {unit} were truncated to seconds"


def parse_time(text: str, where: str) -> int:
    """UTC seconds of an ISO date or time, or of one as logs write it, fractions rounded up; UTC without an offset.

    Raises MatineeError with `where` if the text is not a date or time.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        micros = _parse_one(text.strip())
    else:
        micros = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    if micros is None:
        hint = "an ISO date or time such as 2015-06-30 or 2015-06-30T18:00:00Z"
        raise MatineeError(f"{where} = {text!r} is not a date or time; write {hint}")
    return -(-int(micros) // MICROS)


def _parse_one(text: str) -> int | None:
    try:
        micros: int | None = parse_dates(pl.Series([text], dtype=pl.String))[0]
    except DataError:  # which is the month?
        return None
    return micros


def _refuse(dtype: pl.DataType) -> None:
    if dtype.is_nested():
        raise DataError("lists or objects; give one time a row")
    if isinstance(dtype, pl.Duration | pl.Time):
        raise DataError(f"{'durations' if isinstance(dtype, pl.Duration) else 'times of day'}; give dates or times")


def _from_numbers(column: pl.Series) -> tuple[pl.Series, str]:
    """Whole numbers such as 20161016 are days, others count from 1970.

    The unit is guessed from the median, so that a single outlier does not change all the others.
    """
    if column.dtype.is_float():
        column = column.set(column.is_infinite() | column.is_nan(), None)
    if (dates := _from_digits(column)) is not None:
        return dates, "dates"
    if _all_within(column, _YEARS) and (column.dtype.is_integer() or bool((column.floor() == column).all())):
        years = column.cast(pl.Int64, strict=False)
        return pl.select(pl.datetime(years, 1, 1, time_unit="us").cast(pl.Int64)).to_series(), "years"
    if _all_within(column, _SPREADSHEET_DAYS):
        return (column.cast(pl.Float64) * MICROS).floor().cast(pl.Int64), "seconds like days"
    middle = column.gather_every(len(column) // _SAMPLE + 1).abs().median()
    size = float(middle) if isinstance(middle, (int, float)) else 0.0
    unit, _, micros = next((unit for unit in _UNITS if size < unit[1]), _UNITS[-1])
    if column.dtype.is_integer() and micros >= 1:
        whole = column.cast(pl.Int64, strict=False)
        return whole.clip(-(2**43), 2**43) * int(micros) if micros > 1 else whole, unit
    if column.dtype.is_integer():
        return (column // round(1 / micros)).cast(pl.Int64, strict=False), unit
    return (column.cast(pl.Float64) * micros).floor().cast(pl.Int64, strict=False), unit


def _all_within(column: pl.Series, bounds: tuple[int, int]) -> bool:
    low, high = column.min(), column.max()
    return isinstance(low, int | float) and isinstance(high, int | float) and bounds[0] <= low and high <= bounds[1]


def _from_digits(column: pl.Series) -> pl.Series | None:
    """Microseconds of dates such as 20161016; None if any number is no such date."""
    low, high = column.min(), column.max()
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    form = next((form for form, first, last in _DIGITS if first <= low and high <= last), None)
    if form is None:
        return None
    dates = column.cast(pl.Int64).cast(pl.String).str.to_datetime(form, time_unit="us", strict=False).cast(pl.Int64)
    return dates if dates.null_count() == column.null_count() else None

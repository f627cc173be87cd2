"""Timestamps as logs write them: epoch seconds, milliseconds, microseconds or nanoseconds, or ISO text."""

from datetime import UTC, datetime, timedelta

import polars as pl

from matinee.errors import MatineeError

MICROS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("seconds", 1e11, 1e6), ("milliseconds", 1e14, 1e3), ("microseconds", 1e17, 1.0), ("nanoseconds", 1e20, 1e-3))
"""Unit, the bound its timestamps stay below until the year 5138, and the microseconds in it."""
_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%Y%m%dT%H%M%S%.f",
    "%Y/%m/%dT%H:%M:%S%.f",
    "%Y/%m/%d",
    "%Y%m%d",
)
_ZONE = r"(?i)\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})$"


def to_micros(column: pl.Series) -> tuple[pl.Series, str]:
    """Convert timestamps [N] to UTC microseconds [N] Int64, null if unreadable. Returns them and their unit's name."""
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).cast(pl.Int64), "dates"
    if isinstance(column.dtype, pl.Datetime):
        zoned = column.dt.convert_time_zone("UTC") if column.dtype.time_zone else column
        return zoned.dt.cast_time_unit("us").cast(pl.Int64), "dates"
    if column.dtype.is_numeric():
        return _from_epoch(column)
    text = column.cast(pl.String).str.strip_chars()
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count() > text.null_count():
        numbers = text.cast(pl.Float64, strict=False)
    if 2 * numbers.null_count() > len(text) + text.null_count():
        return _from_text(text), "dates"
    return _from_epoch(numbers)


def parse_time(text: str, where: str) -> int:
    """UTC seconds of an ISO date or time, or of one as logs write it, fractions rounded up; UTC without an offset.

    Raises MatineeError with `where` if the text is not a date or time.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        micros = _from_text(pl.Series([text.strip()], dtype=pl.String))[0]
    else:
        micros = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    if micros is None:
        hint = "an ISO date or time such as 2015-06-30 or 2015-06-30T18:00:00Z"
        raise MatineeError(f"{where} = {text!r} is not a date or time; write {hint}")
    return -(-int(micros) // MICROS)


def _from_epoch(column: pl.Series) -> tuple[pl.Series, str]:
    """The unit is guessed from the median, so that a single outlier does not change all the others."""
    if column.dtype.is_float():
        column = column.set(column.is_infinite() | column.is_nan(), None)
    middle = column.abs().median()
    size = float(middle) if isinstance(middle, (int, float)) else 0.0
    unit, _, micros = next((unit for unit in _UNITS if size < unit[1]), _UNITS[-1])
    if column.dtype.is_integer() and micros >= 1:
        return column.cast(pl.Int64).clip(-(2**43), 2**43) * int(micros) if micros > 1 else column.cast(pl.Int64), unit
    if column.dtype.is_integer():
        return column.cast(pl.Int64) // round(1 / micros), unit
    return (column.cast(pl.Float64) * micros).floor().cast(pl.Int64, strict=False), unit


def _from_text(text: pl.Series) -> pl.Series:
    frame = text.to_frame("text").select(
        local=pl.col("text").str.replace(_ZONE, "").str.replace(r"^(\S+)\s+", "${1}T"),
        zone=pl.col("text").str.extract(_ZONE, 1).str.to_uppercase().str.replace(":", ""),
    )
    times = [pl.col("local").str.to_datetime(form, time_unit="us", strict=False) for form in _FORMATS]
    # an offset of +0200 means two hours ahead of UTC
    signed = pl.col("zone").str.replace("^(Z|UTC|GMT)$", "+0000").fill_null("+0000")
    offset = signed.str.slice(1, 2).cast(pl.Int64) * 3600 + signed.str.slice(3, 2).cast(pl.Int64) * 60
    sign = pl.when(signed.str.starts_with("-")).then(-1).otherwise(1)
    return frame.select(pl.coalesce(times).cast(pl.Int64) - sign * offset * MICROS).to_series()

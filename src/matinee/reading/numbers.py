"""Numbers as tables write them: with a decimal point or comma, as decimals, booleans or durations."""

import polars as pl

from matinee.errors import DataError

MISSING = ("", "nan", "NaN", "null", "NULL", "None", "<NA>", "\\N")
"""Words for nothing, which programs write into cells."""
_COMMA = r"^[+-]?\d+(,\d+)?$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"
_BOOLEANS = {"true": "1", "false": "0", "yes": "1", "no": "0"}


def to_numbers(column: pl.Series, where: str) -> tuple[pl.Series, tuple[str, ...]]:
    """Convert cells of any type [N] to Float64, null where one is not a number; and notes.

    A decimal comma counts where no cell has a point. Raises DataError if commas may stand for thousands.
    """
    if isinstance(column.dtype, pl.Duration):
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6, (f"{column.name!r} was read in seconds",)
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64), ()
    text = column.cast(pl.String, strict=False).str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() == text.null_count():
        return numbers, ()
    if (commas := _from_commas(text, where)) is not None:
        return commas, ("values were read with a decimal comma",)
    lower = text.str.to_lowercase()
    if lower.drop_nulls().is_in(list(_BOOLEANS)).all():
        return lower.replace(_BOOLEANS).cast(pl.Float64), ()
    return numbers, ()


def _from_commas(text: pl.Series, where: str) -> pl.Series | None:
    """Numbers with a decimal comma, null where a cell is none; None if the column has another form."""
    with_comma = text.filter(text.str.contains(",", literal=True))
    if not len(with_comma) or text.str.contains(".", literal=True).any() or not with_comma.str.contains(_COMMA).all():
        return None
    if with_comma.str.contains(_THOUSANDS).all():
        raise DataError(
            f"{where}: in values such as {with_comma[0]!r} the comma may stand before decimals or thousands; "
            "write a decimal point"
        )
    return text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)

"""Dates and times as text: ISO with any offset, and the forms that programs and people write."""

from typing import Any

import polars as pl

from matinee.errors import DataError

_COMMON = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d")
"""Tried first, because nearly all columns have one of them."""
_FORMS = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M",
    "%Y%m%dT%H%M%S%.f",
    "%Y%m%d%H%M%S",
    "%Y%m%d",
    "%d %B %Y",
    "%B %d %Y",
    "%d %B %YT%H:%M:%S%.f",
    "%B %d %YT%H:%M:%S%.f",
    "%d %B %YT%H:%M",
    "%B %d %YT%H:%M",
    "%B %dT%H:%M:%S %Y",
    "%m %d %Y",
)
"""After `_plain`. The last is Amazon's `05 2, 2013`."""
_OFFSET = r"(?i)^(.*(?:\d:\d{2}|T\d{6})\S*(?: \d{4})?)\s*(?:UTC|GMT)?\s*([+-]\d{2}(?::?\d{2})?)$"
_HALF_DAY = r"(?i)^(.*T)(\d{1,2})((?::\d{2}){1,2}) ?([AP])\.?M\.?$"
_DAY_MONTH = r"^(\d{1,2})([./-])(\d{1,2})[./-](\d{4}|\d{2})(T.*)?$"
_REWRITES = (
    (r"\s*\([^)]*\)$", ""),  # (Central European Summer Time)
    (r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", ""),
    (r"(\d:\d{2}:\d{2}),(\d)", "${1}.${2}"),  # a fraction after a comma
    (r"^(\d{4})\s*[-/.년年]\s*(\d{1,2})\s*[-/.월月]\s*(\d{1,2})(?:\s*[일日.])?", "${1}-${2}-${3}"),
    (r"(?i)([+-]\d{4}) (\d{4})$", "${2} ${1}"),  # Sun Oct 16 17:57:24 +0000 2016
    (r"(?i)^(\d{1,2})-([a-z]{3,9})-(\d{4})", "${1} ${2} ${3}"),
    (r"[\s,T]+(\d{1,2}:\d{2})", "T${1}"),
    (r"[,\s]+", " "),
    (r"(?i)([a-z]{3})\. ", "${1} "),
    (r"(?i)(\d)\s*(?:Z|UTC|GMT)$", "${1}"),
)


def parse_dates(text: pl.Series) -> pl.Series:
    """UTC microseconds [N] Int64 of stripped texts, null where one is no date; UTC where there is no offset.

    Raises DataError for dates such as 01/02/2016, in which the month may come first or second.
    """
    micros = pl.Series("micros", [None], dtype=pl.Int64).new_from_index(0, len(text))
    sample = text.drop_nulls().head(1)
    for form in _COMMON:
        if len(sample) and _micros(sample, form).null_count() == 0:
            micros = _micros(text, form)
            break
    left = micros.is_null() & text.is_not_null()
    if not left.any():
        return micros
    return micros.scatter(left.arg_true(), _parse(text.filter(left)))


def _parse(text: pl.Series) -> pl.Series:
    frame = text.rename("text").to_frame().select(local=_rewritten())
    frame = frame.with_columns(
        local=pl.col("local").str.replace(_OFFSET, "${1}").str.strip_chars(),
        offset=pl.col("local").str.extract(_OFFSET, 2).str.replace(":", "").fill_null("+0000"),
    )
    frame = frame.with_columns(
        local=pl.col("local").str.replace(_HALF_DAY, "${1}${2}${3}"),
        hour=pl.col("local").str.extract(_HALF_DAY, 2).cast(pl.Int64, strict=False),
        part_of_day=pl.col("local").str.extract(_HALF_DAY, 4).str.to_uppercase(),
    )
    frame = frame.with_columns(local=_year_first(frame["local"]))
    micros = frame.select(pl.coalesce(_forms(pl.col("local")))).to_series()
    sign = pl.when(pl.col("offset").str.starts_with("-")).then(-1).otherwise(1)
    minutes = pl.col("offset").str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    offset = sign * (pl.col("offset").str.slice(1, 2).cast(pl.Int64) * 60 + minutes)
    noon = pl.when((pl.col("part_of_day") == "P") & (pl.col("hour") < 12)).then(720)
    shift = noon.when((pl.col("part_of_day") == "A") & (pl.col("hour") == 12)).then(-720).otherwise(0)
    return micros + frame.select((shift - offset) * 60_000_000).to_series()


def _rewritten() -> pl.Expr:
    text = pl.col("text").str.strip_chars()
    for pattern, replacement in _REWRITES:
        text = text.str.replace_all(pattern, replacement)
    return text


def _forms(text: pl.Expr) -> list[pl.Expr]:
    return [text.str.to_datetime(form, time_unit="us", strict=False).cast(pl.Int64) for form in _FORMS]


def _micros(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, time_unit="us", strict=False).cast(pl.Int64)


def _year_first(text: pl.Series) -> pl.Series:
    """Dates such as 16/10/2016 or 10/16/2016 as 2016-10-16, by which of the first two numbers exceeds 12."""
    parts = text.str.extract_groups(_DAY_MONTH).struct.unnest()
    first, second = (parts[name].cast(pl.Int64) for name in ("1", "3"))
    if first.null_count() == len(text):
        return text
    day_first: Any = (first > 12).any() or ((parts["2"] == ".").any() and not (second > 12).any())
    if not day_first and not (second > 12).any():
        example = text.filter(first.is_not_null())[0].split("T")[0]
        raise DataError(f"dates such as {example!r}, in which the month may come first or second; write 2016-12-31")
    day, month = ("1", "3") if day_first else ("3", "1")
    year = (
        pl.when(pl.col("4").str.len_bytes() == 2)
        .then(pl.when(pl.col("4").cast(pl.Int64) < 69).then(pl.lit("20")).otherwise(pl.lit("19")) + pl.col("4"))
        .otherwise(pl.col("4"))
    )
    dates = parts.select(
        pl.concat_str(year, pl.lit("-"), month, pl.lit("-"), day, pl.col("5").fill_null(""))
    ).to_series()
    return dates.fill_null(text) if len(dates) else text

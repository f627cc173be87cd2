"""The Netflix Prize's files: a line `1:` for each movie, below it a line `user,rating,date` for each of its ratings."""

import re

import polars as pl

from matinee.errors import DataError

NAMES = re.compile(r"(combined_data_\d+|mv_\d+)\.txt$")
"""File names of the ratings, in four files or in one for each movie."""
_START = re.compile(rb"\s*\d+:[ ]*\n\d+,\d(\.\d+)?,\d{4}-\d\d-\d\d")


def is_netflix(raw: bytes) -> bool:
    """Whether decoded text begins with a movie's line and a rating below it."""
    return bool(_START.match(raw[:200]))


def read_netflix(raw: bytes, where: str) -> tuple[pl.DataFrame, pl.Series]:
    """Columns user, item, rating and date of text, and the line of each row. Raises DataError for any other line."""
    schema = dict.fromkeys(("user", "rating", "date"), pl.String)
    try:
        frame = pl.read_csv(raw, has_header=False, quote_char=None, schema=schema).with_row_index("line", 1)
    except pl.exceptions.PolarsError:
        wide = next(n for n, line in enumerate(raw.split(b"\n"), start=1) if line.count(b",") > 2)
        raise DataError(f"{where}, line {wide}: a line is `movie:` or `user,rating,date`; fix it or drop it") from None
    movie = pl.col("user").str.ends_with(":") & pl.col("rating").is_null()
    of_block = pl.when(movie).then(pl.col("user").str.strip_suffix(":")).forward_fill()
    rows = frame.with_columns(item=of_block).filter(~movie & pl.col("user").is_not_null())
    return rows.select("user", "item", "rating", "date"), rows["line"].cast(pl.Int64)

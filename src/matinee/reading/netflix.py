"""The Netflix Prize's files: a line `1:` for each movie, below it a line `user,rating,date` for each of its ratings."""

import re

import polars as pl

from matinee.errors import DataError

NAMES = re.compile(r"(combined_data_\d+|mv_\d+)\.txt$")
"""File names of the ratings, in four files or in one for each movie."""
_START = re.compile(rb"\s*\d+:[ ]*\n\d+,[^,\n]*,\d{4}-\d\d-\d\d")


def is_netflix(raw: bytes) -> bool:
    """Whether decoded text begins with a movie's line and a rating below it."""
    return bool(_START.match(raw[:200]))


def read_netflix(raw: bytes, where: str) -> tuple[pl.DataFrame, pl.Series]:
    """Columns user, item, rating and date of text, and the line of each row. Raises DataError for any other line."""
    whole = raw.replace(b"\x1e", b" ")  # a separator that occurs nowhere gives whole lines
    lines = pl.read_csv(whole, has_header=False, separator="\x1e", quote_char=None, schema={"text": pl.String})
    fields = pl.col("text").str.splitn(",", 4).struct.rename_fields(["user", "rating", "date", "more"])
    frame = lines.with_row_index("line", 1).select("line", fields).unnest("text")
    movie = pl.col("user").str.strip_chars().str.ends_with(":") & pl.col("rating").is_null()
    of_block = pl.when(movie).then(pl.col("user").str.strip_chars().str.strip_suffix(":")).forward_fill()
    rows = frame.with_columns(item=of_block).filter(~movie & pl.col("user").is_not_null())
    wrong = rows["date"].is_null() | rows["more"].is_not_null()
    if wrong.any():
        line = rows["line"][wrong.arg_max() or 0]
        raise DataError(f"{where}, line {line}: a line is `movie:` or `user,rating,date`; fix it or drop it")
    return rows.select("user", "item", "rating", "date"), rows["line"].cast(pl.Int64)

"""Adjacency text, the format of the NGCF and LightGCN data sets: `user item item ...` on each line."""

from collections import Counter

import numpy as np
import polars as pl

from matinee.errors import DataError

NOTE = "read as `user item item ...`"
_SAMPLE_BYTES, _SAMPLE_LINES = 65_536, 200
_TABLE_WIDTHS = (3, 4)
_EARLIEST = 100_000_000
"""A last number from here on reads as a time, in seconds since 1970."""


def is_adjacency_text(raw: bytes, *, beside: bool = False) -> bool:
    """Whether the shape of decoded text is unmistakably `user item item ...`.

    Its first lines are whole numbers with blanks between, at most three of five of one length, and the users, the first
    numbers, ascend or differ. beside: another part of the same split is adjacency text, so lines may have one length.
    """
    lines = raw[:_SAMPLE_BYTES].split(b"\n")[:_SAMPLE_LINES]
    rows = [line.split() for line in (lines[:-1] if len(lines) > 1 else lines) if line.strip()]
    if not rows or not all(cell.isdigit() for row in rows for cell in row) or b"\t" in b"".join(lines):
        return False
    users = [int(row[0]) for row in rows]
    if len(set(users)) < len(users) and users != sorted(users):
        return False
    [(width, n_rows)] = Counter(map(len, rows)).most_common(1)
    if width in _TABLE_WIDTHS and 2 * n_rows > len(rows) and _last_is_time([row for row in rows if len(row) == width]):
        return False
    return beside or (len(rows) > 1 and 5 * n_rows <= 3 * len(rows))


def _last_is_time(rows: list[list[bytes]]) -> bool:
    return all(int(row[-1]) >= _EARLIEST for row in rows)


def read_adjacency_text(raw: bytes, where: str) -> pl.DataFrame:
    """Columns user and item of decoded text, a row for each item, in file order. Raises DataError for other words."""
    letters = np.frombuffer(raw + b"\n", dtype=np.uint8)
    blank = letters <= ord(" ")
    word_starts = ~blank
    word_starts[1:] &= blank[:-1]
    words_before = np.cumsum(word_starts)[letters == ord("\n")]  # number of words up to the end of each line
    widths = np.diff(words_before, prepend=0)
    words = pl.Series("words", raw.decode().split(), dtype=pl.String)
    numbers = words.cast(pl.Int64, strict=False)
    if numbers.null_count():
        index = int(numbers.is_null().arg_max() or 0)
        line = int(np.searchsorted(words_before, index, side="right")) + 1
        raise DataError(f"{where}, line {line}: {words[index][:80]!r} is not a number; a line is: user item item ...")
    user_indices = (words_before - widths)[widths > 0]
    n_items = widths[widths > 0] - 1
    is_item = np.ones(len(words), dtype=bool)
    is_item[user_indices] = False
    ids = numbers.to_numpy()
    return pl.DataFrame({"user": np.repeat(ids[user_indices], n_items), "item": ids[is_item]})

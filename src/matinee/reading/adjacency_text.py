"""Adjacency text, the format of the NGCF and LightGCN data sets: `user item item ...` on each line."""

import numpy as np
import polars as pl

from matinee.errors import DataError
from matinee.reading.delimited import decode


def is_adjacency_text(raw: bytes, *, part: bool) -> bool:
    """Whether the first lines are space-separated integers, of different lengths.

    part: the file is one part of a split, where lines of equal length also qualify if their users differ.
    """
    lines = raw[:65_536].split(b"\n")[:200]
    rows = [line.split() for line in (lines[:-1] if len(lines) > 1 else lines) if line.strip()]
    if not rows or not all(cell.isdigit() for row in rows for cell in row):
        return False
    widths = {len(row) for row in rows}  # a table has one width
    users = {row[0] for row in rows}
    return len(widths) > 1 or (part and len(users) == len(rows))


def read_adjacency_text(raw: bytes, where: str) -> pl.DataFrame:
    """Columns user and item, a row for each item, in file order. Raises DataError for anything but integers."""
    raw = decode(raw, where)
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
        raise DataError(f"{where}, line {line}: {words[index]!r} is not a number; a line is: user item item ...")
    if len(words) == 0:
        raise DataError(f"{where} is empty; a line is: user item item ...")
    user_indices = (words_before - widths)[widths > 0]
    n_items = widths[widths > 0] - 1
    is_item = np.ones(len(words), dtype=bool)
    is_item[user_indices] = False
    ids = numbers.to_numpy()
    return pl.DataFrame({"user": np.repeat(ids[user_indices], n_items), "item": ids[is_item]})

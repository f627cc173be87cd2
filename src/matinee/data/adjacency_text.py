"""The text form of the graph papers (NGCF, LightGCN and after): `user item item ...` on a line."""

import numpy as np
import polars as pl

from matinee.data.delimited import decode
from matinee.data.log import Log
from matinee.errors import DataError


def is_graph_text(raw: bytes, *, part: bool) -> bool:
    """Whether the first lines are space-separated whole numbers of uneven count.

    part: the file is one of a split, where lines of even count are taken too if each begins with another user.
    """
    lines = raw[:65_536].split(b"\n")[:200]
    rows = [line.split() for line in (lines[:-1] if len(lines) > 1 else lines) if line.strip()]
    if not rows or not all(cell.isdigit() for row in rows for cell in row):
        return False
    widths = {len(row) for row in rows}  # a table has one width
    users = {row[0] for row in rows}
    return len(widths) > 1 or (part and len(users) == len(rows))


def read_graph_text(raw: bytes, where: str) -> Log:
    """The log in this form: clicks without a time, in the order of the file. Raises DataError for what is no number."""
    raw = decode(raw, where)
    letters = np.frombuffer(raw + b"\n", dtype=np.uint8)
    blank = letters <= ord(" ")
    begins = ~blank
    begins[1:] &= blank[:-1]
    n_before = np.cumsum(begins)[letters == ord("\n")]  # words up to the end of each line
    widths = np.diff(n_before, prepend=0)
    words = pl.Series("words", raw.decode().split(), dtype=pl.String)
    numbers = words.cast(pl.Int64, strict=False)
    if numbers.null_count():
        place = int(numbers.is_null().arg_max() or 0)
        line = int(np.searchsorted(n_before, place, side="right")) + 1
        raise DataError(f"{where}, line {line}: {words[place]!r} is no number; a line is: user item item ...")
    if len(words) == 0:
        raise DataError(f"{where} is empty; a line is: user item item ...")
    first = (n_before - widths)[widths > 0]
    n_items = widths[widths > 0] - 1
    is_item = np.ones(len(words), dtype=bool)
    is_item[first] = False
    ids = numbers.to_numpy()
    return Log(where, pl.Series(np.repeat(ids[first], n_items)), pl.Series(ids[is_item]), None, None)

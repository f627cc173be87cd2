"""What stands before the rows of a text table and is none: blank lines, `sep=;`, comments (also between rows)."""

import re
from dataclasses import dataclass

import polars as pl

_SEP = re.compile(rb'"?sep=(\\t|[\t !-/:-@\[-`{-~])"?[ ]*(\n|$)', re.IGNORECASE)
"""What Excel writes and wants as the first line of a table, to know its separator."""
_MARKS = (b"#", b"%")
_KONECT = re.compile(rb"%\s*(bip|sym|asym)\b")


@dataclass(frozen=True, slots=True)
class Prelude:
    """The rows of a text, and what stood before them.

    raw: the rows. separator: as the file names it, None if it does not. names: the last comment before the rows, which
    may name the columns. konect: the first comment is that of a network of KONECT. comments: how many were dropped.
    """

    raw: bytes
    before: int
    kept: pl.Series | None = None
    separator: str | None = None
    names: str = ""
    konect: bool = False
    comments: int = 0

    def lines(self, rows: pl.Series) -> pl.Series:
        """Line numbers [N] in the rows, from 1, as line numbers in the file."""
        return rows + self.before if self.kept is None else self.kept.gather(rows - 1)


def read_prelude(raw: bytes) -> Prelude:
    """Separate decoded text from its prelude. Comments begin with the mark of the first line, `#` or `%`."""
    rows = raw.lstrip(b"\n")
    separator = None
    if found := _SEP.match(rows):
        separator = found.group(1).decode("utf-8", "replace").replace("\\t", "\t")
        rows = rows[found.end() :]
    mark = rows[:1]
    if mark not in _MARKS:
        return Prelude(rows, raw.count(b"\n", 0, len(raw) - len(rows)), separator=separator)
    konect = bool(_KONECT.match(rows))
    end, last, comments = 0, b"", 0
    while rows[end : end + 1] in (mark, b"\n"):
        stop = rows.find(b"\n", end) + 1 or len(rows)
        if rows[end:stop].strip():
            last, comments = rows[end:stop], comments + 1
        end = stop
    names = last.strip(mark + b" \t\n").decode("utf-8", "replace")
    rows = rows[end:]
    before = raw.count(b"\n", 0, len(raw) - len(rows))
    if b"\n" + mark not in rows:
        return Prelude(rows, before, None, separator, names, konect, comments)
    lines = rows.split(b"\n")
    kept = [number for number, line in enumerate(lines) if not line.startswith(mark)]
    left = b"\n".join(lines[number] for number in kept)
    numbers = pl.Series(kept, dtype=pl.Int64) + before + 1
    return Prelude(left, before, numbers, separator, names, konect, comments + len(lines) - len(kept))

"""Rows of delimited text in which some lines are broken: those that can be read, and a fault for each other one."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

_LINES = 10_000
"""A quoted cell has at most so many lines."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that is left out. line: its number in the file, from 1; text: its beginning; problem: what is wrong."""

    line: int
    text: str
    problem: str


def tolerant_rows(text: str, separator: str, width: int) -> tuple[list[list[str]], list[int], list[Fault]]:
    """The rows of a text with at most `width` cells, the line on which each begins, and the faults.

    A quote that never closes is a character of its line. Blank cells beyond the width do not count.
    """
    lines = text.split("\n")
    rows: list[list[str]] = []
    numbers: list[int] = []
    faults: list[Fault] = []
    index = 0
    while index < len(lines):
        cells, n_lines = _record(lines, index, separator)
        if any(cell.strip() for cell in cells[width:]):
            faults.append(Fault(index + 1, lines[index][:200], f"{len(cells)} cells, but the first line has {width}"))
        elif any(cell.strip() for cell in cells):
            rows.append(cells[:width])
            numbers.append(index + 1)
        index += n_lines
    return rows, numbers, faults


def _record(lines: Sequence[str], index: int, separator: str) -> tuple[list[str], int]:
    """The cells of the row that begins on a line, and how many lines it has."""
    line = lines[index]
    if '"' in line:
        reader = csv.reader(
            (f"{part}\n" for part in islice(lines, index, index + _LINES)), delimiter=separator, strict=True
        )
        try:
            return next(reader), reader.line_num
        except (csv.Error, StopIteration):
            pass
    return line.split(separator), 1

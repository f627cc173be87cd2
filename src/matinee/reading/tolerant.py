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
        line = lines[index]
        cells, n_lines = _quoted(lines, index, separator, width) if '"' in line else (line.split(separator), 1)
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            faults.append(Fault(index + 1, line[:200], f"{len(cells)} cells, but the first line has {width}"))
        elif cells[0].strip() or any(cell.strip() for cell in cells):
            rows.append(cells[:width])
            numbers.append(index + 1)
        index += n_lines
    return rows, numbers, faults


def _quoted(lines: Sequence[str], index: int, separator: str, width: int) -> tuple[list[str], int]:
    """The cells of the row that begins on a line with a quote, and how many lines it has.

    A quote that closes many lines later, and leaves one cell or too many, was a character.
    """
    text = (f"{line}\n" for line in islice(lines, index, index + _LINES))
    reader = csv.reader(text, delimiter=separator, strict=True)
    try:
        cells = next(reader)
    except (csv.Error, StopIteration):
        return lines[index].split(separator), 1
    if reader.line_num > 1 and not 1 < len(cells) <= width:
        return lines[index].split(separator), 1
    return cells, reader.line_num

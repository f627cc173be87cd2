"""Cells of a table of items: texts, lists however they are written, numbers with or without a unit, years."""

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray
from matinee.catalogue import split_genres
from matinee.errors import DataError
from matinee.item_table import Texts, Words
from matinee.reading.cells import Locate, blank_cells
from matinee.reading.numbers import to_numbers
from matinee.titles import split_year

_SEPARATORS = ("|", ";", ",")
"""Between the words of a list, in order of preference; a comma stands inside of names such as `Kim, Lee & Sons` too."""
_NAMES = ("name", "title", "label", "value")
"""Keys of the word in a list of objects, such as [{"id": 28, "name": "Action"}]."""
_LONGEST_LITERAL = 100_000
_WITH_UNIT = re.compile(r"^\s*([^\d\s.,+-]*)\s*([+-]?\d[\d.,]*)\s*(\D*?)\s*$")
_CONTROL, _VISIBLE = r"[\p{Cc}\p{Zl}\p{Zp}]+", r"[^\p{C}\p{Z}]"
_CONTROL_LETTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_YEAR = r"(?:^|\D)(\d{4})(?:\D|$)"


def read_texts(column: pl.Series) -> Texts:
    """Text as it is, without blanks around; empty where there is none."""
    text = column.cast(pl.String, strict=False)
    return tuple(text.set(blank_cells(text), "").str.strip_chars().to_list())


def read_titles(column: pl.Series) -> tuple[Texts, int]:
    """Titles without control letters, such as line breaks and those that steer a terminal; and how many had any.

    A title without a visible letter is empty.
    """
    plain = pl.Series(read_texts(column), dtype=pl.String)
    titles = plain.str.replace_all(_CONTROL, " ").str.strip_chars()
    titles = titles.set(~titles.str.contains(_VISIBLE), "")
    return tuple(titles.to_list()), int(plain.str.contains(_CONTROL).sum())


def read_lists(column: pl.Series) -> tuple[Words, str | None, int]:
    """The words of each cell, without blanks and repeats; the sign between them, where it is none of `|`; mixed cells.

    A cell is a list, a list as JSON or Python writes it, or text with `|`, else `;`, else `,` between words: the first
    that any cell of the column has. Mixed cells: the number of those with `;` alone in a column with `|`.
    """
    if isinstance(column.dtype, pl.List | pl.Array):
        return tuple(_words(cell) for cell in column.to_list()), None, 0
    text = pl.Series(column.name, read_texts(column), dtype=pl.String)
    literal = text.str.starts_with("[") & text.str.ends_with("]")
    plain = text.filter(~literal)
    separator = next((sign for sign in _SEPARATORS if plain.str.contains(sign, literal=True).any()), "|")
    cells = (
        _literal(cell) if is_literal else (split_genres(cell) if separator == "|" else cell.split(separator))
        for cell, is_literal in zip(text.to_list(), literal.to_list(), strict=True)
    )
    n_mixed = int((plain.str.contains(";", literal=True) & ~plain.str.contains("|", literal=True)).sum())
    if separator == "|":
        return tuple(map(_words, cells)), None, n_mixed if plain.str.contains("|", literal=True).any() else 0
    return tuple(map(_words, cells)), separator, 0


def read_numbers(column: pl.Series, where: str, locate: Locate) -> tuple[FloatArray, str | None]:
    """Numbers, NaN where blank; and the unit that all of them have, such as `$` or `kg`.

    Raises DataError for a cell that is not a finite number, or has another unit than the others.
    """
    if column.dtype.is_nested():
        raise DataError(f"{where}: the column {column.name!r} holds lists or objects, not numbers; give one a row")
    numbers, _ = to_numbers(column, where)
    blank = blank_cells(column)
    bad = (numbers.is_null() & ~blank).to_numpy()
    unit = None
    if bad.any():
        numbers, unit = _without_unit(column, blank, where, locate)
    values = numbers.set(blank, None).fill_null(np.nan).to_numpy()
    if np.isinf(values).any():
        index = int(np.argmax(np.isinf(values)))
        raise DataError(f"{where}, {locate(index)}: {column[index]!r} in column {column.name!r} is not a finite number")
    return values, unit


def read_years(column: pl.Series) -> IntArray:
    """Years of a column, of dates too; 0 where there is none."""
    if column.dtype.is_temporal():
        column = column.dt.year()
    years = column.cast(pl.String, strict=False).str.extract(_YEAR).cast(pl.Int32, strict=False)
    return years.fill_null(0).to_numpy()


def years_of_titles(titles: Texts) -> IntArray:
    """Years in brackets at the end of titles; 0 where there is none."""
    return np.array([split_year(title)[1] for title in titles], dtype=np.int32)


def _without_unit(column: pl.Series, blank: pl.Series, where: str, locate: Locate) -> tuple[pl.Series, str]:
    """Numbers of which each has the same unit before or after it."""
    cells: list[str | None] = []
    units: dict[str, str] = {}
    for index, (cell, is_blank) in enumerate(zip(column.cast(pl.String).to_list(), blank.to_list(), strict=True)):
        match = None if is_blank else _WITH_UNIT.match(cell)
        if not is_blank and match is None:
            raise DataError(_not_a_number(cell, column.name, f"{where}, {locate(index)}"))
        cells.append(match.group(2) if match else None)
        if match:
            units.setdefault(match.group(1) + match.group(3), cell)
    if len(units) > 1:
        one, other = [repr(cell.strip()[:40]) for cell in list(units.values())[:2]]
        raise DataError(
            f"{where}: the numbers of column {column.name!r} have different units, such as {one} and {other}; "
            "convert them to one"
        )
    text = pl.Series(column.name, cells, dtype=pl.String)
    if text.str.contains(r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$").filter(text.str.contains(",", literal=True)).all():
        text = text.str.replace_all(",", "", literal=True) if text.str.contains(".", literal=True).any() else text
    numbers, _ = to_numbers(text, where)
    if (bad := numbers.is_null() & ~blank).any():
        index = int(bad.arg_max() or 0)
        raise DataError(_not_a_number(str(column[index]), column.name, f"{where}, {locate(index)}"))
    return numbers, next(iter(units))


def _not_a_number(cell: str, column: str, where: str) -> str:
    return f"{where}: {cell[:80]!r} in column {column!r} is not a number; fix it, or leave the column out"


def _literal(cell: str) -> list[Any]:
    """A list as JSON or Python writes it; a cell that is none is one word."""
    if len(cell) > _LONGEST_LITERAL:
        return [cell]
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, list):
            return found
    return [part.strip(" '\"") for part in cell[1:-1].split(",")]


def _words(cell: Any) -> tuple[str, ...]:  # noqa: ANN401 - a cell of any kind
    """The words of a list, each once and in its order."""
    words = (_word(word) for word in cell or ())
    return tuple(dict.fromkeys(word for word in words if word))


def _word(word: Any) -> str:  # noqa: ANN401 - an entry of any kind
    if isinstance(word, Mapping):
        word = next((word[name] for name in _NAMES if name in word), "")
    text = "" if word is None else str(word).strip()
    return text if text.isprintable() else _CONTROL_LETTERS.sub(" ", text).strip()

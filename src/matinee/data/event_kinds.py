"""Kinds of events in a log, such as view and purchase: which count, and what they weigh."""

import math
from collections.abc import Sequence

import polars as pl

from matinee.config import ColumnsConfig
from matinee.dataset import EventKind
from matinee.errors import DataError, UsageError, did_you_mean
from matinee.reading.columns import NAMES, columns_named
from matinee.reading.table import Table

MOST_KINDS, LONGEST = 30, 40
"""A recognised column of kinds has at most so many different ones, of at most so many letters."""


def kind_column(table: Table, columns: ColumnsConfig, taken: Sequence[str]) -> str | None:
    """The column of kinds, as configured or recognised, or None. Raises DataError for one that is not there."""
    names = table.frame.columns
    if columns.kind is not None:
        if columns.kind not in names:
            raise DataError(f"{table.where}: no column {columns.kind!r} of kinds{did_you_mean(columns.kind, names)}")
        if columns.kind in taken:
            raise DataError(f"{table.where}: the column {columns.kind!r} is named for two roles; name it for one")
        return columns.kind
    for name in columns_named([name for name in names if name not in taken], NAMES["kind"]):
        cells = table.frame[name]
        if cells.dtype == pl.String and _are_kinds(cells):
            return name
    if columns.kinds:
        raise DataError(f"{table.where}: kinds are chosen and there is no column of kinds; name it (--kind COLUMN)")
    return None


def read_kinds(cells: pl.Series) -> pl.Series:
    """Kinds [N] as text without blanks around; a blank cell is of the kind `none`."""
    text = cells.cast(pl.String).str.strip_chars().fill_null("")
    return text.set(text == "", "none")


def chosen_kinds(columns: ColumnsConfig, kinds: pl.Series, where: str) -> dict[str, float | None]:
    """The weight of each kind that counts: all of the log, or those chosen; None where none is given.

    Raises UsageError for a weight that is no number above 0 or given to some only, DataError for an unknown kind.
    """
    known = kinds.unique().to_list()
    if not columns.kinds:
        return dict.fromkeys(known)
    weights: dict[str, float | None] = {}
    for text in columns.kinds:
        name, equals, number = (
            (part.strip() for part in text.rpartition("=")) if "=" in text else (text.strip(), "", "")
        )
        if name not in known:
            raise DataError(f"{where}: no events of the kind {name!r}{did_you_mean(name, known)}")
        weights[name] = _weight(name, number) if equals else None
    if len({weight is None for weight in weights.values()}) > 1:
        raise UsageError("kinds: give each kind a weight, such as view=0.2,purchase=1, or none of them")
    return weights


def count_kinds(kinds: pl.Series, weights: dict[str, float | None]) -> dict[str, EventKind]:
    """The kinds of a log, the most frequent first, then by name."""
    counts = sorted(kinds.value_counts().rows(), key=lambda row: (-row[1], row[0]))
    return {name: EventKind(n, weights.get(name)) for name, n in counts}


def kinds_note(column: str, counts: dict[str, EventKind]) -> str:
    """`kinds of events in 'action': view 13,000, purchase 3,700 (weight 5)`."""
    shown = ", ".join(
        f"{name} {kind.events:,}" + (f" (weight {kind.value:g})" if kind.value is not None else "")
        for name, kind in list(counts.items())[:MOST_KINDS]
    )
    return f"kinds of events in {column!r}: {shown}"


def _are_kinds(cells: pl.Series) -> bool:
    distinct = cells.drop_nulls().unique()
    return 1 <= len(distinct) <= MOST_KINDS and bool((distinct.str.len_chars() <= LONGEST).all())


def _weight(name: str, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise UsageError(f"kinds: the weight {number!r} of {name} is not a number above 0")
    return weight

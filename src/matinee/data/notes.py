"""Sentences on what a read took: columns, dropped lines, titles, and values that look like placeholders."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.data.statistics import percent
from matinee.reading.table import Read

ROLES = {"user": "user", "item": "item", "value": "value", "at": "time"}
"""Names of the roles in messages; the option of the time is `--at`, its field `at`."""
_PLACEHOLDERS = np.array([-9999, -999, -99, -9, -1, 0, 99, 999, 9999], dtype=np.float32)
"""Values that logs hold where there is no rating."""
_FEW = 20
"""Fewer values show nothing."""
_RATINGS = 20
"""A scale of ratings has at most so many steps; counts have more."""
_SHOWN, _LETTERS = 5, 40
"""Maximum number of names listed, and of letters of each."""


def columns_note(read: Read) -> str:
    """`columns: user=User-ID, item=ISBN, value=none, time=none; not used: Book-Rating; --value names one`."""
    taken = ", ".join(f"{name}={_short(read.roles.get(role, 'none'))}" for role, name in ROLES.items())
    if not read.unused:
        return f"columns: {taken}"
    missing = [f"--{role}" for role in ("value", "at") if role not in read.roles]
    hint = f"; {' or '.join(missing)} names one" if missing else ""
    return f"columns: {taken}; not used: {_listed(read.unused)}{hint}"


def dropped_note(read: Read, n_kept: int) -> str:
    """`dropped 50 of 1,000 lines: comments 2, no item 48`."""
    n_dropped = sum(read.dropped.values())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in read.dropped.items())
    return f"dropped {n_dropped:,} of {n_dropped + n_kept:,} lines: {reasons}"


def read_notes(reads: Sequence[tuple[Read, int]]) -> list[str]:
    """The notes of one read, or of several parts: a note that differs between parts names its file.

    reads: each with the number of events it gave.
    """
    several = len({columns_note(read) for read, _ in reads}) > 1
    notes = []
    for read, n_events in reads:
        prefix = f"{_base(read.where)}: " if several else ""
        notes.append(prefix + columns_note(read))
        if read.dropped:
            file = f"{_base(read.where)}: " if len(reads) > 1 else ""
            notes.append(file + dropped_note(read, n_events))
    return list(dict.fromkeys(notes))


def read_record(read: Read) -> dict[str, Any]:
    """What a read took, ready for JSON. A role without a column is null."""
    return {
        "where": read.where,
        "format": read.format,
        "columns": {name: read.roles.get(role) for role, name in ROLES.items()},
        "unused": list(read.unused),
        "dropped": dict(read.dropped),
    }


def titles_note(n_items: int, n_titled: int, where: str, spellings: tuple[object, object]) -> str:
    """How many items have a title in a table of titles; where none has, an id of each side as it is written there."""
    table = _base(where)
    if n_titled == 0:
        log, titles = spellings
        return f"titles: none of the {n_items:,} items is in {table}: ids such as {log!r} in the log, {titles!r} there"
    few = "; the others are shown by their id" if n_titled < n_items / 2 else ""
    return f"titles: {n_titled:,} of {n_items:,} items are in {table}{few}"


def value_notes(values: FloatArray) -> list[str]:
    """Sentences on values that say nothing, or that look like a placeholder for a missing one. values: [N]."""
    if len(values) < _FEW:
        return []
    low, high = values.min(), values.max()
    if low == high:
        return [f"every value is {low:g}: models that weigh values see no difference between events"]
    if not np.isin([low, high], _PLACEHOLDERS).any():  # nearly every log: nothing to sort
        return []
    distinct, counts = np.unique(values, return_counts=True)
    return [_placeholder_note(distinct, counts, end) for end in (0, -1) if _is_placeholder(distinct, counts, end)]


def _is_placeholder(distinct: FloatArray, counts: IntArray, end: int) -> bool:
    """Whether the lowest (0) or highest (-1) value stands for no value: a usual one, frequent, unlike the others.

    Unlike: far from them, negative among positive ones, or far more frequent than its neighbour and the mean.
    """
    value, others = distinct[end], distinct[1:] if end == 0 else distinct[:-1]
    share = counts[end] / counts.sum()
    if value not in _PLACEHOLDERS or len(others) < 3 or share < 0.02:
        return False
    gap = abs(float(value - others[end]))
    step = float(np.median(np.diff(others)))
    if value > 0:
        return gap >= max(2 * step, 0.5 * float(np.ptp(others)))
    if gap >= 2 * step or (value < 0 <= others[0]):
        return True
    times = 2 if len(others) <= _RATINGS else 10  # counts of plays fall steeply from their lowest value
    return share >= 0.1 and bool(counts[0] >= times * counts[1]) and bool(counts[0] >= 2 * counts[1:].mean())


def _placeholder_note(distinct: FloatArray, counts: IntArray, end: int) -> str:
    others = distinct[1:] if end == 0 else distinct[:-1]
    share = percent(float(counts[end] / counts.sum()))
    low, high = f"{others[0]:g}", f"{others[-1]:g}"
    fix = f"--min-value {low} drops them" if end == 0 else f"drop them; --scale {low},{high} names the first"
    return (
        f"values: {distinct[end]:g} is {share} of them and unlike the others ({low} to {high}), often a "
        f"placeholder for `not rated`; {fix}"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(_short, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def _short(name: str) -> str:
    """A name on one line, cut where it is long."""
    plain = " ".join(name.split())
    return f"{plain[: _LETTERS - 3]}..." if len(plain) > _LETTERS else plain


def _base(where: str) -> str:
    return where.rsplit("/", 1)[-1]

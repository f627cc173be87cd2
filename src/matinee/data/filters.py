"""Filters: by date, value, sampled users, and number of events."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from matinee.arrays import BoolArray, IntArray, count_rows
from matinee.config import FilterConfig
from matinee.data.notes import value_notes
from matinee.dataset import Dataset
from matinee.errors import DataError
from matinee.mapped import looked_up, selected
from matinee.reading.timestamps import parse_time
from matinee.times import format_time

UNFILTERED = FilterConfig()
"""Every event is kept."""
Step = tuple[BoolArray, str]
"""Which events a filter keeps [N], and what the filter is."""


def apply_filters(data: Dataset, config: FilterConfig, *, rng: np.random.Generator) -> Dataset:
    """Filter by date and value, sample users, then drop rare users and items, in this order.

    Notes say what each step dropped. rng only draws the sample of users.
    Raises DataError if nothing would be left, or a log without times or values is filtered by them, MatineeError for a
    bad date.
    """
    return filter_events(data, config, rng=rng)[0]


def filter_events(data: Dataset, config: FilterConfig, *, rng: np.random.Generator) -> tuple[Dataset, BoolArray]:
    """Filter as `apply_filters`. Also returns which of the events are kept. [N]."""
    kept = np.ones(len(data.events), dtype=bool)
    for step in (_by_date, _by_value, partial(_sample_users, rng=rng), _by_support):
        if (chosen := step(data, config)) is not None:
            keep, what = chosen
            data = _keep(data, keep, what)
            kept[kept] = keep
    return data, kept


def _by_date(data: Dataset, config: FilterConfig) -> Step | None:
    limits = [f"{name} {text}" for name in ("since", "until") if (text := getattr(config, name)) is not None]
    if not limits:
        return None
    if not data.timed:
        raise DataError(f"{data.name} has no times, so {' and '.join(limits)} cannot be applied; leave it out")
    times = data.events.times
    keep = np.ones(len(times), dtype=bool)
    if config.since is not None:
        keep &= times >= parse_time(config.since, "since")
    if config.until is not None:
        keep &= times < parse_time(config.until, "until")
    if not keep.any():
        span = (
            f"the log runs from {format_time(int(times.min()))} to {format_time(int(times.max()))}"
            if len(times)
            else "it is empty"
        )
        raise DataError(f"{' and '.join(limits)} leaves no event of {data.name}; {span}")
    return keep, " and ".join(limits)


def _by_value(data: Dataset, config: FilterConfig) -> Step | None:
    if config.min_value is None:
        return None
    if data.kind == "click":
        raise DataError(
            f"{data.name} has no values, so min_value cannot be applied; name their column (value) or leave it out"
        )
    keep = data.events.values >= config.min_value  # numpy rounds the Python float to float32
    if not keep.any():
        most = f"; the largest value is {data.events.values.max():g}" if len(keep) else ""
        raise DataError(f"min_value {config.min_value:g} leaves no event of {data.name}{most}")
    return keep, f"min_value {config.min_value:g}"


def _sample_users(data: Dataset, config: FilterConfig, rng: np.random.Generator) -> Step | None:
    if config.sample_users is None or config.sample_users >= len(data.users):
        return None
    drawn = np.zeros(len(data.users), dtype=bool)
    drawn[rng.choice(len(data.users), config.sample_users, replace=False)] = True
    return looked_up(drawn, data.events.user_rows), f"sample_users {config.sample_users:,}"


def _by_support(data: Dataset, config: FilterConfig) -> Step | None:
    least_user, least_item = config.min_user_events, config.min_item_events
    if not least_user and not least_item:
        return None
    cut = _CUTS[config.filter_order]
    users, items = data.events.user_rows, data.events.item_rows
    keep = cut(users, items, least_user, least_item)
    what = f"min_user_events {least_user} and min_item_events {least_item} ({config.filter_order})"
    if not keep.any():
        most = _most(lambda least: bool(cut(users, items, least, least_item).any()), least_user)
        if most is not None:
            hint = f"with min_item_events {least_item}, use min_user_events {most} or less"
        else:
            most = _most(lambda least: bool(cut(users, items, 0, least).any()), least_item)
            hint = f"use min_item_events {most} or less" if most is not None else "the log is empty"
        raise DataError(f"{what} leaves no event of {data.name}; {hint}")
    return keep, what


def _users_then_items(users: IntArray, items: IntArray, least_user: int, least_item: int) -> BoolArray:
    keep = _supported(users, None, least_user)
    return keep & _supported(items, keep, least_item)


def _items_then_users(users: IntArray, items: IntArray, least_user: int, least_item: int) -> BoolArray:
    return _users_then_items(items, users, least_item, least_user)


def _fixed_point(users: IntArray, items: IntArray, least_user: int, least_item: int) -> BoolArray:
    """The largest subset of the log that satisfies both limits; it does not depend on the order of the passes."""
    left_users, left_items = users, items
    while True:
        keep = _supported(left_users, None, least_user) & _supported(left_items, None, least_item)
        if keep.all():
            break
        left_users, left_items = selected(left_users, keep), selected(left_items, keep)
    sides = ((users, left_users), (items, left_items))
    # counts only fall, so an event whose user and item are left was never dropped
    keep, of_item = (looked_up(count_rows(left, int(rows.max(initial=-1)) + 1) > 0, rows) for rows, left in sides)
    keep &= of_item
    return keep


def _supported(rows: IntArray, kept: BoolArray | None, least: int) -> BoolArray:
    """Whether the row of each event has enough of the events that are kept. [N]."""
    counts = count_rows(rows if kept is None else selected(rows, kept), int(rows.max(initial=-1)) + 1)
    return looked_up(counts >= least, rows)


_CUTS: dict[str, Callable[[IntArray, IntArray, int, int], BoolArray]] = {
    "users-items": _users_then_items,
    "items-users": _items_then_users,
    "fixed-point": _fixed_point,
}


def _most(leaves_some: Callable[[int], bool], limit: int) -> int | None:
    """The largest value in 0..limit that leaves an event, by binary search; None if none does."""
    if not leaves_some(0):
        return None
    low, high = 0, limit + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if leaves_some(middle) else (low, middle)
    return low


def _keep(data: Dataset, keep: BoolArray, what: str) -> Dataset:
    if keep.all():
        return data
    kept = data.keep(keep)
    dropped = [
        f"{before - after:,} of {before:,} {name}"
        for name, before, after in (
            ("users", len(data.users), len(kept.users)),
            ("items", len(data.items), len(kept.items)),
            ("events", len(data.events), len(kept.events)),
        )
        if after < before
    ]
    outdated = value_notes(data.events.values) if data.kind == "rating" else []
    current = value_notes(kept.events.values) if data.kind == "rating" else []
    notes = [*(note for note in data.notes if note not in outdated), *current]
    return replace(kept, notes=(*notes, f"{what} dropped {', '.join(dropped)}"))

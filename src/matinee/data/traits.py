"""Traits of a log: the few numbers by which logs are similar, and models do well or badly."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from matinee.arrays import IntArray
from matinee.data.statistics import gini, top_share
from matinee.dataset import Dataset, Events

MOST_EVENTS = 2_000_000
"""Events of which successors are counted; of a longer log, those of as many users as have them together."""
RECENT = 0.1
"""Share of the events, the last ones, among which cold items are counted."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is measured of a log.

    density: share of all pairs of user and item with an event; user_events, item_events: mean events of a user and an
    item; values: how many different ones, 1 for clicks; repeats: share of events on an item that the user had before;
    top_share: share of the events on the top 1% of items; gini: of events per item; days: from first to last event.
    successors: share of pairs of consecutive events of a user whose two items, in this order, follow each other in
    another place too; shuffled: the same with each history shuffled; cold: share of the last tenth of the events, on
    items without an event before. None without times, or with all events at one time.
    """

    users: int
    items: int
    events: int
    density: float
    user_events: float
    item_events: float
    values: int
    repeats: float
    top_share: float
    gini: float
    timed: bool
    days: float | None
    successors: float | None
    shuffled: float | None
    cold: float | None

    @property
    def order(self) -> float | None:
        """How much more often an item follows another one than chance has it: `successors` less `shuffled`."""
        if self.successors is None or self.shuffled is None:
            return None
        return self.successors - self.shuffled

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"order": self.order}


def traits_of(data: Dataset, seed: int = 42) -> Traits:
    """Measure a log; seed: of the shuffled histories. Raises ValueError if it has no events."""
    events = data.events
    if not len(events):
        raise ValueError("no events to measure")
    support = np.bincount(events.item_rows)
    support = support[support > 0]
    n_users = len(np.unique(events.user_rows))
    pairs = len(np.unique(events.user_rows.astype(np.int64) * len(data.items) + events.item_rows))
    first, last = int(events.times.min()), int(events.times.max())
    timed = data.timed and last > first
    successors, shuffled = _successors(events, len(data.items), seed) if timed else (None, None)
    return Traits(
        users=n_users,
        items=len(support),
        events=len(events),
        density=pairs / (n_users * len(support)),
        user_events=len(events) / n_users,
        item_events=len(events) / len(support),
        values=len(np.unique(events.values)),
        repeats=1 - pairs / len(events),
        top_share=top_share(support, 0.01),
        gini=float(gini(support)),
        timed=timed,
        days=(last - first) / 86_400 if timed else None,
        successors=successors,
        shuffled=shuffled,
        cold=_cold(events) if timed else None,
    )


def _successors(events: Events, n_items: int, seed: int) -> tuple[float | None, float | None]:
    """Shares of repeated pairs of consecutive items, in the order of time and shuffled; None without a pair."""
    events = events.take(slice(0, _end_of_user(events)))
    order = np.lexsort((np.random.default_rng(seed).random(len(events)), events.user_rows))
    in_time = _repeated(events.user_rows, events.item_rows, n_items)
    return in_time, _repeated(events.user_rows, events.item_rows[order], n_items)


def _end_of_user(events: Events) -> int:
    """The index after the last user's events that still count; events are ordered by user."""
    if len(events) <= MOST_EVENTS:
        return len(events)
    end = int(np.searchsorted(events.user_rows, events.user_rows[MOST_EVENTS]))
    return end or MOST_EVENTS  # one user has them all


def _repeated(user_rows: IntArray, item_rows: IntArray, n_items: int) -> float | None:
    same = user_rows[1:] == user_rows[:-1]
    if not same.any():
        return None
    keys = item_rows[:-1][same].astype(np.int64) * n_items + item_rows[1:][same]
    _, counts = np.unique(keys, return_counts=True)
    return float(counts[counts > 1].sum() / len(keys))


def _cold(events: Events) -> float:
    order = np.argsort(events.times, kind="stable")
    n_recent = max(1, int(RECENT * len(order)))
    known = np.zeros(int(events.item_rows.max()) + 1, dtype=bool)
    known[events.item_rows[order[:-n_recent]]] = True
    return float(1 - known[events.item_rows[order[-n_recent:]]].mean())

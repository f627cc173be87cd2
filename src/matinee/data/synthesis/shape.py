"""The shape of a log: what a synthetic log has in common with the real one that it is like."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.dataset import Dataset, Events
from matinee.errors import DataError

GAP_SECONDS = 3600
"""A longer pause ends a session."""
TAILS = -np.concatenate([np.log10(1 - np.linspace(0, 0.99, 100)), -np.arange(2.1, 6.05, 0.1)])
"""-log10(1 - p) of the quantiles that are kept: fine steps in the tail, where the most active and most popular are."""
TASTE = 0.6
"""Share of events that follow the user's taste where none was fitted; that of the bundled MovieLens."""
EARLY = 0.1
"""A popular item without an event in this first part of a log's span is new in it."""
POPULAR = 0.8
"""Items from this quantile of popularity on are popular: of others, the first event says little of when they came."""


@dataclass(frozen=True, slots=True)
class LogShape:
    """How events are distributed over users, items, values and time.

    activity, popularity: quantiles at TAILS of the events of a user and of an item, over their mean; values: distinct
    values and their shares, empty for clicks; joined: quantiles (21) of users' first events over the span; start: the
    first time; span: seconds from it to the last; sessions: quantiles at TAILS of the events of a session, over their
    mean; session: that mean; gap: mean seconds between events of one; pause: mean seconds between a user's sessions;
    new: share of items that are new in the span; taste: share of events that follow the user's taste. Without times,
    each user has one session.
    """

    activity: FloatArray
    popularity: FloatArray
    values: tuple[tuple[float, float], ...]
    joined: FloatArray
    start: int
    span: float
    sessions: FloatArray
    session: float
    gap: float
    pause: float
    new: float
    taste: float = TASTE

    @classmethod
    def of(cls, data: Dataset) -> "LogShape":
        """The shape of a log, but for its taste. Raises DataError for a log of fewer than two users or items."""
        events = data.events
        of_users = np.bincount(events.user_rows)
        of_items = np.bincount(events.item_rows)
        of_users, of_items = of_users[of_users > 0], of_items[of_items > 0]
        if min(len(of_users), len(of_items)) < 2:
            raise DataError(
                f"{data.name} has {len(of_users)} users and {len(of_items)} items; a shape needs two of each"
            )
        values, counts = np.unique(events.values, return_counts=True)
        shares = counts / len(events)
        return cls(
            activity=_quantiles(of_users),
            popularity=_quantiles(of_items),
            values=() if data.kind == "click" else tuple(zip(values.tolist(), shares.tolist(), strict=True)),
            **_in_time(data),
        )


def at(quantiles: FloatArray, shares: FloatArray) -> FloatArray:
    """The quantile function at these shares in [0, 1), from quantiles at TAILS. Of the same shape as `shares`."""
    return np.exp(np.interp(-np.log10(1 - shares), TAILS, np.log(quantiles)))


def _quantiles(counts: IntArray) -> FloatArray:
    found: FloatArray = np.quantile(counts / counts.mean(), 1 - 10.0**-TAILS)
    return found


def _in_time(data: Dataset) -> dict[str, Any]:
    events = data.events
    start = int(events.times.min())
    span = float(max(int(events.times.max()) - start, 1))
    new_user = np.diff(events.user_rows, prepend=-1) != 0
    waits = np.diff(events.times, prepend=0)
    begins = new_user | (waits > GAP_SECONDS)
    lengths = np.diff(np.append(np.flatnonzero(begins), len(events)))
    return {
        "joined": np.quantile((events.times[new_user] - start) / span, np.linspace(0, 1, 21)),
        "start": start,
        "span": span,
        "sessions": _quantiles(lengths),
        "session": float(lengths.mean()),
        "gap": _mean(waits[~begins]),
        "pause": _mean(waits[begins & ~new_user]),
        "new": _new(events, start + EARLY * span),
    }


def _new(events: Events, after: float) -> float:
    """Share of the popular items whose first event comes later."""
    counts = np.bincount(events.item_rows)
    firsts = np.full(len(counts), np.iinfo(np.int64).max)
    np.minimum.at(firsts, events.item_rows, events.times)
    popular = counts >= np.quantile(counts[counts > 0], POPULAR)
    return float((firsts[popular] > after).mean())


def _mean(waits: IntArray) -> float:
    return float(waits.mean()) if len(waits) else 0.0

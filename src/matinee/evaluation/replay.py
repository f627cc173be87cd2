"""Replay: what a live engine would have listed before each event of a log, and whether the event was in the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, starts_of
from matinee.data.prefixes import Prefixes
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Interval, percentiles, resample
from matinee.evaluation.significance import paired_p
from matinee.histories import Instant
from matinee.models.base import Recommender
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import rank

SAMPLES = 1000
METRICS = ("hit-rate", "ndcg", "mrr")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch of the log between two fits: events[i] of the data set for i in `events`, by user and time.

    begin, end: UTC seconds, `begin` included; events: [n] those that are new to their user, which a list can contain;
    repeated: how many others there are; is_cold_item, is_cold_user: [n], without an event before `begin`.
    """

    begin: Instant
    end: Instant
    events: IntArray
    repeated: int
    is_cold_item: BoolArray
    is_cold_user: BoolArray


def windows_of(data: Dataset, first: float, every: int, *, by_events: bool) -> list[Window]:
    """The windows after the first share of the events, each of `every` seconds, or of about so many events.

    Events of the same second are in the same window. Raises MatineeError if the log has no times, or all its events
    are in the first part.
    """
    if not data.timed:
        raise MatineeError(f"data {data.name} has no times, so there is no order to replay; name their column (--at)")
    events = data.events
    ordered = np.sort(events.times, kind="stable")
    start = ordered[min(int(first * len(ordered)), len(ordered) - 1)]
    if start == ordered[0]:
        raise MatineeError(
            f"the first {first:.0%} of the events are of one second, so there is nothing to train on before it; "
            "give a larger --first"
        )
    last = int(ordered[-1]) + 1
    if by_events:
        begins = np.unique(np.append(start, ordered[int(first * len(ordered)) :: every]))
        if len(begins) > 1 and 2 * np.count_nonzero(ordered >= begins[-1]) < every:
            begins = begins[:-1]  # the rest is no window of its own
    else:
        begins = np.arange(start, last, every)
    ends = np.append(begins[1:], last)
    is_new = _is_new(data)
    item_firsts, user_firsts = _firsts(data)
    found = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        inside = (events.times >= begin) & (events.times < end)
        rows = np.flatnonzero(inside & is_new)
        cold_items, cold_users = item_firsts[events.item_rows[rows]], user_firsts[events.user_rows[rows]]
        repeated = int(inside.sum()) - len(rows)
        found.append(Window(begin, end, rows, repeated, cold_items >= begin, cold_users >= begin))
    return found


def _is_new(data: Dataset) -> BoolArray:
    """Whether each event is its user's first with the item. [N]."""
    keys = data.events.user_rows.astype(np.int64) * len(data.items) + data.events.item_rows
    found = np.zeros(len(keys), dtype=bool)
    found[np.unique(keys, return_index=True)[1]] = True
    return found


def _firsts(data: Dataset) -> tuple[IntArray, IntArray]:
    """The time of the first event of each item [I] and of each user [U]."""
    events, most = data.events, np.iinfo(np.int64).max
    items, users = np.full(len(data.items), most), np.full(len(data.users), most)
    np.minimum.at(items, events.item_rows, events.times)
    np.minimum.at(users, events.user_rows, events.times)
    return items, users


def ranks_of(model: Recommender[Any], data: Dataset, window: Window, k: int) -> tuple[IntArray, IntArray]:
    """The rank of each event's item in the list made just before it, 0 if it is not in it; and the items listed.

    A list is made from all events of the user before the event, those of the same window included, as a live engine
    makes it; the model and the popularity behind it are those of the events before the window. [n] from 1, [m] rows.
    """
    events = data.events
    before = events.times < window.begin
    popularity = np.bincount(events.item_rows[before], minlength=len(data.items))
    cold = Fallback(popularity, data.catalogue.genre_matrix)
    firsts = starts_of(events.user_rows, len(data.users))[events.user_rows[window.events]]
    prefixes = Prefixes(events, firsts, window.events)
    ranks = np.zeros(len(window.events), dtype=np.int32)
    is_listed = np.zeros(len(data.items) + 1, dtype=bool)  # the last stands for UNKNOWN
    for start, stop in prefixes.blocks():
        found = rank(model, prefixes.block(start, stop), k, cold=cold).items
        hits = found == events.item_rows[window.events[start:stop], None]
        ranks[start:stop] = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0)
        is_listed[found.ravel()] = True
    return ranks, np.flatnonzero(is_listed[:-1])


def values_of(ranks: IntArray) -> dict[str, FloatArray]:
    """Each metric of lists with one target at these ranks, 0 for none. [n] -> [n] each."""
    hits = ranks > 0
    positions = np.maximum(ranks, 1)
    return {
        "hit-rate": hits.astype(np.float64),
        "ndcg": np.where(hits, 1 / np.log2(positions + 1.0), 0),
        "mrr": np.where(hits, 1 / positions, 0),
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """The second model's metric minus the first's, over all events; p: by the bootstrap over users."""

    metric: str
    difference: Interval
    p: float


def mean_over_users(values: FloatArray, users: IntArray, rng: np.random.Generator) -> Interval:
    """The mean over events with its interval: users are resampled with their events. [n], [n]."""
    sums, counts = _by_user(values, users)
    draws = [(each @ sums) / np.maximum(each @ counts, 1) for each in resample(len(sums), SAMPLES, rng)]
    return percentiles(float(values.mean()) if len(values) else float("nan"), np.concatenate([*draws, []]))


def paired(metric: str, first: FloatArray, second: FloatArray, users: IntArray, rng: np.random.Generator) -> Difference:
    """Both models on the same events, paired. [n] each."""
    gaps, counts = _by_user(second - first, users)
    draws = np.concatenate([(each @ gaps) / np.maximum(each @ counts, 1) for each in resample(len(gaps), SAMPLES, rng)])
    found = percentiles(float((second - first).mean()), draws)
    return Difference(metric, found, float(paired_p(draws[:, None])[0]))


def in_two_arms(
    metric: str, first: FloatArray, second: FloatArray, in_second: BoolArray, users: IntArray, rng: np.random.Generator
) -> Difference:
    """The A/B test on paper: each user's events count for one model alone. in_second: [n], whose arm is the second."""
    sums, counts = _by_user(np.where(in_second, second, first), users)
    arms, _ = _by_user(in_second.astype(np.float64), users)
    is_second = arms > 0
    observed = _gap(np.ones((1, len(sums))), sums, counts, is_second)
    draws = np.concatenate([_gap(each, sums, counts, is_second) for each in resample(len(sums), SAMPLES, rng)])
    return Difference(metric, percentiles(float(observed[0]), draws), float(paired_p(draws[:, None])[0]))


def _gap(drawn: FloatArray, sums: FloatArray, counts: FloatArray, is_second: BoolArray) -> FloatArray:
    """The mean of the second arm minus that of the first, in each resample. [r, U] -> [r]."""
    means = [(drawn @ (sums * arm)) / np.maximum(drawn @ (counts * arm), 1e-9) for arm in (is_second, ~is_second)]
    found: FloatArray = means[0] - means[1]
    return found


def _by_user(values: FloatArray, users: IntArray) -> tuple[FloatArray, FloatArray]:
    """Sum and number of the values of each user who has any. [n] -> [u], [u]."""
    _, rows = np.unique(users, return_inverse=True)
    return np.bincount(rows, values).astype(np.float64), np.bincount(rows).astype(np.float64)


def summary(window: Window, ranks: Mapping[str, IntArray], coverage: Mapping[str, float]) -> dict[str, Any]:
    """One window as JSON: sizes, what could be hit, and each model's metrics."""
    n = len(window.events)
    shares = {
        "could_be_hit": float(1 - window.is_cold_item.mean()) if n else float("nan"),
        "cold_users": float(window.is_cold_user.mean()) if n else float("nan"),
    }
    models = {
        label: {name: float(column.mean()) if n else float("nan") for name, column in values_of(each).items()}
        | {"coverage": coverage[label]}
        for label, each in ranks.items()
    }
    return {
        "begin": window.begin,
        "end": window.end,
        "events": n,
        "repeated": window.repeated,
        **shares,
        "models": models,
    }

"""Reasons: the events of a history that a recommendation cites, and whether they hold when they are deleted."""

from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, rows_of
from matinee.histories import Histories
from matinee.models.base import Recommender
from matinee.ranking.explain import Explanation, drops_without_each, explain
from matinee.vocab import UNKNOWN

MAX_REASONS = 2
REASON_SHARE = 0.4
"""A second reason is given only if its contribution is at least this fraction of the first."""
DISLIKED_STARS = 2.0
"""A rating of so many stars or fewer is a dislike, on a scale from half a star to five."""
N_OTHERS = 8
"""Events that no item of a list cites, whose deletion is compared with that of the cited ones."""
MAX_EVENTS = 2**14
"""Of all histories with an event deleted, for one list: 100 deletions for 160 events, 8 for 2,000. What is not deleted
is not given as a reason."""
TIE = 1e-5
"""Drops that differ by less, relative to them, are equal: float32."""


def cite(contributions: FloatArray, weights: FloatArray, starts: IntArray) -> IntArray:
    """The events that contribute most to each item's score, strongest first, UNKNOWN for none. [B, k, MAX_REASONS].

    contributions: [N, k]; weights: [N], how much each event counts: one that counts nothing, or against its item, is
    no reason; starts: [B + 1]. A reason contributes more than 0.
    """
    cited = np.full((len(starts) - 1, contributions.shape[1], MAX_REASONS), UNKNOWN, dtype=np.int64)
    liked = np.where((weights > 0)[:, None], contributions, 0).T  # [k, N]
    order = _strongest_first(np.ascontiguousarray(liked), starts)
    values = np.take_along_axis(liked, order, axis=1)
    for place in range(MAX_REASONS):
        has = np.flatnonzero(np.diff(starts) > place)
        firsts = starts[:-1][has]
        adds = values[:, firsts + place]  # [k, H]
        is_reason = (adds > 0) & (adds >= REASON_SHARE * values[:, firsts])
        cited[has, :, place] = np.where(is_reason, order[:, firsts + place], UNKNOWN).T
    return cited


def _strongest_first(liked: FloatArray, starts: IntArray) -> IntArray:
    """The events by user, the largest of each first, equal ones in their order. [k, N] -> [k, N].

    Of a single user the first MAX_REASONS alone: a live list needs no more, and a sort takes five times as long.
    """
    if len(starts) > 2:
        return np.lexsort((-liked, np.broadcast_to(rows_of(starts), liked.shape)))
    rest, found = liked.copy(), []
    for _ in range(min(MAX_REASONS, liked.shape[1])):
        found.append(rest.argmax(axis=1))
        rest[np.arange(len(rest)), found[-1]] = -np.inf
    return np.stack(found, axis=1) if found else np.zeros((len(rest), 0), dtype=np.int64)


def liking(model: Recommender[Any], histories: Histories) -> FloatArray:
    """How much each event counts for its item, 0 for what is rated low where the model weighs all ratings equally. [N].

    A dislike is no reason to recommend anything, whatever it weighs.
    """
    weights, value_map = model.weigh(histories).weights, model.value_map
    if not value_map.unary or value_map.config.scale is None:
        return weights
    return np.where(value_map.stars_of(histories.values) <= DISLIKED_STARS, 0, weights)


def reasons_that_hold(
    model: Recommender[Any], history: Histories, item_rows: IntArray, scores: FloatArray
) -> tuple[IntArray, Explanation]:
    """The reasons of a list that hold, and the explanation that they come from. [k, MAX_REASONS], UNKNOWN for none.

    history: B = 1; item_rows, scores: [k]. A reason holds if its item's score drops without it, and by no less than
    on average without one of the others: those left out in turn, else those that other items cite and N_OTHERS that
    none does.
    """
    found = explain(model, history, item_rows[None], scores=scores[None])
    cited = cite(found.contributions, liking(model, history), history.starts)[0]
    if found.method == "left-out":
        events = np.flatnonzero(found.examined)
        drops = found.contributions[events]  # [E, k]
    else:
        events = _events_to_delete(cited, len(history.items))
        drops = drops_without_each(model, history, events, item_rows[None], scores[None], found.contributions)
    return np.where(_holds(cited, events, drops), cited, UNKNOWN), found


def _events_to_delete(cited: IntArray, n_events: int) -> IntArray:
    """The cited events, those that most items cite first, and N_OTHERS others at even steps of the history. Ascending.

    As many as MAX_EVENTS allow, at least two.
    """
    counts = np.bincount(cited[cited != UNKNOWN], minlength=n_events)
    named, others = np.flatnonzero(counts), np.flatnonzero(counts == 0)
    if len(named) == 0:
        return named
    most = max(2, MAX_EVENTS // n_events)
    n_others = min(len(others), N_OTHERS, most // 2)
    steps = np.arange(n_others) * (len(others) - 1) // max(1, n_others - 1)
    by_count = named[np.argsort(-counts[named], kind="stable")]
    is_chosen = np.zeros(n_events, dtype=bool)
    is_chosen[others[steps]] = True
    is_chosen[by_count[: most - n_others]] = True
    return np.flatnonzero(is_chosen)


def _holds(cited: IntArray, events: IntArray, drops: FloatArray) -> BoolArray:
    """Whether each cited event lowers its item's score, and by no less than the mean of the events not cited.

    cited: [k, m]; events: [E] ascending; drops: [E, k]. One that is not among `events` does not.
    """
    if len(events) == 0:
        return np.zeros(cited.shape, dtype=bool)
    is_cited = (events[:, None, None] == cited[None]).any(axis=2)  # [E, k]
    n_others = (~is_cited).sum(axis=0)
    means = np.where(is_cited, 0, drops).sum(axis=0) / np.maximum(n_others, 1)  # [k]
    indices = np.searchsorted(events, cited).clip(0, len(events) - 1)  # [k, m]
    own = drops[indices, np.arange(len(cited))[:, None]]
    enough = means - TIE * np.abs(means)
    holds: BoolArray = (events[indices] == cited) & (own > 0) & (own >= enough[:, None])
    return holds

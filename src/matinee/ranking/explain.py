"""What each event of a history adds to a score: exactly where a model can say, else by leaving it out."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.base import Explains, HasItemBias, Recommender

Method = Literal["exact", "left-out", "none"]
"""exact: parts of the score; left-out: how far it falls without the event; none: no event matters to the model."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What the N events of one history add to the scores of k items.

    parts: [N, k], 0 for events that were not looked at; shares: [k], what an item gets whatever the history;
    scores: [k], the model's, of which exact parts and shares are the sum; looked_at: of how many events, the last ones.
    """

    method: Method
    parts: FloatArray
    shares: FloatArray
    scores: FloatArray
    looked_at: int


def explain(
    model: Recommender[Any], history: Histories, item_rows: IntArray, most: int, scores: FloatArray | None = None
) -> Explanation:
    """Why some items score as they do. history of one user (B = 1); item_rows: [k]; scores: [k] if they are known.

    Models that cannot say leave out each of the last `most` events in turn, one batch of most + 1 histories:
    part = score with it - score without it. Such parts need not sum to anything.
    """
    n_events, n_items = len(history.items), len(item_rows)
    nothing = np.zeros((n_events, n_items), dtype=np.float32)
    none = np.zeros(n_items, dtype=np.float32)
    if not model.reads_history or n_events == 0:
        return Explanation("none", nothing, none, _scores(model, history, item_rows, scores), 0)
    if isinstance(model, Explains) and getattr(model.config, "user_state", "history") == "history":
        shares = model.item_bias_of(item_rows[None])[0] if isinstance(model, HasItemBias) else none
        parts = model.explain(history, item_rows[None])
        return Explanation("exact", parts, shares, _scores(model, history, item_rows, scores), n_events)
    first = max(0, n_events - most)
    shown = model.score(model.fold_in(_each_left_out(history, first)))[:, item_rows]  # [1 + N - first, k]
    parts = nothing
    parts[first:] = shown[0] - shown[1:]
    return Explanation("left-out", parts, none, shown[0], n_events - first)


def _scores(model: Recommender[Any], history: Histories, item_rows: IntArray, scores: FloatArray | None) -> FloatArray:
    return model.score(model.fold_in(history))[0, item_rows] if scores is None else scores


def _each_left_out(history: Histories, first: int) -> Histories:
    """The history whole, then without event `first`, without the next one, and so on. [1 + N - first] histories."""
    n_events = len(history.items)
    kept = np.ones((1 + n_events - first, n_events), dtype=bool)
    kept[np.arange(1, len(kept)), np.arange(first, n_events)] = False
    places = np.nonzero(kept)[1]
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return Histories(
        starts,
        history.items[places],
        history.weights[places],
        history.times[places],
        np.repeat(history.user_rows, len(kept)),
    )

"""Contribution of each event of a history to a score: exact if the model can explain, else by leaving it out."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.base import Explains, HasItemBias, Recommender

Method = Literal["exact", "left-out", "none"]
"""exact: terms of the score; left-out: how much it drops without the event; none: the model ignores events."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Contributions of the N events of one history to the scores of k items.

    contributions: [N, k], 0 for events that were not examined; item_bias: [k], the part that no event contributes;
    scores: [k], the model's, which exact contributions and item_bias sum to; n_examined: number of events examined,
    the last ones of the history.
    """

    method: Method
    contributions: FloatArray
    item_bias: FloatArray
    scores: FloatArray
    n_examined: int


def explain(
    model: Recommender[Any], history: Histories, item_rows: IntArray, max_events: int, scores: FloatArray | None = None
) -> Explanation:
    """Explain the scores of some items. history of one user (B = 1); item_rows: [k]; scores: [k] if known.

    For a model without `Explains`, each of the last `max_events` events is left out in turn, in one batch of
    max_events + 1 histories: contribution = score with it - score without it. These need not sum to the score.
    """
    n_events, n_items = len(history.items), len(item_rows)
    no_contributions = np.zeros((n_events, n_items), dtype=np.float32)
    no_bias = np.zeros(n_items, dtype=np.float32)
    if not model.reads_history or n_events == 0:
        return Explanation("none", no_contributions, no_bias, _scores(model, history, item_rows, scores), 0)
    if isinstance(model, Explains) and getattr(model.config, "user_state", "history") == "history":
        item_bias = model.item_bias_of(item_rows[None])[0] if isinstance(model, HasItemBias) else no_bias
        weighed = model.weigh(history)
        counted = weighed.weights != 0
        contributions = no_contributions
        contributions[counted] = model.explain(weighed.counted(), item_rows[None])
        return Explanation("exact", contributions, item_bias, _scores(model, history, item_rows, scores), n_events)
    first = max(0, n_events - max_events)
    found = model.score(model.state_of(_each_left_out(history, first)))[:, item_rows]  # [1 + N - first, k]
    contributions = no_contributions
    contributions[first:] = found[0] - found[1:]
    return Explanation("left-out", contributions, no_bias, found[0], n_events - first)


def _scores(model: Recommender[Any], history: Histories, item_rows: IntArray, scores: FloatArray | None) -> FloatArray:
    return model.score(model.state_of(history))[0, item_rows] if scores is None else scores


def _each_left_out(history: Histories, first: int) -> Histories:
    """The whole history, then without event `first`, without the next one, and so on. [1 + N - first] histories."""
    n_events = len(history.items)
    kept = np.ones((1 + n_events - first, n_events), dtype=bool)
    kept[np.arange(1, len(kept)), np.arange(first, n_events)] = False
    columns = np.nonzero(kept)[1]
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return Histories(
        starts,
        history.items[columns],
        history.values[columns],
        history.times[columns],
        np.repeat(history.user_rows, len(kept)),
    )

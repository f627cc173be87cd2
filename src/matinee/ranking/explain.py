"""Contribution of each event of a history to a score: exact if the model can explain, else by leaving it out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.base import Explains, HasDrops, HasItemBias, Recommender, ScoresWithoutEach, follows, is_exact
from matinee.vocab import UNKNOWN

Method = Literal["exact", "parts", "left-out", "none"]
"""exact: terms of the score; parts: about how much it drops without the event, by its parts; left-out: how much it does
drop; none: the model ignores events."""
LAST_EVENTS = 10
"""Events left out in turn, of a model that cannot explain: the last ones of each history."""
BLOCK_EVENTS, BLOCK_HISTORIES = 2**18, 1024
"""Of histories that are scored at once: their events, and their number (30 MB of scores of 4,000 items)."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Contributions of the N events of B histories to the scores of k items each.

    contributions: [N, k], 0 for events that were not examined, and for items that are UNKNOWN; item_bias: [B, k], the
    part that no event contributes; scores: [B, k], the model's, which exact contributions and item_bias sum to;
    examined: [N].
    """

    method: Method
    contributions: FloatArray
    item_bias: FloatArray
    scores: FloatArray
    examined: BoolArray

    @property
    def n_examined(self) -> int:
        """Number of events examined: the last ones of each history."""
        return int(self.examined.sum())


def explain(
    model: Recommender[Any],
    histories: Histories,
    item_rows: IntArray,
    *,
    max_events: int = LAST_EVENTS,
    scores: FloatArray | None = None,
) -> Explanation:
    """Explain the scores of k items of each history, of any model. item_rows: [B, k]; scores: [B, k] if known.

    For a model without `Explains` and without `HasDrops`, each of the last `max_events` events of a history is left out
    in turn: contribution = score with it - score without it. These need not sum to the score.
    """
    item_rows = np.asarray(item_rows)
    known = item_rows != UNKNOWN
    rows = np.where(known, item_rows, 0)
    if scores is None:
        scores = scores_of(model, histories, rows)
    no_bias = np.zeros(rows.shape, dtype=np.float32)
    contributions = np.zeros((len(histories.items), rows.shape[1]), dtype=np.float32)
    examined = np.zeros(len(histories.items), dtype=bool)
    if not model.reads_history or len(histories.items) == 0:
        return Explanation("none", contributions, no_bias, scores, examined)
    if is_exact(model):
        item_bias = cast(HasItemBias, model).item_bias_of(rows) if follows(type(model), HasItemBias) else no_bias
        contributions = _terms(model, histories, rows)
        examined[:] = True
        method: Method = "exact"
    elif (drops := known_drops(model, histories, rows)) is not None:
        item_bias, method, contributions = no_bias, "parts", drops
        examined[:] = True
    else:
        item_bias, method = no_bias, "left-out"
        later = histories.starts[1:][histories.owners] - np.arange(len(histories.items))  # 1 for the last event
        examined = later <= max_events
        contributions[examined] = drops_without_each(model, histories, np.flatnonzero(examined), rows, scores)
    contributions *= known[histories.owners]
    return Explanation(method, contributions, item_bias * known, scores, examined)


def _terms(model: Recommender[Any], histories: Histories, item_rows: IntArray) -> FloatArray:
    """What each event adds to the scores, of a model that explains; 0 for events that do not count. [N, k]."""
    terms = np.zeros((len(histories.items), item_rows.shape[1]), dtype=np.float32)
    weighed = model.weigh(histories)
    terms[weighed.weights != 0] = cast(Explains, model).explain(weighed.counted(), item_rows)
    return terms


def known_drops(model: Recommender[Any], histories: Histories, item_rows: IntArray) -> FloatArray | None:
    """The drops of a model that HasDrops, in blocks of bounded memory; None without. [N, k]."""
    if not follows(type(model), HasDrops):
        return None
    weighed = model.weigh(histories)
    counted, found = weighed.counted(), []
    for start, stop in blocks(counted):
        drops = cast(HasDrops, model).drops(counted.block(start, stop), item_rows[start:stop])
        if drops is None:
            return None
        found.append(drops)
    drops_of_all = np.zeros((len(histories.items), item_rows.shape[1]), dtype=np.float32)
    drops_of_all[weighed.weights != 0] = np.concatenate(found)
    return drops_of_all


def drops_without_each(
    model: Recommender[Any],
    histories: Histories,
    events: IntArray,
    item_rows: IntArray,
    scores: FloatArray,
    contributions: FloatArray | None = None,
) -> FloatArray:
    """How much the scores of an event's user drop without it. events: [E]; item_rows, scores: [B, k] -> [E, k].

    contributions: [N, k], as `explain` gives them, if known: of a model that adds up they are the drops.
    """
    owners = histories.owners[events]
    if not (model.adds_up or follows(type(model), ScoresWithoutEach)) or _has_repeats(histories):
        return scores[owners] - scores_of(model, histories.without_each(events), item_rows[owners])
    if model.adds_up:
        return (_terms(model, histories, item_rows) if contributions is None else contributions)[events]
    weighed = model.weigh(histories)
    counts = weighed.weights != 0
    if model.predicts_values:
        counts[:] = True
    is_counted = counts[events]
    chosen = (np.cumsum(counts) - 1)[events[is_counted]]  # their indices among the events that count
    left = cast(ScoresWithoutEach, model).scores_without_each(weighed.keep(counts), chosen, item_rows)
    if left is None:
        return scores[owners] - scores_of(model, histories.without_each(events), item_rows[owners])
    drops = np.zeros((len(events), item_rows.shape[1]), dtype=np.float32)
    drops[is_counted] = scores[owners[is_counted]] - left
    return drops


def _has_repeats(histories: Histories) -> bool:
    """Whether a history has an item twice."""
    keys = histories.owners * (int(histories.items.max(initial=0)) + 1) + histories.items
    return len(np.unique(keys)) < len(keys)


def scores_of(model: Recommender[Any], histories: Histories, item_rows: IntArray) -> FloatArray:
    """Scores of k items of each history, in blocks of bounded memory. item_rows [B, k] -> [B, k]."""
    found = np.empty(item_rows.shape, dtype=np.float32)
    for start, stop in blocks(histories):
        block_scores = model.score(model.state_of(histories.block(start, stop)))  # [b, I]
        found[start:stop] = np.take_along_axis(block_scores, item_rows[start:stop], axis=1)
    return found


def blocks(histories: Histories) -> Iterator[tuple[int, int]]:
    """Ranges of histories with at most BLOCK_HISTORIES and about BLOCK_EVENTS events each."""
    start = 0
    while start < len(histories):
        reach = int(np.searchsorted(histories.starts, histories.starts[start] + BLOCK_EVENTS, side="right")) - 1
        stop = min(max(reach, start + 1), start + BLOCK_HISTORIES, len(histories))
        yield start, stop
        start = stop


def without(histories: Histories, rows: IntArray, events: IntArray) -> Histories:
    """Histories `rows` [H], each without some of its events. events: [H, m], indices into the N events, or UNKNOWN."""
    taken = histories.take(rows)
    kept = np.ones(len(taken.items), dtype=bool)
    kept[_indices_in(histories, taken, rows, events)] = False
    return taken.keep(kept)


def only(histories: Histories, rows: IntArray, events: IntArray) -> Histories:
    """Histories `rows` [H], each with some of its events alone, in their order. events as in `without`."""
    taken = histories.take(rows)
    kept = np.zeros(len(taken.items), dtype=bool)
    kept[_indices_in(histories, taken, rows, events)] = True
    return taken.keep(kept)


def _indices_in(histories: Histories, taken: Histories, rows: IntArray, events: IntArray) -> IntArray:
    """Indices of events of `histories` among those of `taken`, which are its histories `rows`."""
    offsets = taken.starts[:-1] - histories.starts[rows]
    indices: IntArray = (events + offsets[:, None])[events != UNKNOWN]
    return indices

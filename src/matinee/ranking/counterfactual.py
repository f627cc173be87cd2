"""What would have to change for an item to leave a list, or to enter it: a smallest set of events of the history.

Changes are tried one at a time and in pairs, all of them; larger sets grow from the best pair by the change that moves
the item most, until it is where it should be or the search ends. Every trial is a whole list by the model, so a set
that is found does what it says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.histories import Histories
from matinee.models.base import Recommender
from matinee.ranking.explain import blocks, explain
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import similar
from matinee.vocab import UNKNOWN

MAX_CHANGES = 5
"""Larger sets are no answer to a person."""
MAX_CANDIDATES = 16
"""Changes that are tried: 16, and 120 pairs of them."""

Goal = Literal["leave", "enter"]


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A set of changes that moves an item out of the first k of the list, or into it.

    removed: item rows of the history; added: item rows that would be liked; rank_before, rank_after: of the item, from
    1; found: whether the changes do it, otherwise there are none; smallest: whether no smaller set of the changes that
    were tried does it (larger sets than three are not tried one by one); tried: lists made.
    """

    goal: Goal
    rank_before: int
    rank_after: int
    removed: tuple[int, ...]
    added: tuple[int, ...]
    found: bool
    smallest: bool
    tried: int


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked: the item and the length k of the list, and what may be listed.

    history: B = 1; allowed: [I], None for all items; cold: the scores of a history without likes, as in rank().
    """

    history: Histories
    item_row: int
    k: int
    allowed: BoolArray | None = None
    cold: Fallback | None = None


def find_counterfactual(
    model: Recommender[Any], question: Question, out_of_time: Callable[[], bool] = lambda: False
) -> Counterfactual:
    """The smallest set of changes that is found. out_of_time: asked before each round of lists; ends the search.

    To leave a list, events of the history are removed, those first that contribute most to the item. To enter it,
    events that count against the item are removed, or items that are similar to it are liked. An item that is removed
    from the history may be listed itself.
    """
    history, item = question.history, question.item_row
    before = int(_ranks(model, question, [((), ())])[0])
    goal: Goal = "leave" if before <= question.k else "enter"
    candidates = _removable(model, history, item, goal)
    if goal == "enter":
        candidates = [*candidates, *_likeable(model, history, item)][:MAX_CANDIDATES]
    tried = 1

    def reaches(rank: int) -> bool:
        return rank > question.k if goal == "leave" else rank <= question.k

    base: tuple[_Change, ...] = ()
    for size in range(1, min(MAX_CHANGES, len(candidates)) + 1):
        if out_of_time():
            break
        if size <= 2:
            sets = list(combinations(candidates, size))
        else:
            sets = [(*base, change) for change in candidates if change not in base]
        ranks = _ranks(model, question, [_split(one) for one in sets])
        tried += len(sets)
        best = int(np.argmax(ranks) if goal == "leave" else np.argmin(ranks))
        base = sets[best]
        if reaches(int(ranks[best])):
            removed, added = _split(base)
            rows = tuple(int(history.items[event]) for event in removed)
            return Counterfactual(goal, before, int(ranks[best]), rows, added, True, size <= 3, tried)
    return Counterfactual(goal, before, before, (), (), False, False, tried)


_Change = tuple[Literal["remove", "add"], int]
"""An event of the history to remove, or the row of an item to like."""


def _split(changes: Sequence[_Change]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The events to remove, and the items to add."""
    removed, added = (tuple(row for kind, row in changes if kind == wanted) for wanted in ("remove", "add"))
    return removed, added


def _removable(model: Recommender[Any], history: Histories, item_row: int, goal: Goal) -> list[_Change]:
    """Events that move the item the right way when they are removed, the strongest first."""
    if len(history.items) == 0:
        return []
    found = explain(model, history, np.array([[item_row]]), max_events=2 * MAX_CANDIDATES)
    parts = found.contributions[:, 0] * (1 if goal == "leave" else -1)
    order = np.argsort(-parts, kind="stable")[: MAX_CANDIDATES if goal == "leave" else MAX_CANDIDATES // 2]
    return [("remove", int(event)) for event in order if parts[event] > 0]


def _likeable(model: Recommender[Any], history: Histories, item_row: int) -> list[_Change]:
    """Items most similar to the item, without those of the history."""
    if not model.reads_history:
        return []
    near = similar(model, np.array([item_row], dtype=np.int32), MAX_CANDIDATES + len(history.items)).items[0]
    own = {item_row, UNKNOWN, *history.items.tolist()}
    return [("add", row) for row in near.tolist() if row not in own][:MAX_CANDIDATES]


def _ranks(
    model: Recommender[Any], question: Question, changes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> IntArray:
    """Rank of the item in the list of each changed history, from 1. [number of changes]."""
    changed = _changed(question.history, changes)
    ranks = np.empty(len(changed), dtype=np.int64)
    for start, stop in blocks(changed):
        block = changed.block(start, stop)
        scores = model.score(model.state_of(block))  # [b, I]
        if question.cold is not None:
            weighed = model.weigh(block)
            without = np.flatnonzero(np.bincount(weighed.owners[weighed.weights > 0], minlength=len(block)) == 0)
            if len(without):
                scores[without] = question.cold.scores(block.take(without))
        own = scores[:, question.item_row].copy()[:, None]
        if question.allowed is not None:
            scores[:, ~question.allowed] = -np.inf
        scores[block.owners, block.items] = -np.inf
        before = (scores == own) & (np.arange(scores.shape[1]) < question.item_row)
        ranks[start:stop] = 1 + np.count_nonzero(scores > own, axis=1) + np.count_nonzero(before, axis=1)
    return ranks


def _changed(history: Histories, changes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> Histories:
    """The history with some events removed and some items liked after them, for each pair of both."""
    n, end = len(history.items), int(history.times.max(initial=0))
    removed, added = zip(*changes, strict=True)
    kept = np.ones((len(changes), n), dtype=bool)
    rows = np.repeat(np.arange(len(changes)), list(map(len, removed)))
    kept[rows, np.array([event for one in removed for event in one], dtype=np.int64)] = False
    new = np.array([row for one in added for row in one], dtype=history.items.dtype)
    owners, events = np.nonzero(kept)
    new_owners = np.repeat(np.arange(len(changes)), list(map(len, added)))
    order = np.argsort(np.concatenate([owners, new_owners]), kind="stable")  # new items last in each history
    lengths = kept.sum(axis=1) + np.array(list(map(len, added)))
    return Histories(
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([history.items[events], new])[order],
        np.concatenate([history.values[events], np.full(len(new), np.inf, dtype=np.float32)])[order],
        np.concatenate([history.times[events], np.full(len(new), end, dtype=np.int64)])[order],
        np.repeat(history.user_rows, len(changes)),
    )

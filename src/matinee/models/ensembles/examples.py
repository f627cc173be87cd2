"""What a model over others learns to rank: users whose events are partly held out, and all parts' candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, top_k
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender

BLOCK = 256
"""Histories scored at once."""
Describe: TypeAlias = Callable[[Sequence[FloatArray], Histories, IntArray, IntArray], FloatArray]
"""(scores of each part [b, I], their histories, owners [q], items [q]) -> features [q, F]."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The candidates of B users: the union of what the parts rank highest, by user and item row.

    owners, items: [Q]; features: [Q, F]; part_scores: [Q, P]; is_target: [Q], held out of the user's history;
    n_targets: [B], all that is held out; lengths: [B], events of the history.
    """

    owners: IntArray
    items: IntArray
    features: FloatArray
    part_scores: FloatArray
    is_target: BoolArray
    n_targets: IntArray
    lengths: IntArray

    def of_pairs(self, pairs: BoolArray) -> "Examples":
        """Some of the candidates, [Q], of the same users."""
        return replace(
            self,
            owners=self.owners[pairs],
            items=self.items[pairs],
            features=self.features[pairs],
            part_scores=self.part_scores[pairs],
            is_target=self.is_target[pairs],
        )


def union_of_best(scores: Sequence[FloatArray], histories: Histories, k: int) -> tuple[IntArray, IntArray]:
    """The items outside each history that are among the k best of any part, by user and row: owners, items [q]."""
    listed = np.zeros(scores[0].shape, dtype=bool)
    for each in scores:
        outside = each.copy()
        outside[histories.owners, histories.items] = -np.inf
        columns, best = top_k(outside, min(k, outside.shape[1]))
        owners = np.repeat(np.arange(len(columns)), columns.shape[1])
        shown = np.isfinite(best).ravel()
        listed[owners[shown], columns.ravel()[shown]] = True
    owners, items = np.nonzero(listed)
    return owners, items


def examples_of(
    parts: Sequence[Recommender[Any]],
    train: TrainingData,
    held: BoolArray,
    users: IntArray,
    k: int,
    describe: Describe,
) -> Examples:
    """The examples of some users, of parts that were fitted without the held-out events [N] of `train`."""
    histories, all_owners = train.histories.keep(~held), train.histories.owners
    wanted = np.unique(all_owners[held] * train.n_items + train.histories.items[held])
    found = []
    for start in range(0, len(users), BLOCK):
        block = histories.take(users[start : start + BLOCK])
        scores = [part.score(part.fold_in(block)) for part in parts]
        owners, items = union_of_best(scores, block, k)
        of_parts = np.stack([each[owners, items] for each in scores], axis=1)
        found.append((owners + start, items, describe(scores, block, owners, items), of_parts))
    owners, items, features, of_parts = (np.concatenate(columns) for columns in zip(*found, strict=True))
    is_target = np.isin(users[owners] * train.n_items + items, wanted)
    n_targets = np.bincount(wanted // train.n_items, minlength=train.n_users)[users]
    return Examples(owners, items, features, of_parts, is_target, n_targets, histories.lengths[users])

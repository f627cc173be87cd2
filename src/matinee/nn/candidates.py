"""Candidates: items that represent the catalogue in a step, so that an epoch goes by the events, not by all pairs."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.histories import TrainingData

UNSEEN = 0.5
"""Events that an item without any counts as, when candidates are drawn."""
N_CANDIDATES, STEPS = 4096, 100
"""Candidates of a step, and steps of an epoch at most, by default where a catalogue is large."""
MANY_ITEMS, MANY_PAIRS, PAIRS_PER_EVENT = 3 * N_CANDIDATES, 4 * 10**8, 25
"""A large catalogue: items of which candidates are a third at most; pairs of a user and an item from which an epoch
over all takes 5 s and more; and pairs for each event, whose own score costs as much as that of so many in a dense
product."""


class Candidates:
    """Draws the items that represent the catalogue in a step: the most popular, and as many random ones of the rest.

    size: how many in all, where one that is drawn twice counts as two; 0, or as many as there are items: every item.
    by_root: draw in proportion to the root of popularity, for sums in which popular items weigh more; else evenly.
    """

    def __init__(self, matrix: csr_array, size: int, rng: np.random.Generator, *, by_root: bool = False) -> None:
        self.rng, self.n_items, self.by_root = rng, matrix.shape[1], by_root
        popularity = np.bincount(matrix.indices, minlength=self.n_items)
        order = np.argsort(-popularity, kind="stable")
        self.size = size if 0 < size < self.n_items else self.n_items
        self.popular, self.rest = np.split(order, [self.size // 2])
        self.cumulative = np.cumsum(np.sqrt(np.maximum(popularity[self.rest], UNSEEN)))

    @property
    def is_everything(self) -> bool:
        """Whether every item is a candidate."""
        return self.size == self.n_items

    def draw(self) -> tuple[IntArray, FloatArray]:
        """Item rows [n] and weights [n], how many items each one represents; they sum to I, by_root in the mean."""
        if self.is_everything:
            return np.arange(self.n_items), np.ones(self.n_items, dtype=np.float32)
        n_drawn = self.size - len(self.popular)
        if self.by_root:
            return self._draw_by_root(n_drawn)
        drawn = self.rng.choice(self.rest, n_drawn, replace=False)
        weights = np.ones(self.size, dtype=np.float32)
        weights[len(self.popular) :] = len(self.rest) / n_drawn
        return np.concatenate([self.popular, drawn]), weights

    def _draw_by_root(self, n_drawn: int) -> tuple[IntArray, FloatArray]:
        total = self.cumulative[-1]
        found = np.searchsorted(self.cumulative, self.rng.random(n_drawn) * total, "right")
        indices, times = np.unique(np.minimum(found, len(self.rest) - 1), return_counts=True)
        probabilities = np.diff(self.cumulative, prepend=0)[indices] / total
        weights = np.concatenate([np.ones(len(self.popular)), times / (n_drawn * probabilities)])
        return np.concatenate([self.popular, self.rest[indices]]), weights.astype(np.float32)


def has_large_catalogue(train: TrainingData) -> bool:
    """Whether pairs of a user and an item are so many, and so much more than the events, that candidates pay."""
    n_pairs = train.n_users * train.n_items
    is_large = train.n_items >= MANY_ITEMS and n_pairs >= MANY_PAIRS
    return is_large and n_pairs >= PAIRS_PER_EVENT * len(train.histories.items)


def large_catalogue_defaults(train: TrainingData, batch_size: int = 0, **others: str) -> dict[str, Any]:
    """`candidates`, and a `batch_size` that is no less than the given one, on a large catalogue; else nothing.

    Each step changes all parameters once (Adam), so steps are bounded too. batch_size 0: not by batches of users.
    others: defaults that go with candidates; where one of them is set, this rule does not apply.
    """
    if not has_large_catalogue(train):
        return {}
    batches = {"batch_size": max(batch_size, -(-train.n_users // STEPS))} if batch_size else {}
    return {"candidates": N_CANDIDATES, **batches, **others}


def shared_cells(matrix: csr_array, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Where users have candidates: the user of each such cell and its column among the item rows [n]. [c], [c]."""
    columns = np.full(matrix.shape[1], -1, dtype=np.int64)
    columns[rows] = np.arange(len(rows))
    found = columns[matrix.indices]
    stored = np.flatnonzero(found >= 0)
    return rows_of(matrix.indptr)[stored], found[stored]

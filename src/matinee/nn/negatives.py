"""Negatives as arrays: which items a positive is told apart from, and how often to expect each."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.training.configs import NegativeKind

TABLE_CELLS = 2**26
"""Up to so many users times items, who has what is looked up in a table (64 MB), else by binary search."""


@dataclass(frozen=True, slots=True, eq=False)
class Negatives:
    """Negatives of P positives.

    items: [P, n], or [n] if all positives share them; left_out: [P, n], where one is no negative;
    log_q: the logarithm of how often each item was to be expected among them, of the shape of items.
    """

    items: IntArray
    left_out: BoolArray
    log_q: FloatArray


class NegativeSampler:
    """Draws negatives of one kind.

    matrix: users by items, what they have [U, I]; n: how many for each positive (in-batch: all of the batch).
    """

    def __init__(self, kind: NegativeKind, matrix: csr_array, n: int, rng: np.random.Generator) -> None:
        self.kind, self.n, self.rng = kind, n, rng
        self.n_items = matrix.shape[1]
        owners = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
        self.keys = np.sort(owners * self.n_items + matrix.indices)
        self.table = None
        if matrix.shape[0] * self.n_items <= TABLE_CELLS:
            self.table = np.zeros(matrix.shape, dtype=bool)
            self.table[owners, matrix.indices] = True
        popularity = np.bincount(matrix.indices, minlength=self.n_items)
        self.cumulative = np.cumsum(popularity)
        self.popularity = popularity / max(len(self.keys), 1)  # [I], sums to 1

    def draw(self, user_rows: IntArray, item_rows: IntArray) -> Negatives:
        """Negatives of a batch of positives, each a user and an item. [P], [P]."""
        drawn = self._items(item_rows)
        return Negatives(drawn, self.has(user_rows[:, None], drawn), self._log_expected(drawn, len(item_rows)))

    def has(self, user_rows: IntArray, item_rows: IntArray) -> BoolArray:
        """Whether users have items. Shapes that broadcast."""
        if self.table is not None:
            return np.asarray(self.table[user_rows, item_rows])
        wanted = user_rows * np.int64(self.n_items) + item_rows
        if len(self.keys) == 0:
            return np.zeros(wanted.shape, dtype=bool)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found: BoolArray = self.keys[places] == wanted
        return found

    def _log_expected(self, drawn: IntArray, n_pairs: int) -> FloatArray:
        """How often each item is expected among a positive's negatives, as a logarithm. Of the shape of drawn."""
        by_popularity = {"in-batch": n_pairs - 1, "mixed": n_pairs - 1, "popularity": self.n}.get(self.kind, 0)
        uniformly = {"mixed": n_pairs, "uniform": self.n}.get(self.kind, 0)
        expected = by_popularity * self.popularity[drawn] + uniformly / self.n_items
        return np.log(np.maximum(expected, 1e-12)).astype(np.float32)

    def _items(self, item_rows: IntArray) -> IntArray:
        """[P, n], or [n] for all: the batch's own positives, with as many drawn uniformly if mixed."""
        n_pairs = len(item_rows)
        if self.kind == "in-batch":
            return item_rows
        if self.kind == "mixed":
            return np.concatenate([item_rows, self.rng.integers(self.n_items, size=n_pairs)])
        if self.kind == "uniform":
            return self.rng.integers(self.n_items, size=(n_pairs, self.n))
        places = self.rng.integers(self.cumulative[-1], size=(n_pairs, self.n))
        drawn: IntArray = np.searchsorted(self.cumulative, places, "right")
        return drawn

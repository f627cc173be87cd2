"""Ranking losses over sampled negatives, and the sampler: which items a positive is compared with, and how often."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.training.configs import NegativeKind

TABLE_CELLS = 2**26
"""Largest users x items table of seen pairs (64 MB); beyond it, pairs are found by binary search."""


@dataclass(frozen=True, slots=True, eq=False)
class Negatives:
    """Negatives of P positives.

    items: [P, n], or [n] where all positives share them; excluded: [P, n], true where the user has the item, so it is
    no negative; log_q: logarithm of each item's expected count among the negatives of a positive, shaped like items.
    """

    items: IntArray
    excluded: BoolArray
    log_q: FloatArray


class NegativeSampler:
    """Draws negatives of one kind.

    matrix: interactions [U, I]; n: negatives of each positive (ignored by in-batch and mixed, which take the batch).
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
        """Negatives of a batch of positive pairs. [P], [P]."""
        items = self._draw_items(item_rows)
        return Negatives(items, self.has_seen(user_rows[:, None], items), self._log_q(items, len(item_rows)))

    def has_seen(self, user_rows: IntArray, item_rows: IntArray) -> BoolArray:
        """Whether each user has interacted with each item. The shapes broadcast."""
        if self.table is not None:
            return np.asarray(self.table[user_rows, item_rows])
        wanted = user_rows * np.int64(self.n_items) + item_rows
        if len(self.keys) == 0:
            return np.zeros(wanted.shape, dtype=bool)
        indices = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found: BoolArray = self.keys[indices] == wanted
        return found

    def _log_q(self, items: IntArray, n_pairs: int) -> FloatArray:
        """Logarithm of each item's expected count among the negatives of one positive. Shaped like items."""
        n_by_popularity = {"in-batch": n_pairs - 1, "mixed": n_pairs - 1, "popularity": self.n}.get(self.kind, 0)
        n_uniform = {"mixed": n_pairs, "uniform": self.n}.get(self.kind, 0)
        expected = n_by_popularity * self.popularity[items] + n_uniform / self.n_items
        return np.log(np.maximum(expected, 1e-12)).astype(np.float32)

    def _draw_items(self, item_rows: IntArray) -> IntArray:
        """[P, n], or [n] shared by the batch: its positives, and in `mixed` as many uniform draws."""
        n_pairs = len(item_rows)
        if self.kind == "in-batch":
            return item_rows
        if self.kind == "mixed":
            return np.concatenate([item_rows, self.rng.integers(self.n_items, size=n_pairs)])
        if self.kind == "uniform":
            return self.rng.integers(self.n_items, size=(n_pairs, self.n))
        events = self.rng.integers(self.cumulative[-1], size=(n_pairs, self.n))  # a random event's item
        items: IntArray = np.searchsorted(self.cumulative, events, "right")
        return items


def sampled_loss(kind: str, positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean loss of P positive scores [P] against n negative scores each [P, n]; -inf excludes a negative.

    infonce: -log(e^p / (e^p + Σ e^n)): van den Oord et al. 2018, eq. 4. bpr: mean of -log σ(p - n): Rendle et al.
    2009, section 4. bce: -log σ(p) - Σ log σ(-n), averaged over all terms: He et al. 2017, eq. 7.
    """
    if kind == "infonce":
        return (torch.logsumexp(torch.cat([positives[:, None], negatives], dim=1), dim=1) - positives).mean()
    is_included = torch.isfinite(negatives)
    if kind == "bpr":
        return functional.softplus(negatives - positives[:, None]).sum() / is_included.sum().clamp(min=1)
    if kind == "bce":
        total = functional.softplus(-positives).sum() + functional.softplus(negatives).sum()
        return total / (len(positives) + is_included.sum())
    raise ValueError(f"no sampled loss {kind!r}")

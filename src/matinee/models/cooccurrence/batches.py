"""Batches of co-occurrence counts: the training data of item2vec and movie-pairs."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories
from matinee.models.cooccurrence.counts import PairWeight, sample_pairs
from matinee.training.configs import GradientConfig

Batch = tuple[IntArray, csr_array]
"""Item rows [b] and their weighted counts [b, I]; a batch sums to an unbiased estimate of all counts over their sum."""


class CooccurrenceConfig(GradientConfig):
    """Settings of models that learn from co-occurrence counts by gradients."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of the vectors."""
    epochs: PositiveInt = 12
    """Passes over the rows of the counts; with `pairs = "sampled"`, over as many pairs as `sampled_pairs`."""
    learning_rate: Annotated[PositiveFloat, Search(0.005, 0.1, log=True, first=True)] = 0.05
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning-rate schedule: constant, stepwise, cosine to zero, or reduced on a plateau."""
    pair_weight: PairWeight = "user"
    """`pair`: every pair has weight 1; `user`: 1 / (n - 1) for a user of n items, whose pairs then sum to n."""
    pairs: Literal["counts", "sampled"] = "counts"
    """Learn from all counts exactly, or, where they do not fit in memory, from sampled pairs."""
    sampled_pairs: PositiveInt = 1_000_000
    """sampled: pairs per epoch."""
    batch_size: PositiveInt = 256
    """Items per step (counts; rows of the matrix), or pairs per step (sampled)."""
    row_power: Annotated[float, Field(ge=0, le=1), Search(0, 1, first=True)] = 0.5
    """counts: rows are sampled with probability proportional to (row sum)^row_power, and reweighted."""


class CooccurrenceBatches:
    """Iterates over the batches of one epoch: sampled rows of the counts [I, I], or pairs sampled from histories.

    row_sums: [I], the counts' row sums, or the items' numbers of events.
    """

    def __init__(
        self,
        config: CooccurrenceConfig,
        source: csr_array | Histories,
        n_items: int,
        rng: np.random.Generator,
        window: int | None = None,
    ) -> None:
        self.config, self.source, self.n_items, self.rng, self.window = config, source, n_items, rng, window
        if isinstance(source, Histories):
            self.row_sums = np.bincount(source.items, minlength=n_items).astype(np.float64)
        else:
            self.row_sums = np.asarray(source.sum(axis=1), dtype=np.float64).ravel()
            sizes = self.row_sums**config.row_power * (self.row_sums > 0)
            self.probabilities = inclusion_probabilities(sizes, config.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self._pairs(self.source) if isinstance(self.source, Histories) else self._rows(self.source)

    def _rows(self, counts: csr_array) -> Iterator[Batch]:
        """Rows of the counts by systematic sampling with unequal inclusion probabilities, in random order."""
        sums, probabilities = self.row_sums, self.probabilities
        weights = sums / sums.sum() / np.maximum(probabilities, 1e-300)  # Horvitz-Thompson
        for _ in range(max(1, round(np.count_nonzero(sums) / max(probabilities.sum(), 1)))):
            order = self.rng.permutation(len(sums))
            ends = np.cumsum(probabilities[order])
            points = np.arange(self.rng.random(), ends[-1], 1.0)
            rows = np.sort(order[np.searchsorted(ends, points, side="right")])
            rows = rows[sums[rows] > 0]
            targets = counts[rows]
            scale = (weights[rows] / sums[rows]).astype(np.float32)
            targets.data *= np.repeat(scale, np.diff(targets.indptr))
            yield rows, targets

    def _pairs(self, histories: Histories) -> Iterator[Batch]:
        """Sampled pairs, as counts of the items that are first in one."""
        config = self.config
        for start in range(0, config.sampled_pairs, config.batch_size):
            size = min(config.batch_size, config.sampled_pairs - start)
            first, second = sample_pairs(histories, size, self.rng, config.pair_weight, self.window)
            if len(first):
                rows, indices = np.unique(first, return_inverse=True)
                weights = np.full(len(first), 1 / len(first), dtype=np.float32)
                yield rows, csr_array((weights, (indices, second)), shape=(len(rows), self.n_items))


def inclusion_probabilities(sizes: FloatArray, n_sampled: int) -> FloatArray:
    """Probabilities proportional to sizes, at most 1, that sum to n_sampled or the number of non-zero sizes. [R]."""
    if int(np.count_nonzero(sizes)) <= n_sampled:
        return np.where(sizes > 0, 1.0, 0.0)
    probabilities: FloatArray = sizes * (n_sampled / sizes.sum())
    while (probabilities > 1).any():
        certain = probabilities >= 1
        probabilities[certain] = 1
        probabilities[~certain] = sizes[~certain] * ((n_sampled - certain.sum()) / sizes[~certain].sum())
    return probabilities

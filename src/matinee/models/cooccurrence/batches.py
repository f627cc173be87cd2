"""Rows of co-occurrence counts in batches: what the models of pairs learn from, step by step."""

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
"""Item rows [b], and what each was seen with [b, I], weighed so that a batch estimates the shares of all pairs."""


class PairsConfig(GradientConfig):
    """Settings of models that learn from pairs of items by gradients."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of the vectors."""
    epochs: PositiveInt = 12
    """Passes over the rows of the counts; with `pairs = "sampled"`, over as many pairs as `sampled_pairs`."""
    learning_rate: Annotated[PositiveFloat, Search(0.005, 0.1, log=True)] = 0.05
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""
    pair_weight: PairWeight = "user"
    """Whether each pair counts alike, or each person's pairs count as many as they have movies."""
    pairs: Literal["counts", "sampled"] = "counts"
    """Learn from all counts exactly, or, where they do not fit in memory, from pairs drawn as it goes."""
    sampled_pairs: PositiveInt = 1_000_000
    """sampled: pairs of an epoch."""
    batch_size: PositiveInt = 256
    """Movies read a step (counts), or pairs (sampled)."""
    row_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """counts: a movie is read in a step with a chance that grows with its pairs^row_power; weights make up for it."""


class PairBatches:
    """The batches of an epoch, by chance from rng: rows of counts [I, I], or pairs drawn from histories."""

    def __init__(
        self,
        config: PairsConfig,
        source: csr_array | Histories,
        n_items: int,
        rng: np.random.Generator,
        window: int | None = None,
    ) -> None:
        self.config, self.source, self.n_items, self.rng, self.window = config, source, n_items, rng, window
        if isinstance(source, Histories):
            self.popularity = np.bincount(source.items, minlength=n_items).astype(np.float64)
        else:
            self.popularity = np.asarray(source.sum(axis=1), dtype=np.float64).ravel()
            self.chances = inclusion(self.popularity**config.row_power * (self.popularity > 0), config.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self._drawn(self.source) if isinstance(self.source, Histories) else self._rows(self.source)

    def _rows(self, counts: csr_array) -> Iterator[Batch]:
        """Rows of the counts, drawn at even steps along a shuffled line on which each is its chance long."""
        mass = self.popularity
        shares = mass / mass.sum() / np.maximum(self.chances, 1e-300)  # the weight of a drawn row
        for _ in range(max(1, round(np.count_nonzero(mass) / max(self.chances.sum(), 1)))):
            order = self.rng.permutation(len(mass))
            ends = np.cumsum(self.chances[order])
            points = np.arange(self.rng.random(), ends[-1], 1.0)
            rows = np.sort(order[np.searchsorted(ends, points, side="right")])
            rows = rows[mass[rows] > 0]
            targets = counts[rows]
            scale = (shares[rows] / mass[rows]).astype(np.float32)
            targets.data *= np.repeat(scale, np.diff(targets.indptr))
            yield rows, targets

    def _drawn(self, histories: Histories) -> Iterator[Batch]:
        """Drawn pairs, as counts of the movies that are read in them."""
        config = self.config
        for start in range(0, config.sampled_pairs, config.batch_size):
            size = min(config.batch_size, config.sampled_pairs - start)
            read, named = sample_pairs(histories, size, self.rng, config.pair_weight, self.window)
            if len(read):
                rows, places = np.unique(read, return_inverse=True)
                shares = np.full(len(read), 1 / len(read), dtype=np.float32)
                yield rows, csr_array((shares, (places, named)), shape=(len(rows), self.n_items))


def inclusion(sizes: FloatArray, n_drawn: int) -> FloatArray:
    """Chances in proportion to sizes that sum to n_drawn (or to how many sizes are above 0), none above 1. [R]."""
    if int(np.count_nonzero(sizes)) <= n_drawn:
        return np.where(sizes > 0, 1.0, 0.0)
    chances: FloatArray = sizes * (n_drawn / sizes.sum())
    while (chances > 1).any():
        sure = chances >= 1
        chances[sure] = 1
        chances[~sure] = sizes[~sure] * ((n_drawn - sure.sum()) / sizes[~sure].sum())
    return chances

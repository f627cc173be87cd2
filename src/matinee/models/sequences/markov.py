"""Markov: what people watched right after the movies that someone watched last."""

from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, starts_of
from matinee.config import Config, Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.nn.sparse_rows import entries_at
from matinee.training.run import Run


class MarkovConfig(Config):
    """Settings of Markov."""

    steps: Annotated[PositiveInt, Search(1, 30, log=True)] = 10
    """How far apart two events may be, and how many of the last events are read; 1 is the first-order chain."""
    decay: Annotated[float, Field(gt=0, le=1), Search(0.5, 1)] = 0.75
    """What one more step between two events makes of a transition's weight; with 1 step it means nothing."""
    smoothing: Annotated[PositiveFloat, Search(0.1, 1000, log=True)] = 10.0
    """How many transitions after an item popularity is worth: mistrusts those that few people made."""


class Markov(Recommender[csr_array]):
    """score(i) = sum over the last events j, d steps back, of decay^(d - 1) P(i | j).

    P(i | j) = (C_ji + s p_i) / (C_j + s): C_ji the transitions from j to i in the histories, one of d steps counting
    decay^(d - 1), C_j their sum over i, p the items' share of all events, s = `smoothing`.
    With one step: the first-order chain of Shani, Heckerman and Brafman 2005, section 3.1, and its skipping for more
    (3.2), with a Dirichlet prior in the place of their clusters. Whoever has no history is scored by p.
    """

    name = "markov"
    Config = MarkovConfig
    learned = ("transitions", "trust", "popularity")
    ordered = True
    config: MarkovConfig
    transitions: csr_array  # [I, I], C_ji / (C_j + s)
    trust: FloatArray  # [I], s / (C_j + s): how much popularity counts after j
    popularity: FloatArray  # [I], p

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        smoothing = np.float32(self.config.smoothing)
        counts = count_transitions(train.histories, train.n_items, self.config.steps, self.config.decay)
        total = np.asarray(counts.sum(axis=1), dtype=np.float32) + smoothing  # [I]
        counts.data /= np.repeat(total, np.diff(counts.indptr))
        self.transitions, self.trust = counts, smoothing / total
        self.popularity = (train.popularity / max(len(train.histories.items), 1)).astype(np.float32)
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """The last events of each history with their weights, the last one 1. [B, I]."""
        weights = self._weights(histories)
        near = np.flatnonzero(weights)
        owners = histories.owners[near]
        shape = (len(histories), len(self.popularity))
        state = csr_array((weights[near], histories.items[near], starts_of(owners, len(histories))), shape=shape)
        state.sum_duplicates()
        return state

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = (state @ self.transitions).toarray()
        trust = np.where(np.diff(state.indptr) > 0, state @ self.trust, np.float32(1))
        scores += trust[:, None] * self.popularity
        return scores

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Each event's own summand; 0 for those too long ago. [N, k]."""
        wanted = item_rows[histories.owners]  # [N, k]
        sources = np.repeat(histories.items, item_rows.shape[1])
        followed = entries_at(self.transitions, sources, wanted.ravel()).reshape(wanted.shape)
        chances = followed + self.trust[histories.items][:, None] * self.popularity[wanted]
        summands: FloatArray = self._weights(histories)[:, None] * chances
        return summands

    def _weights(self, histories: Histories) -> FloatArray:
        """decay^(steps back) of the last `steps` events of each history, 0 for the others. [N]."""
        back = histories.starts[1:][histories.owners] - 1 - np.arange(len(histories.items))
        weights = np.float32(self.config.decay) ** back.astype(np.float32)
        return np.where(back < self.config.steps, weights, np.float32(0))


def count_transitions(histories: Histories, n_items: int, steps: int, decay: float) -> csr_array:
    """How often i came d = 1..steps events after j in a history, each counting decay^(d - 1). [I, I], rows are j."""
    owners, items = histories.owners, histories.items
    nothing = np.zeros(n_items + 1, dtype=np.int32)
    total: csr_array = csr_array((np.zeros(0, np.float32), nothing[:0], nothing), shape=(n_items, n_items))
    for distance in range(1, min(steps, len(items) - 1) + 1):
        within = owners[distance:] == owners[:-distance]
        if not within.any():
            break
        pair = (items[:-distance][within], items[distance:][within])
        weights = np.full(len(pair[0]), decay ** (distance - 1), dtype=np.float32)
        total = total + csr_array((weights, pair), shape=(n_items, n_items))
    return total

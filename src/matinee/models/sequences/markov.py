"""Markov: a chain over the last events, with skips and a popularity prior."""

from dataclasses import replace
from typing import Annotated, Self

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, starts_of
from matinee.config import Config, Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import FitsFromCounts, Recommender
from matinee.models.followers import EventBags, SparseFollowers
from matinee.models.item_strips import count_in_strips
from matinee.nn.sparse_rows import entries_of_events, product_in_order
from matinee.training.run import Run


class MarkovConfig(Config):
    """Settings of Markov."""

    steps: Annotated[PositiveInt, Search(1, 30, log=True)] = 10
    """Largest distance of a counted transition, and number of last events that are read; 1 is the first-order chain."""
    decay: Annotated[float, Field(gt=0, le=1), Search(0.5, 1, first=True)] = 0.75
    """Factor of a transition's weight for each further step; without effect if steps = 1."""
    smoothing: Annotated[PositiveFloat, Search(0.1, 1000, log=True, first=True)] = 10.0
    """Strength of the popularity prior, in pseudo-transitions."""


class Markov(Recommender[csr_array], FitsFromCounts[csr_array]):
    """score_i = sum over the last `steps` events j, d steps from the end, of decay^(d - 1) P(i | j).

    P(i | j) = (C_ji + s p_i) / (C_j + s): C_ji counts the transitions from j to i within `steps` events, each weighted
    decay^(distance - 1), C_j is its sum over i, p the items' fraction of all events, s = `smoothing`.
    Source: Shani, Heckerman and Brafman 2005, section 3.1 (chain) and 3.2 (skipping). Fold-in: the weighted last
    events, those that a user dislikes left out. Users without a history get p.

    Differs from the paper: a Dirichlet prior from popularity replaces its clustering; chains of higher order are sums
    of first-order ones with skips, not counts of k-grams, and are not mixed with other orders; skips also decay. The
    paper uses its chain in a Markov decision process, which is left out.
    """

    name = "markov"
    memory_reason = "it keeps a transition for each pair of items that follow each other"
    smaller_models = "sasrec or gru4rec, or fewer steps (--set steps=2)"
    Config = MarkovConfig
    learned = ("transitions", "prior_weights", "popularity")
    ordered = True
    uses_weights = True
    config: MarkovConfig
    transitions: csr_array  # [I, I], C_ji / (C_j + s)
    prior_weights: FloatArray  # [I], s / (C_j + s)
    popularity: FloatArray  # [I], p

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the transitions, summed distance by distance."""
        cells = min(self.config.steps * len(train.histories.items), train.n_items**2)
        return 16 * cells + 8 * len(train.histories.items)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        counts = count_transitions(train.histories, train.n_items, self.config.steps, self.config.decay)
        return self.fit_counts(counts, train, run)

    def strips(self, train: TrainingData) -> SparseFollowers:
        """See FitsFromSums: of weighted transitions, float64."""
        return transition_strips(train.histories, train.n_items, self.config.steps, self.config.decay, np.float64)

    def fit_counts(self, counts: csr_array, train: TrainingData, run: Run) -> Self:
        """See FitsFromCounts."""
        counts, smoothing = counts.astype(np.float32), np.float32(self.config.smoothing)
        total = np.asarray(counts.sum(axis=1), dtype=np.float32) + smoothing  # [I]
        counts.data /= np.repeat(total, np.diff(counts.indptr))
        self.transitions, self.prior_weights = counts, smoothing / total
        self.popularity = (train.popularity / max(len(train.histories.items), 1)).astype(np.float32)
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """Weights of the last events of each history; the last event has 1. [B, I]."""
        weights = self._weights(histories)
        recent = np.flatnonzero(weights)
        owners = histories.owners[recent]
        shape = (len(histories), len(self.popularity))
        index = self.transitions.indices.dtype  # of one type: a product would first copy all transitions to the other
        columns, starts = histories.items[recent].astype(index), starts_of(owners, len(histories)).astype(index)
        state = csr_array((weights[recent], columns, starts), shape=shape)
        state.sum_duplicates()
        return state

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        scores = product_in_order(state, self.transitions, by_level=False)
        prior_weights = np.where(np.diff(state.indptr) > 0, state @ self.prior_weights, np.float32(1))
        scores += prior_weights[:, None] * self.popularity
        return scores

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """See Explains: each event's term of the sum; 0 for older ones. [N, k]."""
        weights = self._weights(histories)
        terms = np.zeros((len(histories.items), item_rows.shape[1]), dtype=np.float32)
        read = np.flatnonzero(weights)
        terms[read] = weights[read, None] * self._probabilities(histories, read, item_rows)
        return terms

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray:
        """See ScoresWithoutEach: older events move up, and one that was not read is."""
        liked = histories.weights > 0
        read = np.flatnonzero(liked & (self._distances(histories) <= self.config.steps))
        probabilities = self._probabilities(histories, read, item_rows)
        is_read = np.zeros(len(liked), dtype=bool)
        is_read[read] = True
        numbered = replace(histories, items=np.arange(len(liked))).keep(is_read)  # events in place of items
        shorter = numbered.take(histories.owners[events])
        shorter = shorter.keep(shorter.items != np.repeat(events, shorter.lengths))
        terms = np.searchsorted(read, shorter.items), shorter.starts
        rest = csr_array((self._weights(shorter), *terms), shape=(len(events), len(read)))
        scores = np.asarray(rest @ probabilities)
        return np.where(shorter.lengths[:, None] > 0, scores, self.popularity[item_rows[histories.owners[events]]])

    def _probabilities(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray:
        """P(i | j) of the listed items after the items of some events. events [E], item_rows [B, k] -> [E, k]."""
        listed, items = item_rows[histories.owners[events]], histories.items[events]  # [E, k], [E]
        followed = entries_of_events(self.transitions, items, histories.owners[events], item_rows)
        return followed + self.prior_weights[items][:, None] * self.popularity[listed]

    def _weights(self, histories: Histories) -> FloatArray:
        """Weight times decay^(distance from the last event) of the last `steps` liked events of a history, else 0. [N].

        Events of weights below 0 are left out, of the distances too.
        """
        distances = self._distances(histories)
        weights = np.float32(self.config.decay) ** distances.astype(np.float32)
        return np.where(distances < self.config.steps, weights * np.maximum(histories.weights, 0), np.float32(0))

    def _distances(self, histories: Histories) -> IntArray:
        """Number of liked events of the same history after each event. [N]."""
        n_liked = np.cumsum(histories.weights > 0)
        ends = np.concatenate([[0], n_liked])[histories.starts[1:]]
        distances: IntArray = ends[histories.owners] - n_liked
        return distances


def count_transitions(
    histories: Histories, n_items: int, steps: int, decay: float, dtype: DTypeLike = np.float32
) -> csr_array:
    """Transitions from j (row) to i (column), d = 1..steps events later, each weighted decay^(d - 1). [I, I]."""
    return count_in_strips(transition_strips(histories, n_items, steps, decay, dtype))


def transition_strips(
    histories: Histories, n_items: int, steps: int, decay: float, dtype: DTypeLike
) -> SparseFollowers:
    """What gives `count_transitions` a strip of items at a time."""
    longest = max(1, min(steps, int(histories.lengths.max(initial=0)) - 1))
    discounts = (decay ** np.arange(longest)).astype(dtype)
    return SparseFollowers(EventBags.after(histories, n_items), discounts)

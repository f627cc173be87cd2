"""MoviePairs: a network reads one movie and names another of the same person; trained on counts of pairs."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.cooccurrence.batches import PairBatches, PairsConfig
from matinee.models.cooccurrence.counts import count_pairs, require_pairs, split_pairs
from matinee.models.vectors import append_bias, capped_dim, cosines, mean_contributions, mean_vectors, unit
from matinee.training.loop import train_epochs
from matinee.training.run import Run

BLOCK_ROWS = 256
"""Items whose held-out cross-entropy is computed at once."""


class MoviePairsConfig(PairsConfig):
    """Settings of MoviePairs."""

    epochs: PositiveInt = 6
    """Passes over the rows of the counts; with `pairs = "sampled"`, over as many pairs as `sampled_pairs`."""
    hidden: Literal["none", "linear", "relu"] = "linear"
    """What lies between the movie read and the movies named: nothing, a D-by-D matrix, or a residual ReLU layer."""
    ratios: tuple[float, float, float] = (1.0, 0.0, 0.0)
    """Shares of the pairs that are learned from, kept for valid, and for test; 0.6, 0.2, 0.2 is the classic."""
    score_by: Literal["cosine", "logit"] = "logit"
    """Lists by cosine of the mean vector with each movie's, or by the mean of what the network says."""
    bias_share: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """logit: how much of the named movie's bias, its popularity, counts in a list; 1 is the mean of the logits."""
    hidden_dim: NonNegativeInt = 0
    """relu: width of the hidden layer; 0 takes dim."""

    @model_validator(mode="after")
    def _ratios_fit(self) -> Self:
        if self.ratios[0] <= 0 or min(self.ratios) < 0 or abs(sum(self.ratios) - 1) > 1e-6:
            raise ValueError("ratios are three shares that sum to 1, the first above 0, such as [0.6, 0.2, 0.2]")
        if self.pairs == "sampled" and self.ratios[0] < 1:
            raise ValueError("pairs = 'sampled' holds nothing out; leave out ratios")
        return self


class MoviePairs(Recommender[FloatArray]):
    """p(j | i) = softmax over j of f(e_i) · e_j + b_j; minimises - sum C_ij log p(j | i) over the counts C of pairs.

    f(e) = e, e M, or e + W₂ relu(W₁ layer_norm(e)); input and output share their vectors. A pair's reverse is a pair
    too. Each step takes rows of C, the softmax and its gradient over all movies exact, no pair drawn; rows are drawn
    with unequal chances and weighed so that the gradient is unbiased.
    A user is the mean of the vectors of their movies (cosine), or the mean of f of them (logit).
    """

    name = "movie-pairs"
    Config = MoviePairsConfig
    learned = ("items", "readings", "bias")
    config: MoviePairsConfig
    items: FloatArray  # [I, D], e
    readings: FloatArray  # [I, D], f(e)
    bias: FloatArray  # [I], b

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where there are no pairs, or fewer items than dim.

        With shares held out, `curves` ends with their mean cross-entropy: `valid_cross_entropy`, `test_cross_entropy`.
        """
        from matinee.models.cooccurrence.pair_network import PairNetwork

        config = self.config
        dim = capped_dim(self, train.n_items)
        parts = [] if config.pairs == "sampled" else self._counts(train, run)
        batches = PairBatches(config, parts[0] if parts else train.histories, train.n_items, run.rng)
        network = PairNetwork(config.model_copy(update={"dim": dim}), batches, run)
        train_epochs(self, network.trainer, train, run)
        if len(parts) > 1:
            figures = zip(("valid_cross_entropy", "test_cross_entropy"), self.cross_entropies(parts[1:]), strict=False)
            self.curves = (*self.curves[:-1], self.curves[-1] | dict(figures))
        return self

    def _counts(self, train: TrainingData, run: Run) -> list[csr_array]:
        config, matrix = self.config, train.matrix()
        if config.ratios[0] == 1:
            parts = [count_pairs(matrix, config.pair_weight)]
        else:
            parts = split_pairs(matrix, config.ratios, run.rng, config.pair_weight)
        require_pairs(float(parts[0].sum()))
        return parts

    def cross_entropy(self, counts: csr_array) -> float:
        """Mean of -log p(j | i) in nats over counted pairs. counts [I, I]. Raises MatineeError without pairs."""
        return self.cross_entropies([counts])[0]

    def cross_entropies(self, parts: Sequence[csr_array]) -> list[float]:
        """As `cross_entropy`, for several counts at once."""
        totals = [float(part.sum(dtype=np.float64)) for part in parts]
        require_pairs(min(totals))
        losses = np.zeros(len(parts))
        for start in range(0, len(self.items), BLOCK_ROWS):
            logits = self.readings[start : start + BLOCK_ROWS] @ self.items.T + self.bias  # [b, I]
            said = [logits[rows_of(block.indptr), block.indices] @ block.data for block in _rows(parts, start)]
            peak = logits.max(axis=1)
            logits -= peak[:, None]
            sizes = np.log(np.exp(logits, out=logits).sum(axis=1)) + peak
            heard = [np.asarray(block.sum(axis=1)).ravel() @ sizes for block in _rows(parts, start)]
            losses += np.subtract(heard, said, dtype=np.float64)
        return [float(loss / total) for loss, total in zip(losses, totals, strict=True)]

    def fold_in(self, histories: Histories) -> FloatArray:
        """The mean of the history's vectors; with score_by = logit also the weight of the bias. [B, D or D + 1]."""
        if self.config.score_by == "cosine":
            return unit(mean_vectors(histories, self.items))
        means = mean_vectors(histories, self.readings)
        return np.concatenate([means, np.full((len(means), 1), self.config.bias_share, dtype=np.float32)], axis=1)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.item_vectors().T
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        if self.config.score_by == "cosine":
            return unit(self.items)
        return append_bias(self.items, self.bias)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """The product of each event's vector, as it counts in the mean, with each listed item's. [N, k].

        Under cosine the mean's length counts as given.
        """
        if self.config.score_by == "logit":
            return mean_contributions(histories, self.readings, item_rows, self.items)
        lengths = np.linalg.norm(mean_vectors(histories, self.items), axis=1)
        parts = mean_contributions(histories, self.items, item_rows, unit(self.items))
        return parts / np.where(lengths > 0, lengths, 1)[histories.owners, None]

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """See HasItemBias: the movie's bias, as much of it as counts in a list."""
        share = 0.0 if self.config.score_by == "cosine" else self.config.bias_share
        return self.bias[item_rows] * np.float32(share)

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the movies' vectors. [n] -> [n, I]."""
        return cosines(self.items, item_rows)


def _rows(parts: Sequence[csr_array], start: int) -> list[csr_array]:
    return [part[start : start + BLOCK_ROWS] for part in parts]

"""Item2Vec: skip-gram with negative sampling over histories, its expected loss minimised from counts."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, starts_of
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.cooccurrence.batches import PairBatches, PairsConfig
from matinee.models.cooccurrence.counts import count_pairs, require_pairs, windowed_counts
from matinee.models.vectors import append_bias, append_one, capped_dim, cosines, mean_contributions, mean_vectors, unit
from matinee.training.loop import train_epochs
from matinee.training.run import Run

NEVER = -1e4
"""Added to the score of an item without a vector: any that has one comes before it."""


class Item2VecConfig(PairsConfig):
    """Settings of Item2Vec."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 100
    """Length of the vectors."""
    epochs: PositiveInt = 8
    """Passes over the rows of the counts; with `pairs = "sampled"`, over as many pairs as `sampled_pairs`."""
    window: PositiveInt | None = None
    """Events to either side that an event is paired with, near ones more often; None pairs all of a history."""
    gap: PositiveInt | None = None
    """Seconds without an event after which a new session begins; None takes whole histories."""
    min_count: NonNegativeInt = 1
    """Items with fewer events get no vector."""
    min_value: float | None = None
    """Only events of at least this value (liked = 4 of 5) are learned from; None takes all."""
    negatives: Annotated[PositiveInt, Search(1, 20)] = 1
    """Negatives of each pair, in expectation."""
    negative_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """An item is a negative with a chance in proportion to its pairs^negative_power."""
    sub_sampling: NonNegativeFloat = 0.0
    """A share t of all events above which an item's events are left out with chance 1 - (√(t/f) + t/f); 0 keeps all."""
    recency_half_life: PositiveFloat | None = None
    """Events after which one counts half in a person's mean; None counts all alike."""
    score_by: Literal["cosine", "context"] = "context"
    """Lists by cosine of the mean in vector with in vectors, or by its product with out vectors."""


class Item2Vec(Recommender[FloatArray]):
    """Minimises - sum C_ij log s(u_i · v_j) + negatives n_i p_j log s(-u_i · v_j), s the logistic function.

    C are expected counts of pairs (over the word2vec's random windows, after sub-sampling), n_i their row sums, p the
    distribution of negatives: the expectation of skip-gram with negative sampling, with nothing sampled. Each step
    takes rows of C and all columns. Source: Barkan and Koenigstein 2016; Mikolov et al. 2013, eq. 4; the expected form
    is Levy and Goldberg 2014, eq. 3 to 5. Differs from word2vec in that sub-sampling does not widen windows.
    A user is the mean of the in vectors of their movies.
    """

    name = "item2vec"
    Config = Item2VecConfig
    learned = ("items", "contexts")
    config: Item2VecConfig
    items: FloatArray  # [I, D], u
    contexts: FloatArray  # [I, D], v

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where min_value, min_count or dim leaves nothing to learn from."""
        from matinee.models.cooccurrence.skip_gram import SkipGram

        config = self.config
        dim = capped_dim(self, train.n_items)
        histories = self._sentences(train)
        window = config.window
        if window is not None and window >= int(np.diff(histories.starts).max(initial=0)):
            window = None if config.pairs == "sampled" else window
        source: Histories | csr_array = histories
        if config.pairs == "counts":
            source = self._counts(histories, train.n_items)
            require_pairs(float(source.sum()))
        batches = PairBatches(config, source, train.n_items, run.rng, window)
        network = SkipGram(config.model_copy(update={"dim": dim}), batches, run)
        train_epochs(self, network.trainer, train, run)
        return self

    def _sentences(self, train: TrainingData) -> Histories:
        """What is learned from: events of enough value, of items that are frequent enough, cut into sessions."""
        config, past = self.config, train.histories
        kept = np.ones(len(past.items), dtype=bool) if config.min_value is None else past.weights >= config.min_value
        if not kept.any():
            most = float(past.weights.max(initial=0))
            raise MatineeError(
                f"item2vec: min_value = {config.min_value} is above every event; set it to {most:g} or less"
            )
        counts = np.bincount(past.items[kept], minlength=train.n_items)
        if counts.max() < config.min_count:
            raise MatineeError(
                f"item2vec: min_count = {config.min_count} removes every item; "
                f"{counts.max()} is the largest that leaves some"
            )
        kept &= counts[past.items] >= config.min_count
        owners = past.owners[kept]
        if config.gap is not None:
            times = past.times[kept]
            pauses = np.diff(times, prepend=times[:1]) > config.gap
            owners = np.cumsum(pauses | (np.diff(owners, prepend=owners[:1]) != 0))
        n = int(owners.max(initial=-1)) + 1
        return Histories(
            starts_of(owners, n), past.items[kept], past.weights[kept], past.times[kept], np.full(n, -1, dtype=np.int32)
        )

    def _counts(self, histories: Histories, n_items: int) -> csr_array:
        """Expected counts of pairs. [I, I]."""
        config = self.config
        if config.window is None:
            counts = count_pairs(histories.matrix(n_items), config.pair_weight)
        else:
            counts = windowed_counts(histories, n_items, config.window, config.pair_weight)
        if config.sub_sampling:
            shares = np.bincount(histories.items, minlength=n_items) / len(histories.items)
            ratio = config.sub_sampling / np.maximum(shares, 1e-12)
            kept = np.minimum(1, np.sqrt(ratio) + ratio).astype(np.float32)
            counts.data *= np.repeat(kept, np.diff(counts.indptr)) * kept[counts.indices]
        return counts

    def fold_in(self, histories: Histories) -> FloatArray:
        """The mean of the in vectors of the history, and a 1. [B, D + 1]."""
        means = mean_vectors(histories, self.items, self._weights(histories))
        return append_one(means)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.item_vectors().T
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        vectors = unit(self.items) if self.config.score_by == "cosine" else self.contexts
        absent = np.where((self.items != 0).any(axis=1), 0, NEVER).astype(np.float32)
        return append_bias(vectors, absent)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """The product of each event's in vector, as it counts in the mean, with each listed item's. [N, k]."""
        wanted = unit(self.items) if self.config.score_by == "cosine" else self.contexts
        return mean_contributions(histories, self.items, item_rows, wanted, self._weights(histories))

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """See HasItemBias: what keeps items without a vector last."""
        shares: FloatArray = self.item_vectors()[item_rows, -1]
        return shares

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the in vectors. [n] -> [n, I]."""
        return cosines(self.items, item_rows)

    def _weights(self, histories: Histories) -> FloatArray | None:
        """What each event counts in its user's mean, None where all count alike. [N]."""
        if self.config.recency_half_life is None:
            return None
        ends = histories.starts[1:][histories.owners]
        ages = ends - 1 - np.arange(len(histories.items))
        return np.asarray(0.5 ** (ages / self.config.recency_half_life), dtype=np.float32)

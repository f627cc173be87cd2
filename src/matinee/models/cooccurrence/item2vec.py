"""Item2Vec: skip-gram with negative sampling over histories, trained on its expected loss."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, starts_of
from matinee.config import Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.cooccurrence.batches import CooccurrenceBatches, CooccurrenceConfig
from matinee.models.cooccurrence.counts import count_cooccurrences, count_in_windows, require_pairs
from matinee.models.needs import count_pairs, parameter_needs
from matinee.models.vectors import append_bias, append_one, capped_dim, cosines, mean_contributions, mean_vectors, unit
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

NO_VECTOR_BIAS = -1e4
"""Bias of items without a vector: they rank after all others."""


class Item2VecConfig(CooccurrenceConfig):
    """Settings of Item2Vec."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 100
    """Length of the vectors."""
    epochs: PositiveInt = 8
    """Passes over the rows of the counts; with `pairs = "sampled"`, over as many pairs as `sampled_pairs`."""
    window: PositiveInt | None = None
    """Context size: events on either side, nearer ones weighted more; None pairs all events of a history."""
    gap: PositiveInt | None = None
    """Seconds of inactivity after which a new session starts; None trains on whole histories."""
    min_count: NonNegativeInt = 1
    """Items with fewer events get no vector."""
    min_value: float | None = None
    """Train only on events of at least this value (4 of 5: liked); None uses all."""
    negatives: Annotated[PositiveInt, Search(1, 20)] = 1
    """Expected number of negatives per pair."""
    negative_power: Annotated[float, Field(ge=0, le=1), Search(0, 1, first=True)] = 0.5
    """Negatives have probability proportional to (number of pairs)^negative_power."""
    sub_sampling: NonNegativeFloat = 0.0
    """word2vec's t: an item of frequency f is kept with probability √(t/f) + t/f, at most 1; 0 keeps everything."""
    recency_half_life: PositiveFloat | None = None
    """Events after which an event's weight in a user's mean is halved; None weights all equally."""
    score_by: Literal["cosine", "context"] = "context"
    """Score by cosine of the mean vector with item vectors, or by its product with context vectors."""


class Item2Vec(Recommender[FloatArray]):
    """score_i = (mean of u_j over the history) · v_i, or with `score_by = "cosine"` that mean · u_i / |u_i|.

    Minimises - sum_ij C_ij log σ(u_i · v_j) + k n_i p_j log σ(-u_i · v_j), where C are the co-occurrence counts, n
    their row sums, k = `negatives` and p the distribution of negatives. It is the expectation of the skip-gram loss
    with negative sampling. Source: Barkan and Koenigstein 2016, eq. 1 to 5; the expectation: Levy and Goldberg 2014,
    eq. 3 to 5; windows and sub-sampling: Mikolov et al. 2013, section 2. Fold-in: the mean vector
    by the events' weights, no training.

    Differs from the paper: Adam on the expected loss over sampled rows of C, where the paper samples pairs and
    negatives for SGD (`pairs = "sampled"` samples the pairs only). Pairs have weight 1 / (n - 1) for a user of n items;
    the paper's are equal (`pair_weight = "pair"`). 1 negative of probability n^0.5 by default, not 15 of n^0.75. No
    sub-sampling by default; where it is on, the kept fraction is that of word2vec's code, and windows are not widened.
    First values are N(0, 1/D) for u and v. The paper only finds similar items, by cosine of u; scores for users are
    ours.
    """

    name = "item2vec"
    memory_reason = "it keeps the counts of all pairs of items that somebody has"
    smaller_models = "--set pairs=sampled, or ials"
    Config = Item2VecConfig
    trained_by_torch = True
    uses_weights = True
    learned = ("items", "context_vectors")
    item_arrays = (("items", 0), ("context_vectors", 0))
    unscaled_arrays = frozenset({"items"})
    config: Item2VecConfig
    items: FloatArray  # [I, D], u
    context_vectors: FloatArray  # [I, D], v

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the counts of pairs, unless they are sampled, and two vectors of each item."""
        pairs = 16 * count_pairs(train) if self.config.pairs == "counts" else 0
        return pairs + parameter_needs(train, self.config.dim, users=False, tables=2)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError if min_value, min_count or dim leave nothing to learn from."""
        import torch

        from matinee.nn.gradients import loss_with_gradients
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array, to_tensor

        config, dim = self.config, capped_dim(self, train.n_items)
        batches = self._batches(train, run)
        generator, has_pairs = torch_generator(run), batches.row_sums > 0
        probabilities = np.where(has_pairs, np.maximum(batches.row_sums, 1e-300) ** config.negative_power, 0)
        device = generator.device
        negatives = to_tensor((config.negatives * probabilities / probabilities.sum()).astype(np.float32), device)
        present = to_tensor(has_pairs.astype(np.float32), device)[:, None]
        shape = (train.n_items, dim)
        parameters = {
            name: torch.randn(shape, generator=generator, device=device) * present / dim**0.5 for name in self.learned
        }

        def losses() -> "Iterator[Tensor]":
            items, contexts = parameters["items"], parameters["context_vectors"]
            for rows, targets in batches:
                inputs = items[to_tensor(rows, device)]
                yield loss_with_gradients(expected_negative_sampling, inputs, contexts, targets, negatives)

        def learned() -> "Mapping[str, FloatArray]":
            return {name: to_array(tensor * present) for name, tensor in parameters.items()}

        train_epochs(self, TorchTrainer(parameters, losses, learned, config), train, run)
        return self

    def _batches(self, train: TrainingData, run: Run) -> CooccurrenceBatches:
        """The counts' rows, or with `pairs = "sampled"` sampled pairs."""
        config, histories, window = self.config, self._sentences(train), self.config.window
        if window is not None and window >= int(np.diff(histories.starts).max(initial=0)):
            window = None if config.pairs == "sampled" else window
        source: Histories | csr_array = histories
        if config.pairs == "counts":
            source = self._counts(histories, train.n_items)
            require_pairs(float(source.sum()))
        return CooccurrenceBatches(config, source, train.n_items, run.rng, window)

    def _sentences(self, train: TrainingData) -> Histories:
        """Events above min_value of items above min_count, cut into sessions where `gap` is set."""
        config, past = self.config, train.histories
        kept = np.ones(len(past.items), dtype=bool) if config.min_value is None else past.values >= config.min_value
        if not kept.any():
            values = past.values[~np.isnan(past.values)]
            fix = (
                f"is above every event; set it to {values.max():g} or less"
                if len(values)
                else "needs events with values"
            )
            raise MatineeError(f"item2vec: min_value = {config.min_value} {fix}")
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
            starts_of(owners, n), past.items[kept], past.values[kept], past.times[kept], np.full(n, -1, dtype=np.int32)
        )

    def _counts(self, histories: Histories, n_items: int) -> csr_array:
        """Expected co-occurrence counts after sub-sampling, C. [I, I]."""
        config = self.config
        if config.window is None:
            counts = count_cooccurrences(histories.matrix(n_items), config.pair_weight)
        else:
            counts = count_in_windows(histories, n_items, config.window, config.pair_weight)
        if config.sub_sampling:
            frequencies = np.bincount(histories.items, minlength=n_items) / len(histories.items)
            ratio = config.sub_sampling / np.maximum(frequencies, 1e-12)
            kept = np.minimum(1, np.sqrt(ratio) + ratio).astype(np.float32)
            counts.data *= np.repeat(kept, np.diff(counts.indptr)) * kept[counts.indices]
        return counts

    def fold_in(self, histories: Histories) -> FloatArray:
        """Mean item vector of each history, with a last column of ones. [B, D + 1]."""
        means = mean_vectors(histories, self.items, self._event_weights(histories))
        return append_one(means)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.item_vectors().T
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        missing = np.where((self.items != 0).any(axis=1), 0, NO_VECTOR_BIAS).astype(np.float32)
        return append_bias(self._output_vectors(), missing)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """See Explains: the product of each event's weighted vector with the listed item's. [N, k]."""
        weights = self._event_weights(histories)
        return mean_contributions(histories, self.items, item_rows, self._output_vectors(), weights)

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """See HasItemBias: NO_VECTOR_BIAS for items without a vector, else 0."""
        bias: FloatArray = self.item_vectors()[item_rows, -1]
        return bias

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the item vectors. [n] -> [n, I]."""
        return cosines(self.items, item_rows)

    def _output_vectors(self) -> FloatArray:
        """Vectors that multiply the user's mean: of length 1 (`cosine`) or v (`context`). [I, D]."""
        return unit(self.items) if self.config.score_by == "cosine" else self.context_vectors

    def _event_weights(self, histories: Histories) -> FloatArray | None:
        """Weight of each event in its user's mean, None if all are equal. [N]."""
        if self.config.recency_half_life is None:
            return None
        ends = histories.starts[1:][histories.owners]
        ages = ends - 1 - np.arange(len(histories.items))
        return np.asarray(0.5 ** (ages / self.config.recency_half_life), dtype=np.float32)


def expected_negative_sampling(
    inputs: "Tensor", contexts: "Tensor", targets: csr_array, negatives: "Tensor"
) -> tuple["Tensor", tuple["Tensor", "Tensor"]]:
    """The loss - sum T_ij log σ(u_i · v_j) - sum w_i q_j log σ(-u_i · v_j), and its gradients by u and v.

    inputs u [b, D], contexts v [I, D], targets T [b, I] with row sums w, negatives q [I] (expected number per pair).
    As log σ(x) = log σ(-x) + x, the loss is sum (T_ij + w_i q_j) softplus(u_i · v_j) - T_ij u_i · v_j.
    """
    from matinee.training.transfers import to_dense, to_tensor

    logits = inputs @ contexts.T  # [b, I]
    sums = to_tensor(np.asarray(targets.sum(axis=1), dtype=np.float32).reshape(-1, 1), inputs.device)
    positives = to_dense(targets, inputs.device)
    total = sums * negatives + positives  # [b, I]
    sigmoids = logits.sigmoid()
    # softplus(x) = x - log σ(x): the gradient needs σ anyway, and softplus takes four times as long
    loss = ((total - positives) * logits).sum() - (total * sigmoids.log()).sum()
    by_logits = total.mul_(sigmoids).sub_(positives)
    return loss, (by_logits @ contexts, by_logits.T @ inputs)

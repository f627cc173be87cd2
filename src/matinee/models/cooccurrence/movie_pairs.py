"""MoviePairs: a network that predicts one movie of a person from another, trained on co-occurrence counts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import FitsFromSums, Recommender
from matinee.models.cooccurrence.batches import CooccurrenceBatches, CooccurrenceConfig
from matinee.models.cooccurrence.counts import (
    cooccurrence_strips,
    count_cooccurrences,
    require_pairs,
    split_cooccurrences,
)
from matinee.models.item_strips import ProductStrips
from matinee.models.needs import count_pairs, parameter_needs
from matinee.models.vectors import append_bias, capped_dim, cosines, mean_contributions, mean_vectors, unit
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch import Tensor

BLOCK_ROWS = 256
"""Items whose held-out cross-entropy is computed at once."""
NEGATIVE_AXES = 4
"""Every fourth axis of the projection starts at -1, as a product of a vector with itself can only be positive."""


class MoviePairsConfig(CooccurrenceConfig):
    """Settings of MoviePairs."""

    epochs: PositiveInt = 6
    """Passes over the rows of the counts; with `pairs = "sampled"`, over as many pairs as `sampled_pairs`."""
    hidden: Literal["none", "linear", "relu"] = "linear"
    """The function f between input and output vectors: identity, a D-by-D matrix, or a residual ReLU layer."""
    ratios: tuple[float, float, float] = (1.0, 0.0, 0.0)
    """Fractions of the pairs for train, valid and test; [0.6, 0.2, 0.2] is common."""
    score_by: Literal["cosine", "logit"] = "logit"
    """Score by cosine of the mean vector with each movie's, or by the mean logit."""
    bias_share: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """logit: factor of the bias (the movie's popularity) in a score; 1 gives the mean logit."""
    hidden_dim: NonNegativeInt = 0
    """relu: width of the hidden layer; 0 is dim."""

    @model_validator(mode="after")
    def _ratios_fit(self) -> Self:
        if self.ratios[0] <= 0 or min(self.ratios) < 0 or abs(sum(self.ratios) - 1) > 1e-6:
            raise ValueError("ratios are three shares that sum to 1, the first above 0, such as [0.6, 0.2, 0.2]")
        if self.pairs == "sampled" and self.ratios[0] < 1:
            raise ValueError("pairs = 'sampled' holds nothing out; leave out ratios")
        return self


class MoviePairs(Recommender[FloatArray], FitsFromSums[csr_array]):
    """score = (mean of f(e_j) over the history) · e_i + `bias_share` b_i, or the cosine of the mean of e_j with e_i.

    p(i | j) = softmax over i of f(e_j) · e_i + b_i minimises - sum C_ji log p(i | j) over the co-occurrence counts C.
    f(e) = e, e M, or e + W₂ relu(W₁ layer_norm(e)). The softmax over all movies is exact; rows of C are sampled, and
    weighted so that the gradient is unbiased. Fold-in: the mean vector by the events' weights, no training.

    Differs from the paper: there is none, the model is ours. Closest is skip-gram with the full softmax (Mikolov et al.
    2013, eq. 2), with input and output vectors shared and f between them.
    """

    name = "movie-pairs"
    memory_reason = "it keeps the counts of all pairs of items that somebody has"
    smaller_models = "--set pairs=sampled, or ials"
    Config = MoviePairsConfig
    trained_by_torch = True
    uses_weights = True
    learned = ("items", "input_vectors", "bias")
    item_arrays = (("items", 0), ("input_vectors", 0), ("bias", 0))
    unscaled_arrays = frozenset({"input_vectors"})
    config: MoviePairsConfig
    items: FloatArray  # [I, D], e
    input_vectors: FloatArray  # [I, D], f(e)
    bias: FloatArray  # [I], b

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the counts of pairs, unless they are sampled, and the vectors of items."""
        pairs = 16 * count_pairs(train) if self.config.pairs == "counts" else 0
        return pairs + parameter_needs(train, self.config.dim, users=False, tables=2)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError if there are no pairs, or fewer items than dim.

        With held-out pairs, the last row of `curves` has `valid_cross_entropy` and `test_cross_entropy`.
        """
        return self._fit([] if self.config.pairs == "sampled" else self._counts(train, run), train, run)

    def can_count(self, train: TrainingData) -> bool:
        """See FitsFromSums. Pairs that are sampled, or assigned to parts at random, are not counted by user."""
        return self.config.pairs != "sampled" and self.config.ratios[0] == 1

    def strips(self, train: TrainingData) -> ProductStrips:
        """See FitsFromSums: of co-occurrence counts."""
        return cooccurrence_strips(train.matrix(), self.config.pair_weight)

    def fit_counts(self, counts: csr_array, train: TrainingData, run: Run) -> Self:
        """See FitsFromSums."""
        require_pairs(float(counts.sum()))
        return self._fit([counts], train, run)

    def _fit(self, parts: list[csr_array], train: TrainingData, run: Run) -> Self:
        """Train. parts: counts of train, and of valid and test where there are any; none if pairs are sampled."""
        from matinee.nn.gradients import loss_with_gradients
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array, to_tensor

        config, dim = self.config, capped_dim(self, train.n_items)
        batches = CooccurrenceBatches(config, parts[0] if parts else train.histories, train.n_items, run.rng)
        parameters = initial_parameters(config, dim, batches.row_sums, torch_generator(run))
        items, bias = parameters["items"], parameters["bias"]

        def losses() -> "Iterator[Tensor]":
            for rows, targets in batches:
                inputs = transformed(items[to_tensor(rows, items.device)], parameters, config.hidden)
                yield loss_with_gradients(counted_cross_entropy, inputs, items, bias, targets)

        def learned() -> "Mapping[str, FloatArray]":
            inputs = transformed(items, parameters, config.hidden)
            named = {"items": items, "input_vectors": inputs, "bias": bias}
            return {name: to_array(tensor) for name, tensor in named.items()}

        train_epochs(self, TorchTrainer(parameters, losses, learned, config), train, run)
        if len(parts) > 1:
            names = ("valid_cross_entropy", "test_cross_entropy")
            held_out = zip(names, self.cross_entropies(parts[1:]), strict=False)
            self.curves = (*self.curves[:-1], self.curves[-1] | dict(held_out))
        return self

    def _counts(self, train: TrainingData, run: Run) -> list[csr_array]:
        """Co-occurrence counts [I, I] of train, and of valid and test where `ratios` hold pairs out."""
        config, matrix = self.config, train.matrix()
        if config.ratios[0] == 1:
            parts = [count_cooccurrences(matrix, config.pair_weight)]
        else:
            parts = split_cooccurrences(matrix, config.ratios, run.rng, config.pair_weight)
        require_pairs(float(parts[0].sum()))
        return parts

    def cross_entropy(self, counts: csr_array) -> float:
        """Mean of -log p(i | j) in nats over counted pairs. counts [I, I]. Raises MatineeError without pairs."""
        return self.cross_entropies([counts])[0]

    def cross_entropies(self, parts: Sequence[csr_array]) -> list[float]:
        """As `cross_entropy`, for several counts in one pass over the logits."""
        totals = [float(part.sum(dtype=np.float64)) for part in parts]
        require_pairs(min(totals))
        losses = np.zeros(len(parts))
        for start in range(0, len(self.items), BLOCK_ROWS):
            blocks = [part[start : start + BLOCK_ROWS] for part in parts]
            logits = self.input_vectors[start : start + BLOCK_ROWS] @ self.items.T + self.bias  # [b, I]
            weighted_logits = [logits[rows_of(block.indptr), block.indices] @ block.data for block in blocks]
            largest = logits.max(axis=1)
            logits -= largest[:, None]
            log_sums = np.log(np.exp(logits, out=logits).sum(axis=1)) + largest
            weighted_sums = [np.asarray(block.sum(axis=1)).ravel() @ log_sums for block in blocks]
            losses += np.subtract(weighted_sums, weighted_logits, dtype=np.float64)
        return [float(loss / total) for loss, total in zip(losses, totals, strict=True)]

    def fold_in(self, histories: Histories) -> FloatArray:
        """Mean vector of each history, of length 1 (cosine) or with the factor of the bias (logit). [B, D or D + 1]."""
        if self.config.score_by == "cosine":
            return unit(mean_vectors(histories, self.items))
        means = mean_vectors(histories, self.input_vectors)
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
        """See Explains: the product of each event's share of the mean with the listed item's vector. [N, k].

        Under cosine the length of the mean is a constant factor.
        """
        if self.config.score_by == "logit":
            return mean_contributions(histories, self.input_vectors, item_rows, self.items)
        lengths = np.linalg.norm(mean_vectors(histories, self.items), axis=1)
        parts = mean_contributions(histories, self.items, item_rows, unit(self.items))
        return parts / np.where(lengths > 0, lengths, 1)[histories.owners, None]

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """See HasItemBias: `bias_share` times the bias, 0 under cosine."""
        factor = 0.0 if self.config.score_by == "cosine" else self.config.bias_share
        return self.bias[item_rows] * np.float32(factor)

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the movies' vectors. [n] -> [n, I]."""
        return cosines(self.items, item_rows)


def initial_parameters(
    config: MoviePairsConfig, dim: int, row_sums: FloatArray, generator: "torch.Generator"
) -> dict[str, "Tensor"]:
    """First values: N(0, 0.01) vectors, the log of smoothed frequencies as bias, and f close to the identity."""
    import torch

    from matinee.training.transfers import to_tensor

    device = generator.device
    smoothed = row_sums + row_sums.sum() / len(row_sums) / 2000  # so that no movie has probability 0
    parameters = {
        "items": torch.randn(len(row_sums), dim, generator=generator, device=device) * 0.1,
        "bias": to_tensor(np.log(smoothed / smoothed.sum()).astype(np.float32), device),
    }
    if config.hidden == "linear":
        signs = torch.where(torch.arange(dim, device=device) % NEGATIVE_AXES == NEGATIVE_AXES - 1, -1.0, 1.0)
        parameters["projection"] = torch.diag(signs)
    elif config.hidden == "relu":
        width = config.hidden_dim or dim
        parameters["norm_scale"] = torch.ones(dim, device=device)
        parameters["ffn_in"] = torch.randn(dim, width, generator=generator, device=device) / dim**0.5
        parameters["ffn_bias"] = torch.zeros(width, device=device)
        parameters["ffn_out"] = torch.randn(width, dim, generator=generator, device=device) * 0.3 / width**0.5
    return parameters


def transformed(vectors: "Tensor", parameters: "Mapping[str, Tensor]", hidden: str) -> "Tensor":
    """f(e). [b, D] -> [b, D]."""
    if hidden == "linear":
        return vectors @ parameters["projection"]
    if hidden == "relu":
        import torch
        from torch.nn import functional

        normed = functional.layer_norm(vectors, vectors.shape[1:], parameters["norm_scale"])
        return vectors + torch.relu(normed @ parameters["ffn_in"] + parameters["ffn_bias"]) @ parameters["ffn_out"]
    return vectors


def counted_cross_entropy(
    inputs: "Tensor", items: "Tensor", bias: "Tensor", targets: csr_array
) -> tuple["Tensor", tuple["Tensor", "Tensor", "Tensor"]]:
    """The loss sum w_i log sum_j exp(x_i · e_j + b_j) - sum T_ij (x_i · e_j + b_j), and its gradients by x, e and b.

    inputs x [b, D], items e [I, D], bias b [I], targets T [b, I] with row sums w. T is made dense: co-occurrence counts
    are not sparse enough to gain from sparse products.
    """
    import torch

    from matinee.training.transfers import to_dense

    dense = to_dense(targets, inputs.device)  # [b, I]
    # no maximum is subtracted: logits stay far below the 88 at which float32 overflows, and then training stops
    logits = torch.addmm(bias, inputs, items.T)  # [b, I]
    of_targets = torch.dot(dense.view(-1), logits.view(-1))
    sums, weights = logits.exp_().sum(1), dense.sum(1)
    loss = weights @ sums.log() - of_targets
    by_logits = logits.mul_((weights / sums)[:, None]).sub_(dense)
    return loss, (by_logits @ items, by_logits.T @ inputs, by_logits.sum(0))

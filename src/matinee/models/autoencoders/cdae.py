"""CDAE: a denoising autoencoder with a node of its own for each user (Wu et al. 2016)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.stored_users import find_stored_users
from matinee.models.vectors import append_bias, append_one, capped_dim, cosines
from matinee.nn.sparse_rows import drop_entries, normalise_rows, weight_users
from matinee.training.configs import GradientConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run


class CDAEConfig(GradientConfig):
    """Settings of CDAE."""

    dim: Annotated[PositiveInt, Search(32, 600, log=True)] = 200
    """Width of the hidden layer."""
    loss: Literal["softmax", "logistic", "square"] = "softmax"
    """`softmax` over the catalogue, or `logistic` or `square` of every item by itself, as in the paper."""
    unobserved: Annotated[PositiveFloat, Search(0.01, 1, log=True)] = 0.2
    """logistic, square: what an item that a user has not counts, one that they have counting 1."""
    corruption: Literal["dropout", "gaussian"] = "dropout"
    """What is done to the input in training: items left out, or noise added to all of them."""
    noise: Annotated[NonNegativeFloat, Search(0, 0.9)] = 0.5
    """dropout: the share left out, the rest scaled to keep the mean; gaussian: the standard deviation."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """A user's events count n^-user_power, n being how many they are: 0 all alike, 1 every user alike."""
    l2: Annotated[NonNegativeFloat, Search(1e-5, 0.1, log=True)] = 0.0
    """Weight decay: the gradient of l2 / 2 · |weights|²."""
    user_state: Literal["history", "stored"] = "history"
    """A user's node: zero, as for a visitor, or the one that was learned (known users only)."""
    node_dropout: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """The chance that a user's node is zero in a step of training, so that a visitor's zero is nothing new."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products with the catalogue in training: bfloat16 is twice as fast on processors that have it."""
    batch_size: PositiveInt = 100
    """Users a step."""
    epochs: PositiveInt = 100
    """Passes over the data, at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-4, 0.1, log=True)] = 0.003
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""
    initialiser: Literal["xavier", "he", "normal"] = "xavier"
    """First values of the weights."""

    @model_validator(mode="after")
    def _some_is_left(self) -> Self:
        if self.corruption == "dropout" and self.noise >= 1:
            raise ValueError(f"noise = {self.noise:g} leaves out every item; as dropout it must be below 1")
        return self


class CDAE(Recommender[FloatArray]):
    """score = W' h + b', h = tanh(Wᵀ x / |x| + V_u + b): what a user has, corrupted in training, and their node V_u.

    Source: Wu et al. 2016, eq. 3 to 5. The loss is over all items, which is the paper's drawn negatives on average.
    A visitor has no node: theirs is zero, and with user_state = "history" so is everyone's.
    Differs: tanh for the sigmoid and an input of length 1 (docs/decisions/014-cdae-user-node.md).
    """

    name = "cdae"
    Config = CDAEConfig
    learned = ("encoder", "encoder_bias", "nodes", "user_rows", "output", "output_bias")
    fold_in_tolerance: ClassVar[float] = 0.15
    """How far (1 - correlation, mean over users) scores with a zero node may lie from those with the stored one."""
    config: CDAEConfig
    encoder: FloatArray  # [I, D], W
    encoder_bias: FloatArray  # [D], b
    nodes: FloatArray  # [U, D], V
    user_rows: IntArray  # [U], ascending
    output: FloatArray  # [I, D], W'
    output_bias: FloatArray  # [I], b'

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where a dim asked for is wider than the catalogue."""
        import torch
        from torch.nn import functional

        from matinee.models.autoencoders.network import Rows, catalogue_loss, noisy_product, sparse_product, tanh
        from matinee.nn.initialisers import initialise, initialise_layers
        from matinee.nn.sparse_rows import batches
        from matinee.training.torch_trainer import TorchTrainer, torch_generator

        config, matrix, chance = self.config, train.matrix(), torch_generator(run)
        inputs, targets = normalise_rows(matrix), weight_users(matrix, config.user_power)
        dim, half = capped_dim(self, train.n_items), config.precision == "bfloat16"
        weights = initialise_layers({"encoder": (train.n_items, dim)}, config.initialiser, chance)
        weights["nodes"] = torch.zeros((train.n_users, dim))
        weights["output"] = initialise((train.n_items, dim), config.initialiser, chance)
        weights["output_bias"] = torch.zeros(train.n_items)

        def hidden(rows: IntArray) -> torch.Tensor:
            if config.corruption == "dropout":
                told = sparse_product(Rows.of(drop_entries(inputs[rows], config.noise, run.rng)), weights["encoder"])
            else:
                told = noisy_product(Rows.of(inputs[rows]), weights["encoder"], config.noise, chance)
            kept = torch.empty((len(rows), 1)).bernoulli_(1 - config.node_dropout, generator=chance)
            own = kept * functional.embedding(torch.from_numpy(rows), weights["nodes"])
            return tanh(told + own + weights["encoder_bias"])

        def losses() -> Iterator[torch.Tensor]:
            for rows in batches(matrix.shape[0], config.batch_size, run.rng):
                top, wanted = (weights["output"], weights["output_bias"]), Rows.of(targets[rows])
                share = 1 / len(rows)
                yield catalogue_loss(config.loss, hidden(rows), top, wanted, config.unobserved, share, half=half)

        def learned() -> Mapping[str, FloatArray]:
            return {name: tensor.numpy().copy() for name, tensor in weights.items()}

        self.user_rows = train.histories.user_rows.astype(np.int32)
        train_epochs(
            self, TorchTrainer(weights, losses, learned, config, decay=config.l2, generator=chance), train, run
        )
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The hidden layer. [B, D]."""
        inputs = normalise_rows(histories.matrix(len(self.output))) @ self.encoder + self.encoder_bias
        places, known = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        inputs[known] += self.nodes[places[known]]
        state: FloatArray = np.tanh(inputs)
        return state

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.output.T
        scores += self.output_bias
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return append_bias(self.output, self.output_bias)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return append_one(state)

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the rows of the last layer. [n] -> [n, I]."""
        return cosines(self.output, item_rows)

"""What CDAE and Mult-VAE share: settings, and an output layer that scores the whole catalogue."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import TrainingData
from matinee.models.base import Recommender
from matinee.models.vectors import append_bias, append_one, cosines
from matinee.nn.candidates import Candidates, large_catalogue_defaults
from matinee.training.configs import GradientConfig

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from matinee.models.autoencoders.losses import CatalogueLoss


class AutoencoderConfig(GradientConfig):
    """Settings of CDAE and Mult-VAE."""

    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.5
    """Weight of a user's n events in the loss, n^-user_power: 0 weighs events equally, 1 users."""
    l2: Annotated[NonNegativeFloat, Search(1e-5, 0.1, log=True)] = 0.0
    """Weight decay: the gradient of l2 / 2 · |weights|²."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the output layer's products in training, without candidates; bfloat16 is twice as fast on processors that
    support it."""
    candidates: NonNegativeInt = 0
    """softmax: items that represent the catalogue in a step, half of them the most popular, drawn for each 128 users,
    beside each user's own; 0: all of it. 4,096 by default on a large catalogue, see `defaults_for`."""
    batch_size: PositiveInt = 100
    """Users per step. More by default on a large catalogue, see `defaults_for`."""
    epochs: PositiveInt = 100
    """Passes over the data, at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-4, 0.1, log=True, first=True)] = 0.003
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning rate schedule: constant, a step every few epochs, a cosine to zero, or a step on a plateau."""
    initialiser: Literal["xavier", "he", "normal"] = "xavier"
    """Initial weights."""


class CatalogueAutoencoder(Recommender[FloatArray]):
    """score = output · state + output_bias, where the state is the last hidden layer [B, H]."""

    config: AutoencoderConfig
    output: FloatArray  # [I, H]
    output_bias: FloatArray  # [I]

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: on a large catalogue, candidates and larger batches."""
        loss = {"loss": "softmax"} if "loss" in cls.Config.model_fields else {}
        return large_catalogue_defaults(train, cls.Config.model_fields["batch_size"].default, **loss)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender. Logits: with the softmax loss, log-probabilities up to a constant per user."""
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
        """Cosine of the output layer's rows. [n] -> [n, I]."""
        return cosines(self.output, item_rows)

    def _initialise_output(self, n_items: int, width: int, generator: "Generator") -> "dict[str, Tensor]":
        """The output layer's weights [I, H] and bias [I] for training."""
        import torch

        from matinee.nn.initialisers import initialise

        weights = initialise((n_items, width), self.config.initialiser, generator)
        return {"output": weights, "output_bias": torch.zeros(n_items, device=generator.device)}

    def _output_loss(
        self,
        kind: "CatalogueLoss",
        state: "Tensor",
        weights: "Mapping[str, Tensor]",
        targets: csr_array,
        candidates: Candidates,
        unobserved: float = 1.0,
    ) -> "Tensor":
        """The mean over users of `catalogue_loss`, or of its estimate by candidates. state [B, H]; targets [B, I]."""
        from matinee.models.autoencoders.losses import catalogue_loss
        from matinee.models.autoencoders.network import SparseRows
        from matinee.nn.sampled_softmax import Pairs, sampled_softmax

        output = weights["output"], weights["output_bias"]
        if not candidates.is_everything:
            return sampled_softmax(state, *output, Pairs(targets, state.device), candidates, 1 / len(state))
        bf16 = self.config.precision == "bfloat16"
        rows = SparseRows.of(targets, state.device)
        return catalogue_loss(kind, state, output, rows, unobserved, 1 / len(state), bf16=bf16)


def sigmoid(values: FloatArray) -> FloatArray:
    """1 / (1 + e^-x) without overflow. Any shape."""
    result: FloatArray = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * values))
    return result

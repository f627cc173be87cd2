"""What can be set about losses, negatives and first values. No torch here: serving reads configs too."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training import GradientConfig

Initialiser = Literal["normal", "xavier", "he"]
FirstEmbeddings = Literal["svd", "normal", "xavier"]
Loss = Literal["softmax", "infonce", "bpr", "bce"]
NegativeKind = Literal["uniform", "popularity", "in-batch", "mixed"]
Similarity = Literal["dot", "cosine"]

SLOPE = 0.2
"""Of LeakyReLU below zero, as in the code of NGCF's authors."""


class ObjectiveConfig(GradientConfig):
    """Settings of models that learn to score a user's own items above others."""

    loss: Loss = "softmax"
    """`softmax` over the whole catalogue, or over a positive and sampled negatives: `infonce`, `bpr`, `bce`."""
    negatives: NegativeKind = "uniform"
    """Where sampled negatives come from: all items alike, by popularity, the batch's other positives, or half each."""
    n_negatives: PositiveInt = 6
    """Negatives of each positive; in-batch takes the whole batch."""
    log_q: bool = False
    """infonce: lower negatives by the logarithm of how often they are drawn, which makes it the softmax on average."""
    mask_seen: bool = True
    """Leave out negatives that the user has in truth."""
    similarity: Similarity = "cosine"
    """How a user's vector meets an item's."""
    temperature: Annotated[PositiveFloat, Search(0.05, 1, log=True)] = 0.2
    """Scores are divided by it."""
    batch_size: NonNegativeInt = 0
    """Users (softmax) or pairs (other losses) a step; 0 takes all at once."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """softmax: a user counts n^-user_power of their n events: 0 every event alike, 1 every user alike."""
    decay: Annotated[NonNegativeFloat, Search(1e-6, 1e-2, log=True)] = 0.0
    """Adam's weight decay."""
    initialiser: FirstEmbeddings = "normal"
    """First values of the embeddings; `svd`: the factors of the normalised matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.1
    """Their spread, with `svd` and `normal`."""

    @model_validator(mode="after")
    def _batch_bounds_memory(self) -> Self:
        if self.loss != "softmax" and not self.batch_size:
            raise ValueError(f"loss = {self.loss} draws negatives for pairs; set batch_size, for example 512")
        if self.loss in ("bpr", "bce") and self.log_q:
            raise ValueError(f"log_q corrects a sampled softmax, and loss = {self.loss} is none; use infonce")
        return self


class GraphConfig(ObjectiveConfig):
    """Settings of models that send vectors over the graph of users and items."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of a vector."""
    layers: NonNegativeInt = 2
    """Hops over the graph; 0 is matrix factorisation."""
    user_state: Literal["history", "stored"] = "history"
    """Layer 0 of a user: solved from the history, or for known users as it was trained."""
    solve_steps: NonNegativeInt = 10
    """Gradient steps of that solve; 0 leaves layer 0 zero, and the lists come from the propagation alone."""
    solve_temperature: Annotated[PositiveFloat, Search(0.1, 1, log=True)] = 0.25
    """Temperature of that solve; above that of training, since a visitor's solution must not overfit."""
    epochs: PositiveInt = 100
    """Passes over the data, at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 0.2, log=True)] = 0.02
    """Step size of Adam."""
    temperature: Annotated[PositiveFloat, Search(0.05, 1, log=True)] = 0.17
    """Scores are divided by it."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.3
    """softmax: a user counts n^-user_power of their n events: 0 every event alike, 1 every user alike."""
    initialiser: FirstEmbeddings = "svd"
    """First values of the embeddings; `svd`: the factors of the normalised matrix, scaled to `initial_std`."""

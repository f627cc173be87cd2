"""Settings that several families of trained models share. Imports no torch: serving reads configs too."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.config import Config, Search

Initialiser = Literal["normal", "xavier", "he"]
EmbeddingInitialiser = Literal["svd", "normal", "xavier"]
Loss = Literal["softmax", "infonce", "bpr", "bce"]
NegativeKind = Literal["uniform", "popularity", "in-batch", "mixed"]
Similarity = Literal["dot", "cosine"]


class EpochsConfig(Config):
    """Settings of every model that trains in epochs."""

    epochs: PositiveInt = 100
    """Maximum number of passes over the data."""
    patience: NonNegativeInt = 0
    """Stop after this many epochs without improvement on valid and keep the best epoch; 0 trains all epochs."""
    min_delta: NonNegativeFloat = 0.0
    """Smallest gain that counts as an improvement."""
    monitor: str = "ndcg@10"
    """The metric on valid that early stopping monitors."""
    validate_every: PositiveInt = 1
    """Epochs between two evaluations on valid."""


class GradientConfig(EpochsConfig):
    """Settings of every model that trains by gradient descent."""

    learning_rate: Annotated[PositiveFloat, Search(1e-4, 0.1, log=True, first=True)] = 0.001
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "constant"
    """Learning-rate decay: none, every `schedule_epochs`, a cosine to zero, or when the metric stops improving."""
    schedule_epochs: PositiveInt = 10
    """step: epochs between two reductions; plateau: epochs without improvement before one."""
    schedule_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """step, plateau: factor applied to the learning rate at each reduction."""
    warm_up: NonNegativeInt = 0
    """Epochs over which the learning rate rises linearly to its full value."""
    clip_norm: NonNegativeFloat = 0.0
    """Clip the gradient of each step to this norm; 0 does not clip."""


class ObjectiveConfig(GradientConfig):
    """Settings of models that learn to rank a user's items above all others."""

    loss: Loss = "softmax"
    """`softmax` over the whole catalogue, or sampled negatives per positive: `infonce`, `bpr`, `bce`."""
    candidates: NonNegativeInt = 0
    """softmax: items that represent the catalogue in a step, half of them the most popular, drawn for each 128 users,
    beside each user's own; 0: all of it. 4,096 by default on a large catalogue, see `defaults_for`."""
    negatives: NegativeKind = "uniform"
    """Sampling: uniform, by popularity, the batch's other positives, or half uniform and half in-batch."""
    n_negatives: PositiveInt = 6
    """Negatives per positive; in-batch uses the whole batch."""
    log_q: bool = False
    """infonce: subtract the log of its expected count from each negative, an unbiased estimate of the softmax."""
    mask_seen: bool = True
    """Leave out sampled negatives that are in the user's history."""
    similarity: Similarity = "cosine"
    """How a user vector and an item vector are compared."""
    temperature: Annotated[PositiveFloat, Search(0.05, 1, log=True)] = 0.2
    """Scores are divided by it."""
    batch_size: NonNegativeInt = 0
    """Users (softmax) or pairs (other losses) per step; 0 takes all at once."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """softmax: each event of a user with n events has weight n^-user_power: 0 weighs events equally, 1 users."""
    decay: Annotated[NonNegativeFloat, Search(1e-6, 1e-2, log=True)] = 0.0
    """Adam's weight decay."""
    initialiser: EmbeddingInitialiser = "normal"
    """Initial embeddings; `svd`: truncated SVD of the normalised matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.1
    """Standard deviation of the initial embeddings, with `svd` and `normal`."""

    @model_validator(mode="after")
    def _batch_bounds_memory(self) -> Self:
        if self.loss != "softmax" and not self.batch_size:
            raise ValueError(f"loss = {self.loss} draws negatives for pairs; set batch_size, for example 512")
        if self.loss != "softmax" and self.candidates:
            raise ValueError(
                f"candidates represent the catalogue in a softmax, and loss = {self.loss} draws negatives; set "
                "candidates = 0"
            )
        if self.loss in ("bpr", "bce") and self.log_q:
            raise ValueError(f"log_q corrects a sampled softmax, which loss = {self.loss} is not; use infonce")
        return self

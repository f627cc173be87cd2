"""Settings that several families of trained models share. No torch here: serving reads configs too."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.config import Config, Search

Initialiser = Literal["normal", "xavier", "he"]
FirstEmbeddings = Literal["svd", "normal", "xavier"]
Loss = Literal["softmax", "infonce", "bpr", "bce"]
NegativeKind = Literal["uniform", "popularity", "in-batch", "mixed"]
Similarity = Literal["dot", "cosine"]


class EpochsConfig(Config):
    """Settings of every model that trains by epochs."""

    epochs: PositiveInt = 100
    """Passes over the data, at most."""
    patience: NonNegativeInt = 0
    """Stop after so many epochs without a better figure on valid, and keep the best; 0 trains all epochs."""
    min_delta: NonNegativeFloat = 0.0
    """What counts as better: by more than this."""
    monitor: str = "ndcg@10"
    """The metric on valid that early stopping watches."""
    validate_every: PositiveInt = 1
    """Epochs between two looks at valid."""


class GradientConfig(EpochsConfig):
    """Settings of every model that trains by gradients."""

    learning_rate: Annotated[PositiveFloat, Search(1e-4, 0.1, log=True)] = 0.001
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "constant"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""
    schedule_epochs: PositiveInt = 10
    """step: epochs between two falls; plateau: epochs without a better figure before one."""
    schedule_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """step, plateau: what a fall multiplies the step size by."""
    warm_up: NonNegativeInt = 0
    """Epochs over which the step size rises linearly to its full size."""
    clip_norm: NonNegativeFloat = 0.0
    """Largest norm of a step's gradient; longer ones are shortened. 0 leaves them."""


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

"""Settings that both graph models share."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training.configs import EmbeddingInitialiser, ObjectiveConfig


class GraphConfig(ObjectiveConfig):
    """Settings of models that propagate embeddings over the user-item graph."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Embedding size."""
    layers: NonNegativeInt = 2
    """Propagation layers; 0 is matrix factorisation."""
    user_state: Literal["history", "stored"] = "history"
    """Layer 0 of a known user: solved from the history, or the trained embedding."""
    solve: Literal["newton", "plain"] = "newton"
    """Steps of the fold-in solve: with the curvature of the softmax, or along the gradient; `plain` is chosen where
    solve_steps alone is set."""
    solve_steps: NonNegativeInt = 2
    """Steps of the fold-in solve; 0 uses the propagated history alone."""
    solve_temperature: Annotated[PositiveFloat, Search(0.1, 1, log=True)] = 0.25
    """Softmax temperature of the fold-in solve; above that of training, so that short histories do not overfit."""
    epochs: PositiveInt = 100
    """Passes over the data, at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 0.2, log=True, first=True)] = 0.02
    """Step size of Adam."""
    temperature: Annotated[PositiveFloat, Search(0.05, 1, log=True, first=True)] = 0.17
    """Training divides scores by it; 1 is no temperature."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1, first=True)] = 0.3
    """softmax: a user with n events has weight n^(1 - user_power): 0 weighs events equally, 1 users equally."""
    l2: NonNegativeFloat = 0.0
    """L2 penalty on the layer-0 embeddings of a batch's users, positives and negatives; not for softmax."""
    initialiser: EmbeddingInitialiser = "svd"
    """Initial embeddings; `svd`: singular vectors of the normalised matrix, scaled to `initial_std`."""
    initial_smoothing: NonNegativeFloat = 0.0
    """`svd`: added to the events of each user and item before the matrix is normalised, as a multiple of the mean, so
    that pairs which nobody else has do not take whole singular vectors. 0.3 helps on large sparse logs."""

    @model_validator(mode="before")
    @classmethod
    def _plain_if_only_steps_are_set(cls, values: object) -> object:
        """Experiments and models of before there were two kinds of steps have their number alone."""
        if isinstance(values, dict) and "solve" not in values and "solve_steps" in values:
            return {**values, "solve": "plain"}
        return values

    @model_validator(mode="after")
    def _l2_needs_pairs(self) -> Self:
        if self.l2 and self.loss == "softmax":
            raise ValueError("l2 penalises sampled pairs, and loss = softmax samples none; use decay")
        return self

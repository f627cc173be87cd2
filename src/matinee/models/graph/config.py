"""Settings of models that send vectors over the graph of users and items."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from matinee.config import Search
from matinee.training.configs import EmbeddingInitialiser, ObjectiveConfig

SLOPE = 0.2
"""Of LeakyReLU below zero, as in the code of NGCF's authors."""


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
    initialiser: EmbeddingInitialiser = "svd"
    """First values of the embeddings; `svd`: the factors of the normalised matrix, scaled to `initial_std`."""

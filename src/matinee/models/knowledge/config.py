"""Settings of KPRN."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training.configs import GradientConfig


class KPRNConfig(GradientConfig):
    """Settings of KPRN."""

    form: Literal["patterns", "paths"] = "patterns"
    """`paths`: an LSTM reads sampled paths, as in the paper; `patterns`: it reads their patterns, and all paths are
    summed by sparse products."""
    first_stage: str = "ease"
    """The model whose candidates are re-ranked."""
    first_settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the first stage, such as {l2 = 500}."""
    candidates: PositiveInt = 100
    """Items of the first stage that are re-ranked; the others follow in its order."""
    max_nodes: Annotated[int, Field(ge=2, le=5)] = 3
    """Nodes of the longest paths from an item of the history to a candidate; `patterns` takes 2 and 3."""
    max_neighbours: Annotated[PositiveInt, Search(10, 1000, log=True)] = 200
    """Neighbours of a node by one relation; of more, a sample is drawn once."""
    user_paths: bool = True
    """Whether paths lead through other users."""
    max_paths: PositiveInt = 20
    """paths: paths of a history to one candidate; of more, a sample."""
    max_walks: PositiveInt = 5000
    """paths of 4 and 5 nodes: walks of two steps from a history, and from its candidates; of more, a sample."""
    dim: Annotated[PositiveInt, Search(4, 64, log=True)] = 16
    """Dimensions of embeddings and of the LSTM's state."""
    temperature: Annotated[PositiveFloat, Search(0.1, 10, log=True)] = 1.0
    """Of the pooling: lower lets the strongest path decide, higher counts paths."""
    loss: Literal["softmax", "bce"] = "softmax"
    """Over a user's held-out items and sampled negatives: one softmax, or a binary cross-entropy for each as in the
    paper."""
    n_negatives: PositiveInt = 60
    """Negatives of a user and epoch, drawn from the candidates."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each user's events that training ranks, unseen by its first stage and graph."""
    max_users: PositiveInt = 5000
    """Users to train on; of more, a sample."""
    epochs: PositiveInt = 10
    learning_rate: Annotated[PositiveFloat, Search(1e-4, 0.1, log=True, first=True)] = 0.01
    batch_size: PositiveInt = 64
    """Users per step."""
    l2: Annotated[NonNegativeFloat, Search(1e-2, 10, log=True, first=True)] = 0.3
    """L2 penalty on the embeddings of nodes."""

    @model_validator(mode="after")
    def _patterns_are_short(self) -> Self:
        if self.form == "patterns" and self.max_nodes > 3:
            raise ValueError(f"max_nodes = {self.max_nodes} needs form = paths; patterns sums paths of 2 and 3 nodes")
        return self

"""Settings of BPR."""

from typing import Annotated, Literal, Self

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training.configs import GradientConfig


class BPRConfig(GradientConfig):
    """Settings of BPR."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True, first=True)] = 128
    """Embedding size."""
    epochs: PositiveInt = 20
    """Passes over all users; each compares every positive with its user's negatives."""
    learning_rate: Annotated[PositiveFloat, Search(0.001, 0.1, log=True, first=True)] = 0.03
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning-rate decay: none, every `schedule_epochs`, a cosine to zero, or when the metric stops improving."""
    l2: Annotated[NonNegativeFloat, Search(1e-3, 0.2, log=True, first=True)] = 0.014
    """L2 penalty of each positive, on the parameters of its user, itself and, in expectation, a negative."""
    negatives: Literal["all", "uniform", "popularity", "in-batch"] = "all"
    """`all`: every item outside the history, none drawn. Else drawn: uniformly, by popularity, or from the positives of
    the batch."""
    n_negatives: PositiveInt = 32
    """Negatives drawn for each user and epoch, shared by all of the user's positives. Not with `all`."""
    batch_size: PositiveInt = 128
    """Users a step. Fewer by default for fewer than 2,500 users, see `defaults_for`."""
    user_state: Literal["history", "stored"] = "history"
    """A known user's vector: solved from the history, or the trained row."""
    fold_in_l2: Annotated[PositiveFloat, Search(0.1, 1000, log=True)] = 10.0
    """history: ridge strength of the solve."""
    fold_in_unobserved: Annotated[PositiveFloat, Search(0.001, 1, log=True)] = 0.05
    """history: weight of the items outside the history."""

    @model_validator(mode="after")
    def _draw_what_is_counted(self) -> Self:
        if self.negatives == "all" and self.n_negatives != type(self).model_fields["n_negatives"].default:
            raise ValueError("n_negatives has no effect with negatives = all; leave it out, or set negatives = uniform")
        return self

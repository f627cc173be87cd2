"""Settings of BPR."""

from typing import Annotated, Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

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
    candidates: NonNegativeInt = 0
    """all: items that represent the catalogue in a step, shared by its users, half of them the most popular; 0: every
    item. 4,096 by default on a large catalogue, see `defaults_for`."""
    n_negatives: PositiveInt = 32
    """Negatives drawn for each user and epoch, shared by all of the user's positives. Not with `all`."""
    batch_size: PositiveInt = 128
    """Users a step. Fewer by default for fewer than 2,500 users, more on a large catalogue, see `defaults_for`."""
    user_state: Literal["history", "stored"] = "history"
    """A known user's vector: folded in from the history, or the trained row."""
    fold_in: Literal["mean", "solve"] = "mean"
    """history: what is projected: the mean of the item vectors, or the solution of a ridge regression.
    Either of the two settings below chooses `solve`."""
    fold_in_l2: PositiveFloat = 10.0
    """solve: ridge strength."""
    fold_in_unobserved: PositiveFloat = 0.05
    """solve: weight of the items outside the history."""

    @model_validator(mode="before")
    @classmethod
    def _solve_if_it_is_set(cls, values: object) -> object:
        if (
            isinstance(values, dict)
            and "fold_in" not in values
            and values.keys() & {"fold_in_l2", "fold_in_unobserved"}
        ):
            return {**values, "fold_in": "solve"}
        return values

    @model_validator(mode="after")
    def _draw_what_is_counted(self) -> Self:
        if self.negatives == "all" and self.n_negatives != type(self).model_fields["n_negatives"].default:
            raise ValueError("n_negatives has no effect with negatives = all; leave it out, or set negatives = uniform")
        if self.negatives != "all" and self.candidates:
            raise ValueError("candidates represent all negatives; set candidates = 0, for these negatives are drawn")
        return self

"""What can be set about models of sequences. No torch here: serving reads configs too."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training.configs import EmbeddingInitialiser, GradientConfig

SequenceLossKind = Literal["softmax", "sampled-softmax", "bce", "gbce", "bpr-max", "top1-max"]


class SequenceConfig(GradientConfig):
    """Settings of models that learn what comes next in a sequence."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of an item's vector."""
    max_length: PositiveInt = 100
    """The last events that count; longer histories are trained in pieces of so many."""
    batch_size: PositiveInt = 1024
    """Transitions a step, at most: an epoch has 32 steps at least."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.6)] = 0.2
    """Share of values left out of a step."""
    loss: SequenceLossKind = "sampled-softmax"
    """`softmax` over the whole catalogue, or the next item against negatives: `sampled-softmax`, `bce`, `gbce` (these
    with the user's own items left out), `bpr-max`, `top1-max`."""
    n_negatives: Annotated[PositiveInt, Search(1, 1024, log=True)] = 512
    """Negatives of each transition: drawn for it alone (bce), or for all of a step (other losses)."""
    in_batch: bool = False
    """Whether the step's other targets are negatives too."""
    negative_power: Annotated[NonNegativeFloat, Search(0, 1)] = 0.0
    """Negatives are drawn in proportion to popularity^this: 0 all items alike, 1 by popularity."""
    mask_seen: bool = False
    """softmax, sampled-softmax: what a history has held already is no candidate, as it is none in a list."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """softmax, sampled-softmax: a history's transitions count n^-user_power, n being how many they are: 0 all alike, 1
    every history alike."""
    restart: Annotated[float, Field(ge=0, le=1), Search(0, 0.5)] = 0.0
    """The chance that a history begins anew at an event, in half of them, drawn each epoch: what follows a few events
    is then learned anywhere, not only at the beginning."""
    calibration: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.75
    """gbce: 0 leaves bce as it is, 1 makes its scores as honest as those of the whole catalogue."""
    penalty: NonNegativeFloat = 1.0
    """bpr-max: what the negatives' squared scores cost."""
    decay: Annotated[NonNegativeFloat, Search(1e-6, 1e-2, log=True)] = 0.0
    """Adam's weight decay."""
    initialiser: EmbeddingInitialiser = "svd"
    """First item vectors; `svd`: the factors of who has what, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.15
    """Spread of the first item vectors."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products in training: bfloat16 is several times faster on processors that have it."""

    @model_validator(mode="after")
    def _softmax_only(self) -> Self:
        if not self.loss.endswith("softmax"):
            for name in ("mask_seen", "user_power"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} goes with loss = softmax or sampled-softmax; leave it out with {self.loss}"
                    )
        return self

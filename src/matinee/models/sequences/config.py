"""Settings that GRU4Rec and SASRec share. No torch here: serving reads configs too."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training.configs import EmbeddingInitialiser, GradientConfig

SequenceLossKind = Literal["softmax", "sampled-softmax", "bce", "gbce", "bpr-max", "top1-max"]


class SequenceConfig(GradientConfig):
    """Settings of models trained to predict the next item."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of the item vectors."""
    max_length: PositiveInt = 100
    """Events that the model reads, the last ones; longer histories are trained in parts of this length."""
    batch_size: PositiveInt = 1024
    """Transitions per step, at most; an epoch has at least 32 steps."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.6, first=True)] = 0.2
    """Dropout probability."""
    loss: SequenceLossKind = "sampled-softmax"
    """`softmax` over the whole catalogue, or against negatives: `sampled-softmax`, `bce` and `gbce` (both leave out the
    user's items), `bpr-max`, `top1-max`."""
    n_negatives: Annotated[PositiveInt, Search(1, 1024, log=True)] = 512
    """Negatives per transition (bce), or per step, shared by its transitions (other losses)."""
    in_batch: bool = False
    """Whether the other targets of the step are negatives too."""
    negative_power: Annotated[NonNegativeFloat, Search(0, 1)] = 0.0
    """Negatives are drawn with probability proportional to popularity^negative_power; 0 is uniform."""
    mask_seen: bool = False
    """softmax, sampled-softmax: leave earlier items of the history out of the candidates, as lists do."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1, first=True)] = 0.0
    """softmax, sampled-softmax: weight n^-user_power of each of a history's n transitions; 1 weights users equally."""
    restart_probability: Annotated[float, Field(ge=0, le=1), Search(0, 0.5)] = 0.0
    """Augmentation: in half of the sequences each event starts a new one with this probability."""
    calibration: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.75
    """gbce: 0 is bce; 1 corrects the overconfidence that negative sampling causes (the paper's t)."""
    penalty: NonNegativeFloat = 1.0
    """bpr-max: weight of the regularisation of the negatives' scores (the paper's λ)."""
    decay: Annotated[NonNegativeFloat, Search(1e-6, 1e-2, log=True)] = 0.0
    """Adam's weight decay."""
    initialiser: EmbeddingInitialiser = "svd"
    """First item vectors; `svd`: singular vectors of the normalised interaction matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.15
    """Standard deviation of the first item vectors."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products in training; bfloat16 saves up to half of the time on processors
    that support it, with the softmax over all items and wide vectors, and little elsewhere."""

    @model_validator(mode="after")
    def _softmax_only(self) -> Self:
        if not self.loss.endswith("softmax"):
            for name in ("mask_seen", "user_power"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} goes with loss = softmax or sampled-softmax; leave it out with {self.loss}"
                    )
        return self

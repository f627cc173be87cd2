"""Settings of the neural collaborative filtering models. No torch here: serving reads configs too."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training.configs import EmbeddingInitialiser, GradientConfig, Loss, NegativeKind


class NCFConfig(GradientConfig):
    """Settings of GMF, MLP and NeuMF."""

    dim: Annotated[PositiveInt, Search(8, 128, log=True)] = 32
    """Predictive factors: inputs of the output layer, per branch."""
    epochs: PositiveInt = 60
    """Passes over all users (or all events, with sampled negatives), at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 0.1, log=True, first=True)] = 0.02
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning rate schedule: constant, a step every few epochs, a cosine to zero, or a step on a plateau."""
    loss: Loss = "softmax"
    """`softmax` over the catalogue; `bce`, the paper's; `infonce` or `bpr`."""
    candidates: NonNegativeInt = 0
    """Items that represent the catalogue in a step, shared by its users, half of them the most popular. 0: `softmax`
    takes the whole catalogue, other losses sample negatives for each positive, as in the paper."""
    negatives: NegativeKind = "uniform"
    """Without candidates: the distribution of sampled negatives. Uniform, by popularity, in-batch, or mixed."""
    n_negatives: PositiveInt = 4
    """Negatives per positive; in-batch uses the whole batch."""
    batch_size: PositiveInt = 64
    """Users per step (`softmax`, or with candidates), else events per step."""
    l2: Annotated[NonNegativeFloat, Search(0.01, 1, log=True, first=True)] = 0.28
    """L2 penalty: mean events per user · l2 · |all embeddings|² is added to the loss summed over events."""
    initialiser: EmbeddingInitialiser = "normal"
    """Initial embeddings; `svd`: singular vectors of the normalised matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.1
    """Standard deviation of the initial embeddings (`svd` and `normal`)."""
    user_state: Literal["history", "stored"] = "history"
    """A user's vector: folded in from the history, or the embedding learned in training (known users only)."""
    fold_in: Literal["regression", "newton"] = "regression"
    """history: a regression of training users' embeddings on the means of their item vectors, or Newton steps on the
    training loss of the history. Any setting of `newton` below chooses it."""
    fold_in_scale: Annotated[PositiveFloat, Search(0.5, 1)] = 1.0
    """regression: factor on what sets a user apart from the mean of all; below 1 like a stronger L2 penalty."""
    fold_in_steps: NonNegativeInt = 5
    """newton: the number of steps."""
    fold_in_items: PositiveInt = 1024
    """newton: items that represent the catalogue, half of them the most popular."""
    fold_in_l2: PositiveFloat = 2.0
    """newton: L2 penalty, as a multiple of `l2`."""

    @model_validator(mode="before")
    @classmethod
    def _newton_if_its_settings_are_set(cls, values: object) -> object:
        of_newton = {"fold_in_steps", "fold_in_items", "fold_in_l2"}
        if isinstance(values, dict) and "fold_in" not in values and values.keys() & of_newton:
            return {**values, "fold_in": "newton"}
        return values

    @model_validator(mode="after")
    def _candidates_need_a_loss_over_users(self) -> Self:
        if self.candidates and self.loss in ("infonce", "bpr"):
            raise ValueError(
                f"loss = {self.loss} compares pairs and takes no candidates; set candidates = 0, or use softmax or bce"
            )
        return self


class TowerConfig(NCFConfig):
    """Settings of MLP and NeuMF."""

    dim: Annotated[PositiveInt, Search(8, 64, log=True)] = 16
    """Predictive factors: the width of the tower's last layer, and of the product."""
    l2: Annotated[NonNegativeFloat, Search(0.01, 1, log=True, first=True)] = 0.15
    """L2 penalty: mean events per user · l2 · |all embeddings|² is added to the loss summed over events."""
    layers: Annotated[PositiveInt, Search(1, 4)] = 1
    """Hidden layers of the tower; each is half as wide as its input. The tower's embeddings have dim · 2^(layers - 1)
    dims."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.3
    """Dropout of each layer's inputs."""
    tower_l2: Annotated[NonNegativeFloat, Search(0.1, 10, log=True)] = 1.0
    """L2 penalty on the tower's weights, in the unit of `l2`."""
    tower_init: Literal["he", "similarity"] = "he"
    """Initial weights of the tower: He et al. 2015, or weights with which the tower computes a similarity of its two
    vectors, Σ |a + b| - |a - b| over the first dims, plus a little noise."""
    tower_rate: PositiveFloat = 1.0
    """Learning rate of the tower's weights, as a multiple of `learning_rate`."""
    batch_norm: bool = False
    """Batch normalisation of the hidden layers, over the pairs of a step."""

    @model_validator(mode="after")
    def _similarity_needs_four_units_per_dim(self) -> Self:
        if self.tower_init == "similarity" and self.dim // 2 << self.layers < 4:
            raise ValueError(
                f"tower_init = similarity needs four units for each dim it compares, dim = {self.dim} with "
                f"layers = {self.layers} has fewer; set dim to 4 or more, or tower_init = he"
            )
        return self

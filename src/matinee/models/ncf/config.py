"""What can be set about networks that score pairs of a user and an item. No torch here: serving reads configs too."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from matinee.config import Search
from matinee.training.configs import EmbeddingInitialiser, GradientConfig, Loss, NegativeKind


class PairConfig(GradientConfig):
    """Settings of GMF, MLP and NeuMF."""

    dim: Annotated[PositiveInt, Search(8, 128, log=True)] = 32
    """Predictive factors: what the output layer reads of each half."""
    epochs: PositiveInt = 60
    """Passes over all users (or pairs), at most."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 0.1, log=True)] = 0.02
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """How the step size falls: never, every so many epochs, along a cosine to zero, or when nothing gets better."""
    loss: Loss = "softmax"
    """`softmax` over the catalogue; `bce`, the paper's; `infonce` or `bpr`."""
    candidates: NonNegativeInt = 0
    """Items that stand for the catalogue in a step, the same for all its users, half of them the most popular; 0: with
    `softmax` the whole catalogue, with other losses negatives drawn for each positive, as in the paper."""
    negatives: NegativeKind = "uniform"
    """Without candidates: where negatives come from, all items alike, by popularity, the batch, or half each."""
    n_negatives: PositiveInt = 4
    """Negatives of each positive; in-batch takes the whole batch."""
    batch_size: PositiveInt = 64
    """Users a step (`softmax`, or with candidates), else pairs."""
    l2: Annotated[NonNegativeFloat, Search(0.01, 1, log=True)] = 0.28
    """Ridge strength on the embeddings: times the squares of all of them for each user, against the mean loss."""
    initialiser: EmbeddingInitialiser = "normal"
    """First values of the embeddings; `svd`: the factors of the normalised matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.1
    """Their spread, with `svd` and `normal`."""
    user_state: Literal["history", "stored"] = "history"
    """A user's vector: solved from their history, or the row that was learned (known users only)."""
    fold_in_steps: NonNegativeInt = 5
    """history: Newton steps of the solve."""
    fold_in_items: PositiveInt = 1024
    """history: items that stand for the catalogue in the solve, half of them the most popular."""
    fold_in_l2: Annotated[PositiveFloat, Search(0.1, 10, log=True)] = 2.0
    """history: ridge strength of the solve, in units of `l2`."""

    @model_validator(mode="after")
    def _candidates_serve_whole_rows(self) -> Self:
        if self.candidates and self.loss in ("infonce", "bpr"):
            raise ValueError(
                f"loss = {self.loss} compares pairs and takes no candidates; set candidates = 0, or use softmax or bce"
            )
        return self


class TowerConfig(PairConfig):
    """Settings of MLP and NeuMF."""

    dim: Annotated[PositiveInt, Search(8, 64, log=True)] = 16
    """Predictive factors: the width of the tower's top, and of the product."""
    l2: Annotated[NonNegativeFloat, Search(0.01, 1, log=True)] = 0.15
    """Ridge strength on the embeddings: times the squares of all of them for each user, against the mean loss."""
    layers: Annotated[PositiveInt, Search(1, 4)] = 1
    """Hidden layers of the tower, each half as wide as the one below; embeddings are dim · 2^(layers - 1) long."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.3
    """Share of each layer's inputs left out of a step."""
    tower_l2: Annotated[NonNegativeFloat, Search(0.1, 10, log=True)] = 1.0
    """Ridge strength on the tower's weights, in the units of `l2`."""
    tower_start: Literal["he", "likeness"] = "he"
    """First weights of the tower: drawn as in He et al. 2015, or such that it measures how alike two vectors are,
    Σ |a + b| - |a - b| over the first dims, with little noise."""
    tower_rate: PositiveFloat = 1.0
    """Step size of the tower's weights, in units of `learning_rate`."""
    batch_norm: bool = False
    """Whether hidden layers are normalised over the pairs of a step."""

    @model_validator(mode="after")
    def _likeness_takes_four_units(self) -> Self:
        if self.tower_start == "likeness" and self.dim // 2 << self.layers < 4:
            raise ValueError(
                f"tower_start = likeness needs four units for each dim it compares, dim = {self.dim} with "
                f"layers = {self.layers} has fewer; set dim to 4 or more, or tower_start = he"
            )
        return self

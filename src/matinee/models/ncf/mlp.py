"""MLP: a tower of hidden layers over the embeddings of a user and an item (He et al. 2017)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from matinee.config import Search
from matinee.models.ncf.base import NCFModel
from matinee.models.ncf.config import TowerConfig
from matinee.training.configs import EmbeddingInitialiser


class MLPConfig(TowerConfig):
    """Settings of MLP."""

    dim: Annotated[PositiveInt, Search(8, 128, log=True)] = 64
    """Predictive factors: the width of the tower's last layer."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 0.1, log=True, first=True)] = 0.01
    """Step size of Adam."""
    candidates: NonNegativeInt = 512
    """Items that represent the catalogue in a step, as in NCFConfig; 0: all of it."""
    l2: Annotated[NonNegativeFloat, Search(0.01, 1, log=True, first=True)] = 0.7
    """L2 penalty: mean events per user · l2 · |all embeddings|² is added to the loss summed over events."""
    tower_l2: NonNegativeFloat = 0.0
    """L2 penalty on the tower's weights, in the unit of `l2`."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.0
    """Dropout of each layer's inputs."""
    tower_init: Literal["he", "similarity"] = "similarity"
    """Initial weights of the tower, as in TowerConfig."""
    tower_rate: PositiveFloat = 0.1
    """Learning rate of the tower's weights, as a multiple of `learning_rate`."""
    initialiser: EmbeddingInitialiser = "svd"
    """Initial embeddings; `svd`: singular vectors of the normalised matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.15
    """Standard deviation of the initial embeddings (`svd` and `normal`)."""
    fold_in_l2: PositiveFloat = 1.0
    """newton: L2 penalty, as a multiple of `l2`."""


class MLP(NCFModel):
    """score = hᵀ tower([p_u, q_i]): `layers` ReLU layers, each half as wide as its input.

    Source: He et al. 2017, eq. 10. The first layer is W [p, q] + b = (W_u p + b) + W_i q, so an item's projection is
    computed once for all users. A visitor's p_u is folded in from the history (see NCFModel).

    Differs from the paper: the loss is the softmax over the catalogue, not the binary cross-entropy of events and
    sampled negatives (`loss = "bce"`); an L2 penalty, where the paper has none; one hidden layer of 64, not three;
    embeddings start from singular vectors and the tower as a similarity, not at N(0, 0.01²), and the tower learns ten
    times more slowly than the embeddings; the output is the logit, without sigmoid, which changes no order, and
    without a bias; the learning rate falls along a cosine.
    """

    name = "mlp"
    Config = MLPConfig
    has_product = False
    fold_in_tolerance: ClassVar[float] = 0.02
    """Most that scores from the history may differ from those of the stored embedding: 1 - correlation, users' mean."""
    config: MLPConfig

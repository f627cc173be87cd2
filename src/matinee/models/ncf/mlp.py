"""MLP: a tower of hidden layers over the embeddings of a user and an item (He et al. 2017)."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.ncf.config import TowerConfig
from matinee.models.ncf.ncf import LEARNED, fit_pairs, pair_scores, user_parts
from matinee.training.configs import EmbeddingInitialiser
from matinee.training.run import Run


class MLPConfig(TowerConfig):
    """Settings of MLP."""

    dim: Annotated[PositiveInt, Search(8, 128, log=True)] = 64
    """Predictive factors: the width of the tower's top."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 0.1, log=True)] = 0.01
    """Step size of Adam."""
    candidates: NonNegativeInt = 512
    """Items that stand for the catalogue in a step, as in PairConfig; 0: all of it."""
    l2: Annotated[NonNegativeFloat, Search(0.01, 1, log=True)] = 0.7
    """Ridge strength on the embeddings: times the squares of all of them for each user, against the mean loss."""
    tower_l2: NonNegativeFloat = 0.0
    """Ridge strength on the tower's weights, in the units of `l2`."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.0
    """Share of each layer's inputs left out of a step."""
    tower_start: Literal["he", "likeness"] = "likeness"
    """First weights of the tower, as in TowerConfig."""
    tower_rate: PositiveFloat = 0.1
    """Step size of the tower's weights, in units of `learning_rate`."""
    initialiser: EmbeddingInitialiser = "svd"
    """First values of the embeddings; `svd`: the factors of the normalised matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.15
    """Their spread, with `svd` and `normal`."""
    fold_in_l2: Annotated[PositiveFloat, Search(0.1, 10, log=True)] = 1.0
    """history: ridge strength of the solve, in units of `l2`."""


class MLP(Recommender[FloatArray]):
    """score = hᵀ tower([p_u, q_i]), the tower `layers` of ReLU, each half as wide as the one below.

    Source: He et al. 2017, eq. 10; the sigmoid, which changes no order, is in the loss. The first layer is
    W [p, q] + b = (W_u p + b) + W_i q: the items' parts are computed once for all users. A visitor's p is solved by
    Newton steps (Gauss and Newton's curvature) on what training minimises, all else frozen.
    The scores of items without events are the lowest of the row; who has no history is scored by popularity.
    """

    name = "mlp"
    Config = MLPConfig
    learned = LEARNED
    has_product = False
    fold_in_tolerance: ClassVar[float] = 0.02
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row."""
    config: MLPConfig
    users: FloatArray  # [U, E], p
    user_rows: IntArray  # [U] ascending
    items: FloatArray  # [I, W], W_i q
    embeddings: FloatArray  # [I, E], q
    weights: FloatArray  # of the tower, flat
    popularity: FloatArray  # [I]
    data: str

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        fit_pairs(self, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """W_u p + b of each user. [B, W]; zero without a history."""
        return user_parts(self, histories)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        return pair_scores(self, state)

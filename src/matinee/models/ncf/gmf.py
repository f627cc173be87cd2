"""GMF: generalised matrix factorisation, the product half of neural collaborative filtering (He et al. 2017)."""

from typing import ClassVar, Self

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.ncf.config import PairConfig
from matinee.models.ncf.ncf import LEARNED, fit_pairs, pair_scores, user_parts
from matinee.training.run import Run


class GMFConfig(PairConfig):
    """Settings of GMF."""


class GMF(Recommender[FloatArray]):
    """score = hᵀ (p_u ⊙ q_i), h learned.

    Source: He et al. 2017, eq. 8 and 9; the sigmoid, which changes no order, is in the loss. The loss is free: see
    PairConfig. A visitor's p is solved by Newton steps on what training minimises, all else frozen.
    The scores of items without events are the lowest of the row; who has no history is scored by popularity.
    """

    name = "gmf"
    Config = GMFConfig
    learned = LEARNED
    has_product = True
    fold_in_tolerance: ClassVar[float] = 0.02
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row."""
    config: GMFConfig
    users: FloatArray  # [U, D]
    user_rows: IntArray  # [U] ascending
    items: FloatArray  # [I, D]
    embeddings: FloatArray  # [I, D], the same
    weights: FloatArray  # [D], h
    popularity: FloatArray  # [I]
    data: str

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        fit_pairs(self, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The product h ⊙ p of each user. [B, D]; zero without a history."""
        return user_parts(self, histories)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        return pair_scores(self, state)

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return self.items

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

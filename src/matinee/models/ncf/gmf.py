"""GMF: generalised matrix factorisation, a weighted product of embeddings (He et al. 2017)."""

from typing import ClassVar

from matinee.arrays import FloatArray
from matinee.models.ncf.base import NCFModel
from matinee.models.ncf.config import NCFConfig


class GMFConfig(NCFConfig):
    """Settings of GMF."""


class GMF(NCFModel):
    """score = hᵀ (p_u ⊙ q_i), with h learned.

    Source: He et al. 2017, eq. 8 and 9. A visitor's p_u is solved from the history (see NCFModel).

    Differs from the paper: the loss is the softmax over the catalogue, not the binary cross-entropy of events and
    sampled negatives (`loss = "bce"`); an L2 penalty, where the paper has none; the output is the logit, without
    sigmoid, which changes no order, and without a bias; h starts at ones; embeddings start at N(0, 0.1²), not
    N(0, 0.01²); the learning rate falls along a cosine.
    """

    name = "gmf"
    Config = GMFConfig
    has_product = True
    fold_in_tolerance: ClassVar[float] = 0.02
    """Most that scores from the history may differ from those of the stored embedding: 1 - correlation, users' mean."""
    config: GMFConfig

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return self.projected_items

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

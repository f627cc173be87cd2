"""GMF: generalised matrix factorisation, a weighted product of embeddings (He et al. 2017)."""

from typing import ClassVar

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.ncf.base import NCFModel
from matinee.models.ncf.config import NCFConfig
from matinee.models.ncf.left_out import users_without_each


class GMFConfig(NCFConfig):
    """Settings of GMF."""


class GMF(NCFModel):
    """score = hᵀ (p_u ⊙ q_i), with h learned.

    Source: He et al. 2017, eq. 8 and 9. A visitor's p_u is folded in from the history (see NCFModel).

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

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach. By Newton steps: a chord method, to about a thousandth of what an event changes.

        None for items without events and, by Newton steps, for trained vectors, with `loss = "bce"`, and for histories
        of few events.
        """
        if self.config.fold_in == "regression":
            return super().scores_without_each(histories, events, item_rows)
        if self.config.user_state == "stored" or self.config.loss == "bce" or not self.popularity[item_rows].all():
            return None
        weights, owners = self._weights, histories.owners[events]
        scores = np.empty((len(events), item_rows.shape[1]), dtype=np.float32)
        for user in np.unique(owners).tolist():
            mine = np.flatnonzero(owners == user)
            theirs = slice(*histories.starts[user : user + 2])
            users = users_without_each(
                weights,
                (histories.items[theirs], histories.weights[theirs]),
                events[mine] - histories.starts[user],
                self.projected_items,
                self._setting,
                self.config,
            )
            if users is None:
                return None
            items = self.projected_items[item_rows[user]]
            scores[mine] = [weights.scores(projected, items) for projected in weights.project_users(users)]
        return scores

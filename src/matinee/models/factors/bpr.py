"""BPR: matrix factorisation that ranks a user's items above the others (Rendle et al. 2009)."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender, StartArrays
from matinee.models.derived import derived
from matinee.models.factors.bpr_config import BPRConfig
from matinee.models.factors.least_squares import FixedSide, explain_solve, solve, targets_without_each
from matinee.models.needs import matrix_needs, parameter_needs
from matinee.models.regression import ridge_regression
from matinee.models.vectors import (
    append_bias,
    append_one,
    capped_dim,
    cosines,
    find_stored_users,
    mean_contributions,
    mean_vectors,
)
from matinee.nn.candidates import has_large_catalogue, large_catalogue_defaults
from matinee.training.loop import train_epochs
from matinee.training.run import Run

STEPS, FEWEST_USERS = 20, 16
"""Steps of an epoch that a small log gets by default, and the users of a step below which it gets no more."""
SCORES = 24
"""Bytes of an item and user of a step: the score, its gradient, its bin, and what stands beside them for a while."""
PROJECTION_L2 = {"mean": 0.03, "solve": 1e-3}
"""Ridge of the projection by fold-in: times the mean square of what is projected, summed over users."""


class BPR(Recommender[FloatArray]):
    """score(u, i) = w_u · h_i + b_i; minimises softplus(score(u, j) - score(u, i)), i in the history of u and j not.

    Averaged over pairs, plus l2 / 2 (|w_u|² + |h_i|² + |h_j|² + b_i² + b_j²) for each.
    Source: Rendle et al. 2009, sections 4 and 4.3.1.

    Fold-in: the mean of the history's item vectors by the events' weights, then the D x D projection that best maps
    training users' means to their rows of w. With `fold_in = "solve"` a ridge regression takes the place of the mean:
    to 1 on the history and to 0, with weight fold_in_unobserved, elsewhere (the ALS half-step of iALS with these items,
    and with its weights).

    Differs from the paper: Adam on batches of users instead of stochastic gradient descent on one sampled triple; the
    mean over all negatives instead of one that is drawn (see `mean_over_negatives`), or some that are shared by all of
    a user's positives, so that a step is three matrix products; an item bias; L2 on the negative in expectation over
    uniform draws. The paper has no visitors.
    """

    name = "bpr"
    Config = BPRConfig
    trained_by_torch = True
    fold_in_tolerance: ClassVar[float] = 0.03
    """Largest mean over users of 1 - correlation between scores from the history and those of the stored row: measured
    0.004 on the bundled data, 0.016 on MovieLens 1M."""
    uses_weights = True
    learned = ("items", "bias", "users", "user_rows", "projection")
    item_arrays = (("items", 0), ("bias", 0))
    start_arrays: ClassVar[StartArrays] = {
        "items": ("items", "items"),
        "bias": ("bias", "items"),
        "users": ("users", "users"),
    }
    config: BPRConfig
    items: FloatArray  # [I, D], h
    bias: FloatArray  # [I], b
    users: FloatArray  # [U, D], w
    user_rows: IntArray  # [U], ascending
    projection: FloatArray  # [D, D], for solutions @ projection

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: candidates on a large catalogue; of few users 20 steps an epoch, down to 16 users a step."""
        largest = cls.Config.model_fields["batch_size"].default
        if has_large_catalogue(train):
            return large_catalogue_defaults(train, largest, negatives="all")
        batch_size = max(FEWEST_USERS, round(train.n_users / STEPS))
        return {"batch_size": batch_size} if batch_size < largest else {}

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, the vectors of users and items, and the scores of a step."""
        items = min(self.config.candidates or train.n_items, train.n_items)
        of_step = SCORES * min(self.config.batch_size, train.n_users) * items
        return matrix_needs(train, 3) + parameter_needs(train, self.config.dim, users=True) + of_step

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from matinee.models.factors.pairwise import PairwiseLoss
        from matinee.training.torch_trainer import TorchTrainer
        from matinee.training.transfers import to_array

        dim = capped_dim(self, train.n_items)
        config = self.config.model_copy(update={"dim": dim})
        pairwise = PairwiseLoss(config, train, run)

        def learned() -> dict[str, FloatArray]:
            arrays = {name: to_array(tensor) for name, tensor in pairwise.parameters.items()}
            return arrays | {"projection": self._fit_projection(train.histories, arrays["items"], arrays["users"])}

        self.user_rows = train.histories.user_rows.copy()
        train_epochs(self, TorchTrainer(pairwise.parameters, pairwise.losses, learned, config), train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """User vectors and a 1 for the bias. [B, D + 1]."""
        vectors = self._before_projection(histories, self.items, lambda: self._side) @ self.projection
        indices, is_stored = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        vectors[is_stored] = self.users[indices[is_stored]]
        return append_one(vectors)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.item_vectors().T
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return append_bias(self.items, self.bias)

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Contribution of each event to the listed items' scores without bias, through the projection. [N, k].

        For user vectors that come from the history: a trained row belongs to no event.
        """
        if self.config.fold_in == "mean":
            return mean_contributions(histories, self.items, item_rows, self._projected)
        return explain_solve(histories, self._side, self._ridge(len(histories)), self._targets(item_rows))

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach; None for user vectors that are means or trained rows."""
        if self.config.user_state == "stored" or self.config.fold_in == "mean":
            return None
        ridge, targets = self._ridge(len(histories)), self._targets(item_rows)
        found = targets_without_each(histories, events, self._side, ridge, targets)
        return found + self.bias[item_rows[histories.owners[events]]]

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """See HasItemBias."""
        return self.bias[item_rows]

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the item vectors, without their biases. [n] -> [n, I]."""
        return cosines(self.items, item_rows)

    def _fit_projection(self, histories: Histories, items: FloatArray, users: FloatArray) -> FloatArray:
        """Ridge regression from the training users' folded-in vectors to their trained rows. [D, D]."""
        folded = self._before_projection(histories, items, lambda: self._side_of(items))
        strength = PROJECTION_L2[self.config.fold_in]
        projection: FloatArray = ridge_regression(folded, users, strength).astype(np.float32)
        return projection

    def _before_projection(self, histories: Histories, items: FloatArray, side: Callable[[], FixedSide]) -> FloatArray:
        """The histories' mean vectors, or ridge regressions on them. side: of the items, if it is needed. [B, D]."""
        if self.config.fold_in == "mean":
            return mean_vectors(histories, items)
        return solve(histories.weighted_matrix(len(items)), side(), self._ridge(len(histories)))

    @derived("items", "projection")
    def _projected(self) -> FloatArray:
        """Item vectors whose products with means are scores without bias. [I, D]."""
        projected: FloatArray = self.items @ self.projection.T
        return projected

    @derived("items")
    def _side(self) -> FixedSide:
        return self._side_of(self.items)

    def _side_of(self, items: FloatArray) -> FixedSide:
        # float64: biases make scores large, and a batch must give what each user gives alone
        return FixedSide.of(items.astype(np.float64), self.config.fold_in_unobserved)

    def _ridge(self, n_users: int) -> FloatArray:
        return np.full(n_users, self.config.fold_in_l2, dtype=np.float32)

    def _targets(self, item_rows: IntArray) -> FloatArray:
        """The vectors whose products with solutions are scores without bias. [B, k] -> [B, k, D]."""
        targets: FloatArray = self.items[item_rows].astype(np.float64) @ self.projection.T.astype(np.float64)
        return targets

"""RP3beta: random walks of three steps from a user to items, with popular items damped (Paudel et al. 2017)."""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array, vstack

from matinee.config import Config, Search
from matinee.histories import TrainingData
from matinee.models.item_weights import ItemWeights, has_few_events
from matinee.models.needs import matrix_needs
from matinee.nn.sparse_rows import keep_top_k, scale_rows
from matinee.training.run import Run

BLOCK_ENTRIES = 2**23
"""Probabilities of walks computed at once."""


class RP3BetaConfig(Config):
    """Settings of RP3beta."""

    alpha: Annotated[NonNegativeFloat, Search(0.2, 2, first=True)] = 0.7
    """Power of each step's probability: 0 makes all steps of a node equal to one each, 1 is P3."""
    beta: Annotated[NonNegativeFloat, Search(0, 1, first=True)] = 0.5
    """An item that n users have counts by n^-beta: 0 is P3alpha. 0.2, with an alpha of 0.5, by default for fewer than
    20 events a user, see `defaults_for`."""
    neighbours: Annotated[PositiveInt, Search(10, 500, log=True, first=True)] = 100
    """Number of items that a walk from an item keeps, the most probable."""
    weigh_training: bool = True
    """Whether events weigh by their value in training too; those of weights below 0 are then left out."""


class RP3Beta(ItemWeights):
    """score_i = Σ over the items j of the history of W_ji, W_ji = Σ_v p(v | j)^alpha p(i | v)^alpha / n_i^beta.

    p(v | j) is the share of j's events that are v's, p(i | v) the share of v's that are i's, n_i the number of users
    with i. The walk's first step, from the visitor to an item of the history, is the event's weight.
    Source: Paudel, Christoffel, Newell and Bernstein 2017, section 4.2; alpha: Cooper et al. 2014.

    Differs from the paper: the walks are counted exactly, not sampled; each item keeps the items with the `neighbours`
    largest weights; the first step is not raised to alpha nor divided by the length of the history, which changes no
    order.
    """

    name = "rp3beta"
    Config = RP3BetaConfig
    learned = ("weights",)
    item_arrays = (("weights", 1),)
    item_inputs = (("weights", 0),)
    config: RP3BetaConfig
    weights: csr_array  # [I, I], row j: the items that walks from j reach

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: of few events a user, popular items are damped less."""
        return {"alpha": 0.5, "beta": 0.2} if has_few_events(train) else {}

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix both ways and as steps, a block of walks, and what of them is kept."""
        block, kept = min(BLOCK_ENTRIES, train.n_items**2), train.n_items * min(self.config.neighbours, train.n_items)
        return matrix_needs(train, 4) + 24 * (block + kept)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Walks are counted in blocks of items."""
        matrix = train.liked_matrix() if self.config.weigh_training else train.matrix()  # [U, I]
        counts = np.bincount(matrix.indices, minlength=train.n_items)
        to_items, to_users = _steps(matrix, self.config.alpha), _steps(matrix.T.tocsr(), self.config.alpha)
        damping = np.maximum(counts, 1).astype(np.float32) ** np.float32(-self.config.beta)
        size = max(1, BLOCK_ENTRIES // max(train.n_items, 1))
        blocks = []
        for start in range(0, max(train.n_items, 1), size):
            walks = (to_users[start : start + size] @ to_items).tocsr()
            walks.data *= damping[walks.indices]
            walks.data[np.repeat(np.arange(walks.shape[0]), np.diff(walks.indptr)) + start == walks.indices] = 0
            blocks.append(keep_top_k(walks, self.config.neighbours))
        self.weights = vstack(blocks, format="csr")
        return self


def _steps(matrix: csr_array, alpha: float) -> csr_array:
    """The probability of each step from a row to a column, to the power of alpha. [R, C] -> [R, C]."""
    sums = np.asarray(matrix.sum(axis=1), dtype=np.float32)
    steps = scale_rows(matrix.astype(np.float32), 1 / np.where(sums > 0, sums, 1))
    steps.data = steps.data ** np.float32(alpha)
    return steps

"""SparseEASE: EASE over the strongest neighbours of each item (Steck 2019b), for catalogues past EASE's memory."""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.linalg import lapack
from scipy.sparse import csr_array

from matinee.arrays import FloatArray
from matinee.config import Config, Search
from matinee.errors import MatineeError
from matinee.histories import TrainingData
from matinee.models.base import FitsFromCounts
from matinee.models.item_strips import ProductStrips, narrowed
from matinee.models.item_weights import ItemWeights
from matinee.models.linear.gram import inverse_of
from matinee.models.linear.neighbourhoods import HEAD, Neighbourhoods, memory_of
from matinee.nn.sparse_rows import product_in_order
from matinee.training.run import Run

LARGE, LARGE_HEAD = 20_000, 4096
"""Items above which there is a head by default, and its size (docs/laboratory/linear.md)."""
HEAD_BYTES = 32
"""For each pair of items of the head: its sum and weight, and the weights while they are put in order."""


class SparseEASEConfig(Config):
    """Settings of SparseEASE."""

    l2: Annotated[PositiveFloat, Search(1, 1e4, log=True, first=True)] = 300.0
    """Ridge strength."""
    neighbours: Annotated[PositiveInt, Search(50, 500, log=True, first=True)] = 200
    """Number of items from which an item is predicted, those that alone predict it best."""
    head: Annotated[NonNegativeInt, Field(le=HEAD)] = 0
    """Number of the most popular items, each of which is predicted from all the others of them where that leaves less
    of its squares than its neighbours do. 4,096 by default above 20,000 items, see `defaults_for`."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9)] = 0.0
    """EDLAE: probability that an input is dropped in training, averaged exactly over all outcomes; 0 is EASE."""
    weigh_training: bool = True
    """Whether events weigh by their value in training too; those of weights below 0 are then left out."""


class SparseEASE(ItemWeights, FitsFromCounts[csr_array]):
    """score = x B, where column i of B minimises |X_i - X b|² + l2 |b|² over b that are 0 but for i's neighbours.

    With S the neighbours of i, b_S = (G_SS + l2 I)⁻¹ G_Si, G = XᵀX: the column i of the inverse of G + l2 I over S and
    i, divided by minus its diagonal. The neighbours of i are the items that alone lower its squares the most, by
    G_ij² / (G_jj + l2). With all items as neighbours it is EASE. For the `head` most popular items S is the rest of
    them instead where the minimum is lower there: it is 1 / P_ii - l2, P the inverse of G + l2 I over the head.
    Dropout: as in EASE. Fold-in: the history itself.
    Source: Steck 2019, "Markov Random Fields for Collaborative Filtering", its sparse approximation; regression on
    some items chosen beforehand: Ning and Karypis 2011, fsSLIM.

    Differs from the paper: neighbours are chosen by what they predict, in place of a threshold of correlations; each
    item has a system of its own, in place of one inverse for several items that share neighbours; the head is an
    addition.
    """

    name = "sparse-ease"
    memory_reason = "it counts pairs of items, and keeps the neighbours of each"
    smaller_models = "ials or lightgcn, whose memory grows with users and items alone"
    Config = SparseEASEConfig
    learned = ("weights",)
    item_arrays = (("weights", 1),)
    item_inputs = (("weights", 0),)
    config: SparseEASEConfig
    weights: csr_array  # [I, I], B above

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: on a large catalogue, a head."""
        return {"head": LARGE_HEAD} if train.n_items > LARGE else {}

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender."""
        head = min(self.config.head, train.n_items)
        return memory_of(train, self.config.neighbours) + HEAD_BYTES * head**2

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        return self._solve(Neighbourhoods.of(self._matrix(train), self._added, self.config.neighbours))

    def _matrix(self, train: TrainingData) -> csr_array:
        """The user-item matrix that is learned from. [U, I]."""
        return train.liked_matrix() if self.config.weigh_training else train.matrix()

    def _added(self, diagonal: FloatArray) -> FloatArray:
        """What is added to the diagonal of XᵀX. [I] -> [I]."""
        dropout = self.config.dropout
        return np.float32(self.config.l2) + np.float32(dropout / (1 - dropout)) * diagonal

    def strips(self, train: TrainingData) -> ProductStrips:
        """See FitsFromSums: of XᵀX, float64."""
        return ProductStrips(
            narrowed(self._matrix(train).astype(np.float64)), binary=False, with_own=True, dtype="float64"
        )

    def fit_counts(self, counts: csr_array, train: TrainingData, run: Run) -> Self:
        """See FitsFromCounts."""
        return self._solve(Neighbourhoods.of_products(counts, self._added, self.config.neighbours))

    def _solve(self, found: Neighbourhoods) -> Self:
        """Set the weights."""
        added = self._added(found.diagonal)
        values = _solved(found, added)
        n_head = min(self.config.head, len(found.head) - 1)
        if n_head < 2:
            self.weights = found.weights(values)
            return self
        inverse = inverse_of(np.array(found.head[:n_head, :n_head], order="F"), added[:n_head], "sparse-ease")
        least = 1 / np.diag(inverse)
        own = found.diagonal[:n_head] + added[:n_head] - np.vecdot(found.targets[:n_head], values[:n_head])
        taken = np.flatnonzero(least < own)
        values[taken] = 0
        weights = inverse[:, taken]
        weights *= -least[taken]
        weights[taken, np.arange(len(taken))] = 0
        self.weights = found.weights(values) + found.head_weights(weights, taken)
        return self

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        return product_in_order(state, self.weights)


def _solved(found: Neighbourhoods, added: FloatArray) -> FloatArray:
    """The weights of each item's neighbours, by a system for each item. added: [I] -> [I, n], as `targets`."""
    values, counts = np.zeros_like(found.targets), found.counts
    for items, blocks in found.batches():
        for item, block in enumerate(blocks, start=items.start):
            n = counts[item]
            if n == 0:
                continue
            np.einsum("ii->i", block)[:n] += added[found.columns[item, :n]]
            _, values[item, :n], failed = lapack.sposv(block[:n, :n].T, found.targets[item, :n], lower=1)
            if failed:
                raise MatineeError("sparse-ease: a system is not positive definite in float32; raise l2")
    return values

"""SparseEASE: EASE over the strongest neighbours of each item (Steck 2019b), for catalogues past EASE's memory."""

from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.linalg import lapack
from scipy.sparse import csr_array

from matinee.arrays import FloatArray
from matinee.config import Config, Search
from matinee.errors import MatineeError
from matinee.histories import TrainingData
from matinee.models.base import FitsFromCounts
from matinee.models.item_strips import ProductStrips, narrowed
from matinee.models.item_weights import ItemWeights
from matinee.models.linear.neighbourhoods import Neighbourhoods, memory_of
from matinee.nn.sparse_rows import product_in_order
from matinee.training.run import Run


class SparseEASEConfig(Config):
    """Settings of SparseEASE."""

    l2: Annotated[PositiveFloat, Search(1, 1e4, log=True, first=True)] = 300.0
    """Ridge strength."""
    neighbours: Annotated[PositiveInt, Search(50, 500, log=True, first=True)] = 200
    """Number of items from which an item is predicted, those that alone predict it best."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9)] = 0.0
    """EDLAE: probability that an input is dropped in training, averaged exactly over all outcomes; 0 is EASE."""
    weigh_training: bool = True
    """Whether events weigh by their value in training too; those of weights below 0 are then left out."""


class SparseEASE(ItemWeights, FitsFromCounts[csr_array]):
    """score = x B, where column i of B minimises |X_i - X b|² + l2 |b|² over b that are 0 but for i's neighbours.

    With S the neighbours of i, b_S = (G_SS + l2 I)⁻¹ G_Si, G = XᵀX: the column i of the inverse of G + l2 I over S and
    i, divided by minus its diagonal. The neighbours of i are the items that alone lower its squares the most, by
    G_ij² / (G_jj + l2). With all items as neighbours it is EASE. Dropout: as in EASE. Fold-in: the history itself.
    Source: Steck 2019, "Markov Random Fields for Collaborative Filtering", its sparse approximation; regression on
    some items chosen beforehand: Ning and Karypis 2011, fsSLIM.

    Differs from the paper: neighbours are chosen by what they predict, in place of a threshold of correlations; each
    item has a system of its own, in place of one inverse for several items that share neighbours.
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

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender."""
        return memory_of(train, self.config.neighbours)

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
        """Set the weights: a system for each item."""
        values = np.zeros_like(found.targets)
        added, counts = self._added(found.diagonal), found.counts
        for items, blocks in found.batches():
            for item, block in enumerate(blocks, start=items.start):
                n = counts[item]
                if n == 0:
                    continue
                np.einsum("ii->i", block)[:n] += added[found.columns[item, :n]]
                _, values[item, :n], failed = lapack.sposv(block[:n, :n].T, found.targets[item, :n], lower=1)
                if failed:
                    raise MatineeError("sparse-ease: a system is not positive definite in float32; raise l2")
        self.weights = found.weights(values)
        return self

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        return product_in_order(state, self.weights)

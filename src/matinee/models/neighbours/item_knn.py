"""ItemKNN: the similarity of an item to those of the history (Deshpande and Karypis 2004)."""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import NonNegativeFloat
from scipy.sparse import csr_array

from matinee.config import Search
from matinee.histories import TrainingData
from matinee.models.base import FitsFromCounts
from matinee.models.item_strips import ProductStrips, narrowed
from matinee.models.item_weights import ItemWeights, has_few_events
from matinee.models.needs import head_needs, matrix_needs
from matinee.models.neighbours.similarity import (
    BLOCK_ENTRIES,
    CENTRED,
    Documents,
    KNNConfig,
    Weighting,
    inverse_document_frequency,
    inverse_frequency,
    mean_length,
    nearest,
    nearest_of_products,
    weight_terms,
)
from matinee.training.run import Run


class ItemKNNConfig(KNNConfig):
    """Settings of ItemKNN. Items are the documents, users the terms."""

    weighting: Weighting = "tf-idf"
    """Weight of a user: 1, or lower the more items the user has."""
    weigh_training: bool = True
    """Whether events weigh by their value in training too; those of weights below 0 are then left out."""
    shrinkage: Annotated[NonNegativeFloat, Search(0.1, 1000, log=True, first=True)] = 50.0
    """Shrinkage term in the denominator (not with dot); damps similarities that few users support. 500, with 400
    neighbours, by default for fewer than 20 events a user, see `defaults_for`."""


class ItemKNN(ItemWeights, FitsFromCounts[csr_array]):
    """score_i = sum of S_ji over the items j of the history among the `neighbours` most similar to i.

    S_ji is the similarity of two items' vectors over users, see `similarity`. Source: Deshpande and Karypis 2004,
    section 4. Fold-in: the history itself; the term of an event is multiplied by its weight.

    Differs from the paper: the neighbourhood is that of the scored item, as in Sarwar et al. 2001, not of the watched
    item; rows of S are not normalised. By default users are weighted by tf-idf (the paper scales each user's row to
    length 1), the cosine has a shrinkage term, and there are 100 neighbours, not 20. Conditional-probability similarity
    and higher-order models are left out.
    """

    name = "item-knn"
    Config = ItemKNNConfig
    learned = ("similarities",)
    item_arrays = (("similarities", 1),)
    item_inputs = (("similarities", 0),)
    config: ItemKNNConfig
    similarities: csr_array  # [I, I], column i: the neighbours of i

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: of few events a user, more neighbours and similarities that follow the number of users.

        The other two are the defaults; where one of them is set, this rule does not apply.
        """
        if not has_few_events(train):
            return {}
        return {"neighbours": 400, "shrinkage": 500.0, "similarity": "cosine", "weighting": "tf-idf"}

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix both ways and weighted, popular items, a block of similarities, neighbours."""
        block, kept = min(BLOCK_ENTRIES, train.n_items**2), train.n_items * min(self.config.neighbours, train.n_items)
        return matrix_needs(train, 4) + head_needs(train) + 24 * (block + kept)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Similarities are computed in blocks of items."""
        by_item = self._weighted(train)
        neighbours = nearest(by_item, Documents.of(by_item, self.config), self.config, exclude_self=True)
        self.similarities = neighbours.T.tocsr()
        return self

    @property
    def counts_need_same_items(self) -> bool:
        """See FitsFromCounts."""
        return self.config.weighting != "none"

    def can_count(self, train: TrainingData) -> bool:
        """See FitsFromCounts. Not with bm25, whose mean length is that of all items, nor with more than products."""
        needs_more = self.config.similarity in CENTRED or self.config.significance
        return self.config.weighting != "bm25" and not needs_more

    def strips(self, train: TrainingData) -> ProductStrips:
        """See FitsFromSums: of inner products of the items, float64."""
        by_user = self._matrix(train)
        if self.config.weighting == "tf-idf":
            lengths = np.diff(by_user.indptr)
            by_user.data = by_user.data * np.repeat(inverse_frequency(lengths, train.n_items), lengths)
        return ProductStrips(narrowed(by_user.astype(np.float64)), binary=False, with_own=True, dtype="float64")

    def fit_counts(self, counts: csr_array, train: TrainingData, run: Run) -> Self:
        """See FitsFromCounts."""
        self.similarities = nearest_of_products(counts, self.config).T.tocsr()
        return self

    def _matrix(self, train: TrainingData) -> csr_array:
        """The user-item matrix that is learned from. [U, I]."""
        return train.liked_matrix() if self.config.weigh_training else train.matrix()

    def _weighted(self, train: TrainingData) -> csr_array:
        """The items' weighted users. [I, U]."""
        by_item = self._matrix(train).T.tocsr()
        idf = inverse_document_frequency(by_item)
        return weight_terms(by_item, self.config.weighting, idf, mean_length(by_item))

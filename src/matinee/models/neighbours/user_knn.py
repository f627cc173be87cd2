"""UserKNN: the similarity of the users who have an item (Herlocker et al. 1999), for implicit data."""

from typing import Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.neighbours.similarity import (
    KNNConfig,
    Similarity,
    inverse_document_frequency,
    mean_length,
    nearest,
    squared_norms,
    weight_terms,
)
from matinee.nn.sparse_rows import entries_at, scale_rows
from matinee.training.run import Run


class UserKNNConfig(KNNConfig):
    """Settings of UserKNN. Training users are the documents, items the terms."""

    similarity: Similarity = "jaccard"
    """`cosine`, `jaccard` (without weighting), or `dot` (for bm25)."""


class UserKNN(Recommender[csr_array]):
    """score_i = sum of the similarities of those who have i, among the `neighbours` training users most similar to u.

    A training user is their own nearest neighbour, which adds to items that they have already.
    Source: Herlocker et al. 1999, section 5. Fold-in: the search for neighbours, by the weights of the history
    over its largest. Of weights, jaccard is x·y / (|x|² + |y|² - x·y); who has what u dislikes is no neighbour.

    Differs from the paper: it predicts ratings, from Pearson correlations of ratings and deviations from users' means;
    this ranks items from binary histories, with a sum that is not divided by the similarities. Jaccard by default, 100
    neighbours (the paper: 20 to 60); `shrinkage` takes the place of its significance weighting.
    """

    name = "user-knn"
    Config = UserKNNConfig
    uses_weights = True
    learned = ("interactions", "profiles", "squared_norms", "idf", "mean_length")
    config: UserKNNConfig
    interactions: csr_array  # [U, I], binary
    profiles: csr_array  # [I, U], the same transposed and weighted
    squared_norms: FloatArray  # [U], of the profiles
    idf: FloatArray  # [I]
    mean_length: float

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Stores the training histories."""
        self.interactions = train.matrix()
        self.idf = inverse_document_frequency(self.interactions)
        self.mean_length = mean_length(self.interactions)
        weighted = self._weight(self.interactions)
        self.profiles = weighted.T.tocsr()
        self.squared_norms = squared_norms(weighted)
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """Similarities of the nearest training users. [B, U]."""
        users = self._weigh(histories)
        return nearest(users, self.profiles, self.squared_norms, self.config)

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = (state @ self.interactions).toarray()
        return scores

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """See Explains: the event's term in the similarities of the neighbours who have the listed item. [N, k].

        A similarity is a sum over shared items, divided by a denominator that is taken as constant.
        """
        users = self._weigh(histories)
        products = (users @ self.profiles).sorted_indices()  # [B, U]
        neighbours = nearest(users, self.profiles, self.squared_norms, self.config)
        owners = rows_of(neighbours.indptr)
        neighbours.data /= entries_at(products, owners, neighbours.indices)  # similarity per unit of inner product
        weights = entries_at(users, histories.owners, histories.items)
        contributions = np.empty((len(histories.items), item_rows.shape[1]), dtype=np.float32)
        for user, rows in enumerate(item_rows):
            events = slice(*histories.starts[user : user + 2])
            near = slice(*neighbours.indptr[user : user + 2])
            theirs = self.interactions[neighbours.indices[near]]  # [V, I]
            profiles = self._weight(theirs)[:, histories.items[events]].toarray()  # [V, n]
            having = theirs[:, rows].toarray() * neighbours.data[near, None]  # [V, k], of neighbours with the item
            contributions[events] = weights[events, None] * (profiles.T @ having)
        return contributions

    def _weigh(self, histories: Histories) -> csr_array:
        """The weights of the histories, relative to each one's largest, as documents. [B, I]."""
        matrix = histories.weighted_matrix(self.interactions.shape[1])
        if histories.mapped is not None:
            largest = abs(matrix).max(axis=1).toarray()
            matrix = scale_rows(matrix, 1 / np.where(largest > 0, largest, 1))
        return self._weight(matrix)

    def _weight(self, matrix: csr_array) -> csr_array:
        return weight_terms(matrix, self.config.weighting, self.idf, self.mean_length)

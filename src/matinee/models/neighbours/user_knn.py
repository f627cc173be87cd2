"""UserKNN: an item scores by the people like this one who have it (Herlocker et al. 1999, for implicit data)."""

from typing import Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.neighbours.similarity import (
    KNNConfig,
    Similarity,
    inverse_document_frequency,
    mean_length,
    nearest,
    squared_lengths,
    weigh,
)
from matinee.nn.sparse_rows import entries_at
from matinee.training.run import Run


class UserKNNConfig(KNNConfig):
    """Settings of UserKNN: a document is a training user, a term an item."""

    similarity: Similarity = "jaccard"
    """`cosine`, `jaccard` (which counts shared items and knows no weighting), or `dot` (with bm25)."""


class UserKNN(Recommender[csr_array]):
    """score(u, i) = sum over the `neighbours` training users v most similar to u, who have i, of sim(u, v).

    A person who was trained on is their own nearest neighbour, which adds only to items they have already.
    """

    name = "user-knn"
    Config = UserKNNConfig
    learned = ("known", "profiles", "lengths", "idf", "mean_length")
    config: UserKNNConfig
    known: csr_array  # [U, I], binary: who has what
    profiles: csr_array  # [I, U], the same weighted
    lengths: FloatArray  # [U], squared lengths of the profiles
    idf: FloatArray  # [I]
    mean_length: float

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. The training histories are the model."""
        self.known = train.matrix()
        self.idf = inverse_document_frequency(self.known)
        self.mean_length = mean_length(self.known)
        weighted = self._weigh(self.known)
        self.profiles = weighted.T.tocsr()
        self.lengths = squared_lengths(weighted)
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """The nearest training users and how near they are. [B, U]."""
        people = self._weigh(histories.matrix(self.known.shape[1]))
        return nearest(people, self.profiles, self.lengths, self.config)

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = (state @ self.known).toarray()
        return scores

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Each event's part in the similarity of the neighbours who have the item. [N, k].

        A similarity is a sum over the items that two people share, divided by a length: the event's part is its
        term of the sum, the length counting as given.
        """
        people = self._weigh(histories.matrix(self.known.shape[1]))
        products = (people @ self.profiles).sorted_indices()  # [B, U]
        near = nearest(people, self.profiles, self.lengths, self.config)
        owners = np.repeat(np.arange(near.shape[0]), np.diff(near.indptr))
        near.data /= entries_at(products, owners, near.indices)  # similarity for each unit of inner product
        weights = entries_at(people, histories.owners, histories.items)
        contributions = np.zeros((len(histories.items), item_rows.shape[1]), dtype=np.float32)
        for place, items in enumerate(item_rows.T):  # a place of all lists at a time
            have = near * self.known[:, items].T.tocsr()  # [B, U]: the neighbours who have the item listed there
            pull = (have @ self.profiles.T.tocsr()).sorted_indices()  # [B, I]
            contributions[:, place] = weights * entries_at(pull, histories.owners, histories.items)
        return contributions

    def _weigh(self, matrix: csr_array) -> csr_array:
        return weigh(matrix, self.config.weighting, self.idf, self.mean_length)

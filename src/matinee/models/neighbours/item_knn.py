"""ItemKNN: an item scores by its similarity to the items of the history (Deshpande and Karypis 2004)."""

from typing import Annotated, Self

import numpy as np
from pydantic import NonNegativeFloat
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.neighbours.similarity import (
    KNNConfig,
    Weighting,
    inverse_document_frequency,
    mean_length,
    nearest,
    squared_lengths,
    weigh,
)
from matinee.nn.sparse_rows import entries_at
from matinee.training.run import Run


class ItemKNNConfig(KNNConfig):
    """Settings of ItemKNN: a document is an item, a term a user."""

    weighting: Weighting = "tf-idf"
    """How much a user counts in an item's description: all alike, or less the more items they have."""
    shrinkage: Annotated[NonNegativeFloat, Search(0.1, 1000, log=True)] = 50.0
    """Added to the denominator (dot has none): mistrusts similarities that rest on few users."""


class ItemKNN(Recommender[csr_array]):
    """score(u, i) = sum of S[j, i] over the items j of the history that are among the neighbours of i.

    The neighbours of an item are the `neighbours` items most similar to it; an item is described by its users.
    Source: Deshpande and Karypis 2004, section 4, with neighbourhoods of the scored item (as Sarwar et al. 2001).
    """

    name = "item-knn"
    Config = ItemKNNConfig
    learned = ("similarities",)
    config: ItemKNNConfig
    similarities: csr_array  # [I, I]: column i holds the similarities of the neighbours of i

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Similarities are computed by blocks of items and never all held."""
        by_item = train.matrix().T.tocsr()  # [I, U]
        idf = inverse_document_frequency(by_item)
        by_item = weigh(by_item, self.config.weighting, idf, mean_length(by_item))
        near = nearest(by_item, by_item.T.tocsr(), squared_lengths(by_item), self.config, others=True)  # [I, I]
        self.similarities = near.T.tocsr()
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """The histories as a binary matrix. [B, I]."""
        return histories.matrix(self.similarities.shape[0])

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = (state @ self.similarities).toarray()
        return scores

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """The similarity of each event's item to each listed item. [N, k]."""
        wanted = item_rows[histories.owners]  # [N, k]
        sources = np.repeat(histories.items, item_rows.shape[1])
        return entries_at(self.similarities, sources, wanted.ravel()).reshape(wanted.shape)

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """How similar every item is to each of some: a neighbour either way. [n] -> [n, I]."""
        theirs: FloatArray = self.similarities[item_rows].toarray()
        own: FloatArray = self.similarities[:, item_rows].toarray().T
        return np.maximum(theirs, own)

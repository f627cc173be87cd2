"""Models whose scores are sums of sparse weights from the items of a history."""

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.nn.sparse_rows import dense_strips, entries_of_events, product_by_head

FEW_EVENTS = 20
"""Events a user below which weights lean on popularity by default: most pairs of items share a user or two."""


class ItemWeights(Recommender[csr_array]):
    """Base of models with a sparse matrix of weights between items, the first of `learned`.

    [I, I], row j: the weights from item j, columns ascending. A state is the weights of the histories, [B, I].
    """

    uses_weights = True

    @property
    def _between(self) -> csr_array:
        weights: csr_array = getattr(self, self.learned[0])
        return weights

    def fold_in(self, histories: Histories) -> csr_array:
        """The weights of the histories. [B, I]."""
        return histories.weighted_matrix(self._between.shape[0])

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        return product_by_head(state, self._between, lambda: self._dense)

    @derived("_between")
    def _dense(self) -> tuple[FloatArray, ...]:
        """The weights in dense form, for many users: see `dense_strips`."""
        return dense_strips(self._between)

    @property
    def adds_up(self) -> bool:
        """See Recommender."""
        return True

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """See Explains: the event's weight times that from its item to the listed item. [N, k]."""
        found = entries_of_events(self._between, histories.items, histories.owners, item_rows)
        return found * histories.weights[:, None]

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """The larger of the weights to and from each item; 0 where none is stored. [n] -> [n, I]."""
        to_others: FloatArray = self._between[item_rows].toarray()
        from_others: FloatArray = self._between[:, item_rows].toarray().T
        return np.maximum(to_others, from_others)


def has_few_events(train: TrainingData) -> bool:
    """Whether the mean user has fewer than FEW_EVENTS events."""
    return 0 < len(train.histories.items) < FEW_EVENTS * train.n_users

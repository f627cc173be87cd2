"""Models whose scores are sums of sparse weights from the items of a history: contributions and similar items."""

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories
from matinee.nn.sparse_rows import entries_at


def event_weights(weights: csr_array, histories: Histories, item_rows: IntArray) -> FloatArray:
    """Weight from each event's item to each listed item of its user, times the event's own. [N, k].

    weights: [I, I], row j from the item j, its columns ascending; item_rows: [B, k].
    """
    listed = item_rows[histories.owners]  # [N, k]
    sources = np.repeat(histories.items, item_rows.shape[1])
    found = entries_at(weights, sources, listed.ravel()).reshape(listed.shape)
    return found * histories.weights[:, None]


def similarity_by_weights(weights: csr_array, item_rows: IntArray) -> FloatArray:
    """The larger of the weights to and from each item; 0 where none is stored. [n] -> [n, I]."""
    to_others: FloatArray = weights[item_rows].toarray()
    from_others: FloatArray = weights[:, item_rows].toarray().T
    return np.maximum(to_others, from_others)

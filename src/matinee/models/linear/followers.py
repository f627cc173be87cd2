"""Pairs of events of one history, weighted by how many events lie between them."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import csc_array, csr_array

from matinee.arrays import FloatArray
from matinee.histories import Histories

BLOCK_EVENTS = 2**21
"""Events of bags that are held at once."""


def count_followers(
    histories: Histories, n_items: int, discounts: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Pairs of an event i and an event j, d events later, each discounts[d - 1]; further apart, 0. [I, I] (i, j).

    weights: [N], of events, by both of which a pair is multiplied. The transposed one-hot matrix of events times the
    matrix of bags before them, in blocks of events: both sparse, and a row of the product stays in the processor's
    cache.
    """
    n_steps = len(discounts)
    from_oldest = discounts[::-1].astype(np.float32)  # [steps], the event before last
    before = _windows_before(histories.items, n_steps)
    weights_before = None if weights is None else _windows_before(weights, n_steps)
    own_weights = np.ones(len(histories.items), dtype=np.float32) if weights is None else weights
    index = np.arange(len(histories.items)) - histories.starts[histories.owners]  # of each event in its history
    in_history = np.arange(n_steps, 0, -1)  # [steps], the least index of an event that has one so far before it
    total = np.zeros((n_items, n_items), dtype=np.float32)  # (j, i)
    n_rows = max(BLOCK_EVENTS // n_steps, 1)
    for start in range(0, len(histories.items), n_rows):
        block = slice(start, start + n_rows)
        bags = np.where(index[block, None] >= in_history, from_oldest, np.float32(0))  # [b, steps]
        if weights_before is not None:
            bags *= weights_before[block]
        rows = np.arange(len(bags) + 1)
        previous = csr_array((bags.ravel(), before[block].ravel(), rows * n_steps), shape=(len(bags), n_items))
        events = csc_array((own_weights[block], histories.items[block], rows), shape=(n_items, len(bags)))
        total += (events.tocsr() @ previous).toarray()
    return total.T


def _windows_before(column: np.ndarray, n_steps: int) -> np.ndarray:
    """The values of the n_steps events before each event, of whatever history; 0 before the first. [N, steps]."""
    padded = np.concatenate([np.zeros(n_steps, dtype=column.dtype), column])
    windows: np.ndarray = sliding_window_view(padded, n_steps)[:-1]
    return windows

"""Batched inference of sequence models in numpy: the last state of each history, by blocks of similar length.

In float64, so that a batch and single histories give the same lists.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories

Float64Array = NDArray[np.float64]
BLOCK_VALUES = 2**19
"""Values of one layer held at once: 4 MB fit in a processor's cache."""


def last_states(
    histories: Histories,
    max_length: int,
    width: int,
    states_of: Callable[[IntArray, IntArray], FloatArray],
    block_values: int = BLOCK_VALUES,
) -> FloatArray:
    """States of the last max_length events of each history with a weight above 0. [B, width] float32.

    Zeros where there are none.

    states_of(items [b, T], lengths [b]) -> [b, width]; rows are padded at their end, longest first.
    """
    if histories.mapped is not None:
        histories = histories.keep(histories.mapped > 0)
    lengths = np.minimum(np.diff(histories.starts), max_length)
    first = histories.starts[1:] - lengths
    states = np.zeros((len(lengths), width), dtype=np.float32)
    for rows in _blocks(lengths, width, block_values):
        steps = np.minimum(np.arange(lengths[rows[0]]), lengths[rows, None] - 1)
        states[rows] = states_of(histories.items[first[rows, None] + steps], lengths[rows])
    return states


def _blocks(lengths: IntArray, width: int, block_values: int) -> Iterator[IntArray]:
    """Rows of non-empty histories, longest first, in blocks of at most so many padded values."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        size = max(1, block_values // (width * int(lengths[order[start]])))
        yield order[start : start + size]
        start += size

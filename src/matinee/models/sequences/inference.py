"""Batched inference of sequence models in numpy: the last state of each history, by blocks of similar length.

In float64, or in products of shapes that depend on the history alone, so that a batch and single histories give the
same lists.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories

Float64Array = NDArray[np.float64]
BLOCK_VALUES = 2**19
"""Values of one layer held at once: 4 MB fit in a processor's cache."""
PADDED_TO = 8
"""Steps."""


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
    items, first, lengths = _read(histories, max_length)
    states = np.zeros((len(lengths), width), dtype=np.float32)
    for rows in _blocks(lengths, width, block_values):
        steps = np.minimum(np.arange(lengths[rows[0]]), lengths[rows, None] - 1)
        states[rows] = states_of(items[first[rows, None] + steps], lengths[rows])
    return states


def last_states_by_length(
    histories: Histories,
    max_length: int,
    width: int,
    states_of: Callable[[IntArray, IntArray], FloatArray],
    block_values: int = BLOCK_VALUES,
) -> FloatArray:
    """As last_states, but rows of a block are padded to the length that each of them has alone.

    That is the next multiple of PADDED_TO, or max_length. states_of(items [b, T], padding [b]) -> [b, width]; rows are
    padded at their beginning, by so many steps.
    """
    items, first, lengths = _read(histories, max_length)
    states = np.zeros((len(lengths), width), dtype=np.float32)
    padded = np.minimum(-(-lengths // PADDED_TO) * PADDED_TO, max_length)
    for block in _blocks(padded, width, block_values):
        for rows in np.split(block, np.flatnonzero(np.diff(padded[block])) + 1):
            padding = padded[rows] - lengths[rows]
            steps = np.maximum(np.arange(padded[rows[0]]) - padding[:, None], 0)
            states[rows] = states_of(items[first[rows, None] + steps], padding)
    return states


def _read(histories: Histories, max_length: int) -> tuple[IntArray, IntArray, IntArray]:
    """Items with a weight above 0 [N], and the first [B] and the number [B] of those of each history that are read."""
    items, starts = histories.items, histories.starts
    if histories.mapped is not None:
        kept = np.flatnonzero(histories.mapped > 0)
        items, starts = items[kept], np.searchsorted(kept, starts)
    lengths = np.minimum(np.diff(starts), max_length)
    return items, starts[1:] - lengths, lengths


def _blocks(lengths: IntArray, width: int, block_values: int) -> Iterator[IntArray]:
    """Rows of non-empty histories, longest first, in blocks of at most so many padded values."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        size = max(1, block_values // (width * int(lengths[order[start]])))
        yield order[start : start + size]
        start += size

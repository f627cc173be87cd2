"""Array types, and the little arithmetic of ragged rows.

A ragged batch is two arrays: row b is `values[starts[b]:starts[b+1]]`.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.signedinteger[Any]]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]


def starts_of(rows: IntArray, n_rows: int) -> IntArray:
    """Where each row begins in a column of ascending row numbers. rows [N] -> [n_rows + 1]."""
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=starts[1:])
    return starts


def rows_of(starts: IntArray) -> IntArray:
    """The row number of each element. starts [B + 1] -> [N]."""
    return np.repeat(np.arange(len(starts) - 1, dtype=np.int64), np.diff(starts))


def gather(starts: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Pick ragged rows: (starts of the picked rows [R + 1], positions of their elements in the old array)."""
    lengths = np.diff(starts)[rows]
    picked = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=picked[1:])
    offsets = np.repeat(starts[:-1][rows] - picked[:-1], lengths)
    return picked, np.arange(picked[-1], dtype=np.int64) + offsets

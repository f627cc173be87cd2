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


def top_k(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k best columns of each row, best first; equal scores in the order of their columns.

    scores: [B, I] without NaN -> columns [B, k] int32, their scores [B, k]; k is at most I.
    """
    n_columns = scores.shape[1]
    if not 1 <= k <= n_columns:
        raise ValueError(f"k = {k} is outside 1..{n_columns}")
    best = np.argpartition(scores, n_columns - k, axis=1)[:, n_columns - k :]
    least = np.take_along_axis(scores, best[:, :1], axis=1)  # [B, 1], the k-th best score
    # where more than k columns reach it, argpartition chose among equals at will: choose the first ones instead
    tied = np.flatnonzero(np.count_nonzero(scores >= least, axis=1) > k)
    if len(tied):
        above, equal = scores[tied] > least[tied], scores[tied] == least[tied]
        missing = k - np.count_nonzero(above, axis=1)
        chosen = above | (equal & (np.cumsum(equal, axis=1) <= missing[:, None]))
        best[tied] = np.nonzero(chosen)[1].reshape(len(tied), k)
    best.sort(axis=1)  # so that the stable sort below leaves equal scores in the order of their columns
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1).astype(np.int32), np.take_along_axis(found, order, axis=1)

"""Array types, ragged rows and top-k.

A ragged batch is two arrays: row b is `values[starts[b]:starts[b+1]]`.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.signedinteger[Any]]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]


def starts_of(rows: IntArray, n_rows: int) -> IntArray:
    """Start of each row in a column of ascending row numbers. rows [N] -> [n_rows + 1]."""
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=starts[1:])
    return starts


def rows_of(starts: IntArray) -> IntArray:
    """The row number of each element. starts [B + 1] -> [N]."""
    return np.repeat(np.arange(len(starts) - 1, dtype=np.int64), np.diff(starts))


def gather(starts: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Select ragged rows. Returns their starts [R + 1] and the indices of their elements in the source array."""
    lengths = np.diff(starts)[rows]
    picked = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=picked[1:])
    offsets = np.repeat(starts[:-1][rows] - picked[:-1], lengths)
    return picked, np.arange(picked[-1], dtype=np.int64) + offsets


def top_k(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k best columns of each row, best first; ties are ordered by column.

    scores: [B, I] without NaN -> columns [B, k] int32 and their scores [B, k]. Raises ValueError unless 1 <= k <= I.
    """
    n_columns = scores.shape[1]
    if not 1 <= k <= n_columns:
        raise ValueError(f"k = {k} is outside 1..{n_columns}")
    best = np.argpartition(scores, n_columns - k, axis=1)[:, n_columns - k :]
    kth = np.take_along_axis(scores, best[:, :1], axis=1)  # [B, 1], the k-th best score
    # where more than k columns reach it, argpartition picks arbitrarily among the tied ones: take the first instead
    tied = np.flatnonzero(np.count_nonzero(scores >= kth, axis=1) > k)
    if len(tied):
        above, equal = scores[tied] > kth[tied], scores[tied] == kth[tied]
        missing = k - np.count_nonzero(above, axis=1)
        chosen = above | (equal & (np.cumsum(equal, axis=1) <= missing[:, None]))
        best[tied] = np.nonzero(chosen)[1].reshape(len(tied), k)
    best.sort(axis=1)  # so that the stable sort below keeps ties in column order
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1).astype(np.int32), np.take_along_axis(found, order, axis=1)

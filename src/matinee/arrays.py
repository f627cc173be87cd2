"""Array types, ragged rows and top-k.

A ragged batch is two arrays: row b is `values[starts[b]:starts[b+1]]`.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.signedinteger[Any]]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]

BLOCK = 2**20
"""Elements of a long column that are worked on at once: what is made of them stays in the processor's cache."""
MIN_GROUPS, GROUPS_PER_RANK, MIN_GROUP_SIZE = 128, 16, 4
"""Of top_k: 128 groups of columns or 16 k, whichever is more, where each has at least 4 columns."""
MAX_CANDIDATES = 8
"""Of top_k: rows in which more than 8 k columns reach the bound are partitioned instead."""


def blocks(n: int) -> Iterator[slice]:
    """The ranges of a column of n elements that are worked on at once."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def row_blocks(starts: IntArray) -> Iterator[tuple[slice, slice]]:
    """Ranges of whole ragged rows with BLOCK elements or fewer, or a single row; and the ranges of their elements."""
    first, n_rows = 0, len(starts) - 1
    while first < n_rows:
        stop = max(first + 1, int(np.searchsorted(starts, starts[first] + BLOCK, side="right")) - 1)
        yield slice(first, stop), slice(int(starts[first]), int(starts[stop]))
        first = stop


def count_rows(rows: IntArray, n_rows: int) -> IntArray:
    """How often each row number occurs: np.bincount, which by itself makes a wide copy of the column. [N] -> [n_rows].

    Longer where a row number is larger.
    """
    if len(rows) <= BLOCK:
        return np.bincount(rows, minlength=n_rows)
    counts = np.zeros(max(n_rows, int(rows.max()) + 1), dtype=np.int64)
    for block in blocks(len(rows)):
        counts += np.bincount(rows[block], minlength=len(counts))
    return counts


def starts_of(rows: IntArray, n_rows: int) -> IntArray:
    """Start of each row in a column of ascending row numbers. rows [N] -> [n_rows + 1]."""
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(count_rows(rows, n_rows), out=starts[1:])
    return starts


def rows_of(starts: IntArray) -> IntArray:
    """The row number of each element. starts [B + 1] -> [N]."""
    if len(starts) == 2:  # one visitor, many times for each list
        return np.zeros(starts[1] - starts[0], dtype=np.int64)
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

    scores: [B, I] -> columns [B, k] int32 and their scores [B, k]; of a row with NaN, NaN is among them.
    Raises ValueError unless 1 <= k <= I.

    With many columns, the k-th best of the maxima of groups of columns is a lower bound of the k-th best score. Few
    columns reach it, and only these are sorted: one pass over the scores in place of a partition of each row.
    """
    n_columns = scores.shape[1]
    if not 1 <= k <= n_columns:
        raise ValueError(f"k = {k} is outside 1..{n_columns}")
    if len(scores) == 1 and not np.isnan(best := np.partition(scores[0], n_columns - k)[n_columns - k :]).any():
        return _sort_all_from(scores, best[0], k)  # a list of one visitor: five times as fast as what follows
    n_groups = max(MIN_GROUPS, GROUPS_PER_RANK * k)
    if n_columns < MIN_GROUP_SIZE * n_groups:
        return _partition_top_k(scores, k)
    flat = np.flatnonzero(scores >= lower_bounds(scores, k, n_groups)[:, None])
    counts = np.diff(np.searchsorted(flat, n_columns * np.arange(len(scores) + 1)))
    is_crowded = (counts < k) | (counts > MAX_CANDIDATES * k)  # many ties, or NaN, which reaches nothing
    crowded = np.flatnonzero(is_crowded)
    if len(crowded):
        flat = flat[~np.repeat(is_crowded, counts)]
        counts[crowded] = 0
    columns, best = _sort_reached(scores, flat, counts, k)
    if len(crowded):
        columns[crowded], best[crowded] = _partition_top_k(scores[crowded], k)
    return columns, best


def lower_bounds(scores: FloatArray, k: int, n_groups: int) -> FloatArray:
    """A value that at least k scores of each row reach: the k-th best of n_groups maxima. [B, I] -> [B].

    NaN for a row with NaN.
    """
    maxima = scores[:, :n_groups].copy()  # group g: columns g, g + n_groups, g + 2 n_groups, ...
    for start in range(n_groups, scores.shape[1], n_groups):
        part = scores[:, start : start + n_groups]
        np.maximum(maxima[:, : part.shape[1]], part, out=maxima[:, : part.shape[1]])
    bounds: FloatArray = np.partition(maxima, n_groups - k, axis=1)[:, n_groups - k]
    bounds[np.isnan(maxima).any(axis=1)] = np.nan
    return bounds


def _sort_all_from(scores: FloatArray, bound: np.floating[Any], k: int) -> tuple[IntArray, FloatArray]:
    """See top_k: of one row, whose k-th best score is `bound`."""
    columns = np.flatnonzero(scores[0] >= bound)
    found = scores[0, columns]
    order = np.argsort(-found, kind="stable")[:k]
    return columns[order][None].astype(np.int32), found[order][None]


def _sort_reached(scores: FloatArray, flat: IntArray, counts: IntArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k best of some cells of each row. flat: their ascending flat indices; counts: [B], each 0 or at least k."""
    owners = np.repeat(np.arange(len(counts)), counts)
    indices = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = max(k, int(counts.max(initial=0)))
    columns = np.zeros((len(counts), width), dtype=np.int32)
    found = np.full((len(counts), width), -np.inf, dtype=scores.dtype)
    of_cells = flat - owners * scores.shape[1]
    columns[owners, indices] = of_cells
    found[owners, indices] = scores[owners, of_cells]
    order = np.argsort(-found, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(found, order, axis=1)


def _partition_top_k(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """See top_k: by a partition of each row."""
    n_columns = scores.shape[1]
    best = np.argpartition(scores, n_columns - k, axis=1)[:, n_columns - k :]
    kth = np.take_along_axis(scores, best[:, :1], axis=1)  # [B, 1], the k-th best score
    # where more than k columns reach it, argpartition picks arbitrarily among the tied ones: take the first instead
    has_nan = np.isnan(np.take_along_axis(scores, best, axis=1)).any(axis=1)
    tied = np.flatnonzero((np.count_nonzero(scores >= kth, axis=1) > k) & ~has_nan)
    if len(tied):
        above, equal = scores[tied] > kth[tied], scores[tied] == kth[tied]
        missing = k - np.count_nonzero(above, axis=1)
        chosen = above | (equal & (np.cumsum(equal, axis=1) <= missing[:, None]))
        best[tied] = np.nonzero(chosen)[1].reshape(len(tied), k)
    best.sort(axis=1)  # so that the stable sort below keeps ties in column order
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1).astype(np.int32), np.take_along_axis(found, order, axis=1)

"""Counts of how often two items co-occur in a history, computed in blocks."""

import itertools
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from matinee.arrays import FloatArray, IntArray, gather, rows_of
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.models.item_strips import ProductStrips, count_in_strips, narrowed, pairs_of, stacked

PairWeight = Literal["pair", "user"]
BLOCK_PAIRS = 2**20
"""Pairs held at once."""
DENSE_CELLS = 2**26
"""Windowed counts with at most this many cells are accumulated in a dense table."""


def user_weights(lengths: IntArray, pair_weight: PairWeight) -> FloatArray:
    """Weight of each ordered pair of a user with n items: 1 ("pair") or 1 / (n - 1) ("user"). lengths [U] -> [U].

    The weights of a user's n (n - 1) pairs sum to n (n - 1), or to n.
    """
    if pair_weight == "pair":
        return np.ones(len(lengths), dtype=np.float32)
    return (1 / np.maximum(lengths - 1, 1)).astype(np.float32)


def count_cooccurrences(matrix: csr_array, pair_weight: PairWeight = "pair") -> csr_array:
    """Weighted count of the users who have both of two different items. matrix [U, I], binary -> [I, I], float32.

    Symmetric, with an empty diagonal.
    """
    return count_in_strips(cooccurrence_strips(matrix, pair_weight))


def cooccurrence_strips(matrix: csr_array, pair_weight: PairWeight = "pair") -> ProductStrips:
    """What gives `count_cooccurrences` a strip of items at a time, summed in the type of the matrix."""
    lengths = np.diff(matrix.indptr)
    weights = np.repeat(user_weights(lengths, pair_weight).astype(matrix.dtype), lengths)
    weighted = csr_array((weights, matrix.indices, matrix.indptr), matrix.shape)
    return ProductStrips(narrowed(weighted), binary=True, with_own=False, dtype="float32")


def split_cooccurrences(
    matrix: csr_array, ratios: tuple[float, ...], rng: np.random.Generator, pair_weight: PairWeight = "pair"
) -> list[csr_array]:
    """Counts as of `count_cooccurrences`, with every single ordered pair assigned to a random part. One [I, I] a part.

    ratios: expected fraction of pairs in each part, summing to 1. The result is distributed as if each pair were
    written out and assigned on its own (a pair and its reverse independently), but at most BLOCK_PAIRS are held.
    """
    weights = user_weights(np.diff(matrix.indptr), pair_weight)
    limits = np.cumsum(ratios)[:-1]
    by_item = matrix.T.tocsr()
    parts: list[list[csr_array]] = [[] for _ in ratios]
    for start, stop in _item_blocks(matrix):
        if pair_weight == "pair":  # all pairs of a cell have weight 1, so their number is enough
            whole = _without_diagonal((by_item[start:stop] @ matrix).tocsr(), start)
            split = _split_counts(whole, limits, rng)
        else:
            split = [
                _without_diagonal(part, start)
                for part in _split_weighted(by_item[start:stop], matrix, weights, limits, rng)
            ]
        for part, block in zip(parts, split, strict=True):
            part.append(block)
    return [stacked(parts.pop(0), matrix.shape[1]) for _ in ratios]


def _split_counts(counts: csr_array, limits: FloatArray, rng: np.random.Generator) -> list[csr_array]:
    """Assign each unit of each count to a random part."""
    sizes = counts.data.astype(np.int64)
    several = np.flatnonzero(sizes > 1)
    ends = np.cumsum(sizes[several])
    # most counts are 1, and their draws need no sums
    single_draws = rng.integers(2**16, size=len(sizes), dtype=np.uint16)
    draws = rng.integers(2**16, size=int(ends[-1]) if len(ends) else 0, dtype=np.uint16)
    below: list[IntArray | NDArray[np.uint16]] = [np.zeros(len(sizes), dtype=np.uint16)]
    for limit in limits:
        highest = np.uint16(round(limit * 2**16))
        hits = (single_draws < highest).astype(np.uint16)
        if len(several):
            hits[several] = np.add.reduceat(draws < highest, ends - sizes[several], dtype=np.uint16)
        below.append(hits)
    below.append(sizes)
    return [
        _nonzero(csr_array((np.subtract(high, low, dtype=np.float32), counts.indices, counts.indptr), counts.shape))
        for low, high in itertools.pairwise(below)
    ]


def _split_weighted(
    block: csr_array, matrix: csr_array, weights: FloatArray, limits: FloatArray, rng: np.random.Generator
) -> list[csr_array]:
    """Write out the pairs of some items, weighted by their users, and assign each to a part. block [b, U]."""
    n_items, n_parts = matrix.shape[1], len(limits) + 1
    starts, elements = gather(matrix.indptr, block.indices)  # the items of every user of each item
    entries = rows_of(starts)
    cells = rows_of(block.indptr)[entries] * n_items + matrix.indices[elements]
    cells += np.searchsorted(limits, rng.random(len(cells)), side="right") * (block.shape[0] * n_items)
    counts = np.bincount(cells, weights[block.indices][entries], minlength=n_parts * block.shape[0] * n_items)
    return [csr_array(table) for table in counts.astype(np.float32).reshape(n_parts, block.shape[0], n_items)]


def _nonzero(matrix: csr_array) -> csr_array:
    """The matrix without stored zeros, order kept."""
    kept = np.flatnonzero(matrix.data)
    starts = np.searchsorted(kept, matrix.indptr).astype(np.int32)
    columns = matrix.indices[kept].astype(np.int32, copy=False)  # a block is small
    return csr_array((matrix.data[kept], columns, starts), shape=matrix.shape)


def count_in_windows(histories: Histories, n_items: int, window: int, pair_weight: PairWeight = "pair") -> csr_array:
    """Weighted count of ordered pairs of events at most `window` apart in one history. [I, I].

    A pair at distance d has weight (window - d + 1) / window: the expectation of word2vec's randomly reduced windows
    (Mikolov et al. 2013, section 2). Symmetric. The diagonal counts repeats of an item; without repeats it is empty.
    """
    items = histories.items.astype(np.int64)
    owners = histories.owners
    lengths = np.diff(histories.starts)
    weights = user_weights(lengths, pair_weight)
    dense = np.zeros(n_items**2) if n_items**2 <= DENSE_CELLS else None
    total = coo_array((n_items, n_items), dtype=np.float32).tocsr()
    for distance in range(1, min(window, int(lengths.max(initial=0)) - 1) + 1):
        same = np.flatnonzero(owners[:-distance] == owners[distance:])
        earlier, later = items[same], items[same + distance]
        weight = weights[owners[same]] * np.float32((window - distance + 1) / window)
        if dense is not None:
            dense += np.bincount(earlier * n_items + later, weight, minlength=n_items**2)
        else:
            total = csr_array(total + coo_array((weight, (earlier, later)), shape=total.shape).tocsr())
    if dense is not None:
        table = dense.reshape(n_items, n_items).astype(np.float32)
        return csr_array(table + table.T)
    return csr_array(total + total.T)


def sample_pairs(
    histories: Histories,
    n_pairs: int,
    rng: np.random.Generator,
    pair_weight: PairWeight = "pair",
    window: int | None = None,
) -> tuple[IntArray, IntArray]:
    """Ordered pairs of different events of one history, sampled with replacement. Two arrays of item rows.

    Expected counts are proportional to `count_cooccurrences`, or with a window to `count_in_windows`. n_pairs pairs;
    with a window fewer, as pairs that would leave the history are dropped. Raises MatineeError if nobody has two
    events.
    """
    lengths = np.diff(histories.starts)
    weights = user_weights(lengths, pair_weight).astype(np.float64)
    mass = np.cumsum(lengths * (weights if window else weights * (lengths - 1)) * (lengths > 1))
    require_pairs(float(mass[-1]) if len(mass) else 0.0)
    users = np.searchsorted(mass, rng.random(n_pairs) * mass[-1], side="right")
    first = (rng.random(n_pairs) * lengths[users]).astype(np.int64)
    if window:  # P(distance d) is proportional to window - d + 1, as in count_in_windows
        cumulative = np.cumsum(np.arange(window, 0, -1))
        steps = 1 + np.searchsorted(cumulative, rng.random(n_pairs) * cumulative[-1], side="right")
        second = first + np.where(rng.random(n_pairs) < 0.5, steps, -steps)
        inside = (second >= 0) & (second < lengths[users])
        users, first, second = users[inside], first[inside], second[inside]
    else:
        second = (rng.random(n_pairs) * (lengths[users] - 1)).astype(np.int64)
        second += second >= first
    starts = histories.starts[users]
    return histories.items[starts + first], histories.items[starts + second]


def require_pairs(total: float) -> None:
    """Raises MatineeError if the total count of pairs is zero."""
    if total == 0:
        raise MatineeError(
            "no user has two different movies, so there are no pairs to learn from; use users with more events"
        )


def _item_blocks(matrix: csr_array) -> Iterator[tuple[int, int]]:
    """Ranges of items with at most BLOCK_PAIRS pairs (or one item) each."""
    before = np.concatenate(
        [[0], np.cumsum(np.maximum(pairs_of(matrix), matrix.shape[1]))]
    )  # empty rows cost memory too
    start = 0
    while start < matrix.shape[1]:
        stop = int(np.searchsorted(before, before[start] + BLOCK_PAIRS, side="right")) - 1
        stop = min(max(stop, start + 1), matrix.shape[1])
        yield start, stop
        start = stop


def _without_diagonal(block: csr_array, first_row: int) -> csr_array:
    """Rows first_row, first_row + 1, ... of a square matrix without their diagonal entries, columns ascending."""
    block.sort_indices()
    data = block.data.astype(np.float32)
    data[block.indices == rows_of(block.indptr) + first_row] = 0
    return _nonzero(csr_array((data, block.indices, block.indptr), shape=block.shape))

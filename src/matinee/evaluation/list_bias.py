"""How lists differ from the histories they were made for: in popularity and in genres."""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import Histories
from matinee.vocab import UNKNOWN

SMOOTHING = 0.01
"""Weight of the history's genres in the list's, so that a genre that no item has costs a finite amount (Steck)."""


def measure_bias(
    batches: Iterable[Histories], items: IntArray, support: IntArray, genres: BoolArray, ks: Sequence[int]
) -> dict[str, FloatArray]:
    """Popularity lift and miscalibration at each k. Returns name@k -> [B], NaN for an empty history or list.

    batches: the histories of the B lists, in order; items: [B, K]; support: [I], training users; genres: [I, G].
    """
    per_item = genres / np.maximum(genres.sum(axis=1, keepdims=True), 1)  # [I, G], each item counts once
    parts: dict[str, list[FloatArray]] = {}
    first = 0
    for histories in batches:
        listed = items[first : first + len(histories)]
        first += len(histories)
        before = _counts(histories.owners, histories.items, len(histories), len(support))
        for k in ks:
            after = _listed(listed[:, :k], len(support))
            parts.setdefault(f"popularity-lift@{k}", []).append(popularity_lift(before, after, support))
            parts.setdefault(f"miscalibration@{k}", []).append(miscalibration(before, after, per_item))
    return {name: np.concatenate(columns) for name, columns in parts.items()}


def popularity_lift(before: csr_array, after: csr_array, support: IntArray) -> FloatArray:
    """Mean support of the listed items over that of the history's items, minus 1. before, after: [B, I] counts -> [B].

    0 where a list is as popular as the history, 1 where its items have twice as many users. Source: Abdollahpouri et
    al. 2020, popularity lift of a user group, here of each user.
    """
    mean_before, mean_after = (_ratio(counts @ support, counts.sum(axis=1)) for counts in (before, after))
    return _ratio(mean_after, mean_before) - 1


def miscalibration(before: csr_array, after: csr_array, per_item: FloatArray) -> FloatArray:
    """Kullback-Leibler divergence of the list's genres from the history's. before, after: [B, I]; per_item: [I, G].

    sum_g p(g) log(p(g) / q~(g)) with q~ = (1 - a) q + a p, a = 0.01, in nats; 0 where the list has the genres of the
    history in the same shares. [B]. Source: Steck 2018, Calibrated recommendations, eq. 6, without weights by time.
    """
    p, q = (_ratio(sums := counts @ per_item, sums.sum(axis=1, keepdims=True)) for counts in (before, after))
    smoothed = (1 - SMOOTHING) * q + SMOOTHING * p
    terms = p * np.log(np.divide(p, smoothed, out=np.ones_like(p), where=p > 0))
    return np.asarray(terms.sum(axis=1))


def _listed(items: IntArray, n_items: int) -> csr_array:
    """Which items stand in each list. [B, k] -> [B, I]."""
    owners, ranks = np.nonzero(items != UNKNOWN)
    return _counts(owners, items[owners, ranks], len(items), n_items)


def _counts(owners: IntArray, items: IntArray, n_lists: int, n_items: int) -> csr_array:
    return csr_array((np.ones(len(items)), (owners, items)), shape=(n_lists, n_items))


def _ratio(numerators: FloatArray, denominators: FloatArray | IntArray) -> FloatArray:
    """Elementwise quotient, NaN where the denominator is 0."""
    undefined = np.full(np.broadcast_shapes(np.shape(numerators), np.shape(denominators)), np.nan)
    return np.asarray(np.divide(numerators, denominators, out=undefined, where=np.asarray(denominators) > 0))

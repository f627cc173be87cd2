"""What items add to histories: from which of them a model learned, and predictions for those that it did not know."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.base import Recommender
from matinee.nn.sparse_rows import keep_top_k

BLOCK_ITEMS = 1024
"""Predicted items whose rows or columns are dense at once."""


def counted_events(model: Recommender[Any], histories: Histories, n_items: int) -> IntArray:
    """The events of each item from which a model learned: where it trains by values, those of a weight above 0. [I]."""
    items = histories.items
    if getattr(model.config, "weigh_training", False):
        weights = model.weigh(histories).mapped
        items = items if weights is None else items[weights > 0]
    return np.bincount(items, minlength=n_items)


def fill_inputs(array: FloatArray, new: IntArray, known: IntArray, mixing: FloatArray, n_items: int) -> None:
    """Let new items add to a history what similar items add, in place.

    array: [I, ...] or, with a block of the items for each block of weights, [blocks * I, ...]; new: [n], known: [a],
    item rows; mixing: [a, n], of known items in new ones.
    """
    parts = np.zeros((n_items, len(new)), dtype=np.float32)  # so that no large array is copied for its known rows
    parts[known] = mixing
    for start in range(0, len(array), n_items):
        array[start + new] = parts.T @ array[start : start + n_items]
        if array.shape[1:] == (n_items,):  # a weight from each item to each
            array[start + new, new] = 0


def with_inputs(matrix: csr_array, new: IntArray, known: IntArray, mixing: FloatArray, kept: int) -> csr_array:
    """As `fill_inputs`, a copy of a sparse matrix; each new row is cut to its largest entries above 0. [I, I]."""
    sources, parts = matrix[known].T.tocsr(), []
    for start in range(0, len(new), BLOCK_ITEMS):
        rows = np.asarray(sources @ mixing[:, start : start + BLOCK_ITEMS]).T  # [b, I]
        rows[np.arange(len(rows)), new[start : start + BLOCK_ITEMS]] = 0
        parts.append(keep_top_k(csr_array(rows), kept))
    return _with_rows(matrix, new, csr_array(vstack(parts, format="csr"))) if parts else matrix


def _with_rows(matrix: csr_array, rows: IntArray, added: csr_array) -> csr_array:
    """A sparse matrix with other entries in some ascending rows. added: [n, J]."""
    is_kept = np.ones(matrix.shape[0], dtype=np.float32)
    is_kept[rows] = 0
    others = matrix.copy()
    others.data *= np.repeat(is_kept, np.diff(matrix.indptr))
    others.eliminate_zeros()
    lengths = np.zeros(matrix.shape[0], dtype=np.int64)
    lengths[rows] = np.diff(added.indptr)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    found: csr_array = others + csr_array((added.data, added.indices, starts), shape=matrix.shape)
    return found

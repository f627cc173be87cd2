"""Item vectors and means of them: shared by the models that describe a person by their movies."""

from typing import Any

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.models.base import Recommender


def unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1; zero rows stay. [n, D] -> [n, D]."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = vectors / np.where(lengths > 0, lengths, 1)
    return scaled


def cosines(vectors: FloatArray, rows: IntArray) -> FloatArray:
    """Cosine of some rows with all. vectors [I, D], rows [n] -> [n, I]."""
    directions = unit(vectors)
    return directions[rows] @ directions.T


def with_bias(vectors: FloatArray, bias: FloatArray) -> FloatArray:
    """Item vectors that hold their bias, as the factor of the 1 that `with_one` adds. [I, D], [I] -> [I, D + 1]."""
    return np.concatenate([vectors, bias[:, None]], axis=1)


def with_one(states: FloatArray) -> FloatArray:
    """User vectors that take up the bias of `with_bias`. [B, D] -> [B, D + 1]."""
    return np.concatenate([states, np.ones((len(states), 1), dtype=np.float32)], axis=1)


def mean_vectors(histories: Histories, vectors: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """The mean of the vectors of each history's items, weighted per event [N] if asked; zeros for none. [B, D].

    Events of items whose vector is zero count as absent.
    """
    known = (vectors[histories.items] != 0).any(axis=1)
    counted = known.astype(np.float32) if weights is None else known * weights
    matrix = histories.matrix(len(vectors))
    owners = histories.owners
    matrix.data[:] = 0
    keys = np.repeat(np.arange(len(histories)), np.diff(matrix.indptr)) * len(vectors) + matrix.indices
    np.add.at(matrix.data, np.searchsorted(keys, owners * len(vectors) + histories.items), counted)
    totals = np.asarray(matrix.sum(axis=1)).reshape(-1, 1)
    means: FloatArray = (matrix @ vectors) / np.where(totals > 0, totals, 1)
    return means.astype(np.float32)


def explained_means(
    histories: Histories,
    vectors: FloatArray,
    item_rows: IntArray,
    items: FloatArray,
    weights: FloatArray | None = None,
) -> FloatArray:
    """What each event adds to the product of `mean_vectors` with the vectors of listed items. [N, k].

    vectors [I, D] are those of the mean, items [I, D] those it meets; item_rows [B, k]; weights [N].
    """
    known = (vectors[histories.items] != 0).any(axis=1)
    counted = known.astype(np.float64) if weights is None else known * weights
    totals = np.bincount(histories.owners, counted, minlength=len(histories))
    shares = counted / np.where(totals > 0, totals, 1)[histories.owners]
    own = vectors[histories.items] * shares[:, None].astype(np.float32)  # [N, D]
    return products(own, histories.owners, item_rows, items)


def products(own: FloatArray, owners: IntArray, item_rows: IntArray, items: FloatArray) -> FloatArray:
    """Products of each event's vector with the vectors of its user's listed items. own [N, D], items [I, D] -> [N, k].

    A place of all lists at a time, so that no [N, k, D] is held.
    """
    places = (np.einsum("nd,nd->n", own, items[column[owners]]) for column in item_rows.T)
    found = np.stack(list(places), axis=1) if item_rows.shape[1] else np.zeros((len(own), 0))
    return found.astype(np.float32)


def fitting_dim(model: Recommender[Any], n_items: int) -> int:
    """The model's dim, or the number of items where its default is more.

    Raises MatineeError where a dim that was asked for is more: vectors cannot be longer than there is to tell apart.
    """
    dim: int = model.config.dim  # type: ignore[attr-defined]
    if dim > n_items and "dim" in model.config.model_fields_set:
        raise MatineeError(
            f"{model.name}: dim = {dim} is more than the {n_items} items there are; set it to {n_items} or less"
        )
    return min(dim, n_items)

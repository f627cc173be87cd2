"""Vectors of items and of users: cosines, means over a history, contributions, stored users, and scores without any."""

from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.models.base import Recommender


def unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1; zero rows stay zero. [n, D] -> [n, D]."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = vectors / np.where(lengths > 0, lengths, 1)
    return scaled


def cosines(vectors: FloatArray, rows: IntArray) -> FloatArray:
    """Cosine of some rows with every row, -1 to 1. vectors [I, D], rows [n] -> [n, I]."""
    directions = unit(vectors)
    return directions[rows] @ directions.T


def append_bias(vectors: FloatArray, bias: FloatArray) -> FloatArray:
    """Item vectors with the bias as last column; their product with `append_one` adds it. [I, D], [I] -> [I, D + 1]."""
    return np.concatenate([vectors, bias[:, None]], axis=1)


def append_one(states: FloatArray) -> FloatArray:
    """User vectors with a last column of ones, which multiplies the bias of `append_bias`. [B, D] -> [B, D + 1]."""
    return np.concatenate([states, np.ones((len(states), 1), dtype=np.float32)], axis=1)


def mean_vectors(histories: Histories, vectors: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Mean vector of each history's items, by the events' weights. [B, D], zeros for an empty history.

    The sum of weighted vectors over the sum of the weights' magnitudes. weights: [N], factors of the histories' own, if
    given. Items whose vector is zero are left out of the mean.
    """
    event_weights = _mean_weights(histories, vectors, weights)
    matrix = histories.matrix(len(vectors))
    owners = histories.owners
    matrix.data[:] = 0
    keys = np.repeat(np.arange(len(histories)), np.diff(matrix.indptr)) * len(vectors) + matrix.indices
    np.add.at(matrix.data, np.searchsorted(keys, owners * len(vectors) + histories.items), event_weights)
    totals = np.asarray(abs(matrix).sum(axis=1)).reshape(-1, 1)
    means: FloatArray = (matrix @ vectors) / np.where(totals > 0, totals, 1)
    return means.astype(np.float32)


def mean_contributions(
    histories: Histories,
    vectors: FloatArray,
    item_rows: IntArray,
    item_vectors: FloatArray,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Contribution of each event to the product of `mean_vectors` with the listed items' vectors. [N, k].

    vectors [I, D] are those that are averaged, item_vectors [I, D] those of the listed items; item_rows [B, k];
    weights [N].
    """
    event_weights = _mean_weights(histories, vectors, weights).astype(np.float64)
    totals = np.bincount(histories.owners, np.abs(event_weights), minlength=len(histories))
    fractions = event_weights / np.where(totals > 0, totals, 1)[histories.owners]
    event_vectors = vectors[histories.items] * fractions[:, None].astype(np.float32)  # [N, D]
    return event_products(event_vectors, histories.owners, item_rows, item_vectors)


def _mean_weights(histories: Histories, vectors: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Weight of each event in a mean, zero where the item's vector is zero. [N]."""
    items = histories.items
    each_item_once = len(items) > len(vectors)
    has_vector = ((vectors if each_item_once else vectors[items]) != 0).any(axis=1)
    event_weights: FloatArray = histories.weights * (has_vector[items] if each_item_once else has_vector)
    return event_weights if weights is None else event_weights * weights


def event_products(
    event_vectors: FloatArray, owners: IntArray, item_rows: IntArray, item_vectors: FloatArray
) -> FloatArray:
    """Product of each event's vector with the vectors of its user's k listed items. [N, k].

    event_vectors [N, D], owners [N] the user of each event, item_rows [B, k], item_vectors [I, D].
    """
    if len(item_rows) == 1:
        products: FloatArray = (event_vectors @ item_vectors[item_rows[0]].T).astype(np.float32)
        return products
    # one column of the lists at a time, so that no [N, k, D] array is held
    columns = [np.einsum("nd,nd->n", event_vectors, item_vectors[column[owners]]) for column in item_rows.T]
    stacked = np.stack(columns, axis=1) if columns else np.zeros((len(event_vectors), 0))
    return stacked.astype(np.float32)


def capped_dim(model: Recommender[Any], n_items: int) -> int:
    """The model's dim, or n_items where its default dim is larger.

    Raises MatineeError if a dim that the user set is larger than n_items: the vectors would have redundant dimensions.
    """
    dim: int = model.config.dim  # type: ignore[attr-defined]
    if dim > n_items and "dim" in model.config.model_fields_set:
        raise MatineeError(
            f"{model.name}: dim = {dim} is more than the {n_items} items there are; set it to {n_items} or less"
        )
    return min(dim, n_items)


def find_stored_users(stored_rows: IntArray, user_rows: IntArray, user_state: str) -> tuple[IntArray, BoolArray]:
    """Index of each user among the stored ones, and whether the user is stored: (indices [B], is stored [B]).

    stored_rows [U], ascending; user_rows [B]. Nobody is found with user_state = "history"; UNKNOWN is never found.
    """
    if len(stored_rows) == 0 or user_state == "history":
        return np.zeros(len(user_rows), dtype=np.int64), np.zeros(len(user_rows), dtype=bool)
    indices = np.minimum(np.searchsorted(stored_rows, user_rows), len(stored_rows) - 1)
    return indices, (stored_rows[indices] == user_rows) & (user_rows >= 0)


def fill_cold_scores(scores: FloatArray, state: FloatArray, popularity: FloatArray) -> FloatArray:
    """Rank cold items last, and give users whose state is zero the popularity divided by its maximum.

    Overwrites scores [B, I]; state [B, D], popularity [I].
    """
    cold_items = np.flatnonzero(popularity == 0)
    if len(cold_items) < len(popularity):
        scores[:, cold_items] = scores.min(axis=1, keepdims=True)
    cold_users = ~state.any(axis=1)
    scores[cold_users] = popularity / max(float(popularity.max(initial=0)), 1.0)
    return scores

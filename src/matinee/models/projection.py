"""Items in two dimensions: their vectors' first two principal components, by rank."""

from typing import Any

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.models.base import HasItemVectors, Recommender
from matinee.models.vectors import unit


def most_popular(popularity: IntArray, n_items: int) -> IntArray:
    """The rows of at most n_items with events, most events first."""
    rows: IntArray = np.argsort(-popularity, kind="stable")[:n_items]
    return rows[popularity[rows] > 0]


def project(
    model: Recommender[Any], popularity: IntArray, shown: IntArray, others: IntArray | None = None
) -> FloatArray:
    """Positions of M items, and of n others among them, each within -1..1. [M + n, 2].

    The principal components of the shown items' normalised vectors, weighted by the root of their events. Each
    coordinate is replaced by its rank among the shown items, so that a dense centre stays legible.
    Raises MatineeError for a model without item vectors.
    """
    if not isinstance(model, HasItemVectors):
        raise MatineeError(f"model {model.name} has no vectors to draw; use one that has, such as ials or item2vec")
    others = np.zeros(0, dtype=shown.dtype) if others is None else others
    vectors = getattr(model, "items", None)  # without the bias that item_vectors may carry
    vectors = np.asarray(model.item_vectors() if vectors is None else vectors, dtype=np.float64)
    directions = unit(vectors[np.concatenate([shown, others])])
    weights = np.sqrt(popularity[shown])[:, None]
    centred = directions - (directions[: len(shown)] * weights).sum(axis=0) / weights.sum()
    _, _, axes = np.linalg.svd(centred[: len(shown)], full_matrices=False)
    flat = centred @ axes[:2].T  # [M + n, 2]
    own = flat[: len(shown)]
    ranks = np.argsort(np.argsort(own, axis=0, kind="stable"), axis=0, kind="stable")
    among = [np.searchsorted(np.sort(own[:, axis]), flat[len(shown) :, axis]) for axis in (0, 1)]
    positions: FloatArray = np.concatenate([ranks, np.minimum(np.stack(among, axis=1), len(shown) - 1)])
    return 2 * positions / max(len(shown) - 1, 1) - 1

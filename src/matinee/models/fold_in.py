"""From a history to a user's vector where items have vectors: a solve against items that stay as they are."""

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.nn.settings import GraphConfig


def unit(vectors: FloatArray) -> FloatArray:
    """Rows of length 1; zero rows stay. [n, D]."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directed: FloatArray = vectors / np.where(lengths > 0, lengths, 1)
    return directed


def solve_directions(
    vectors: FloatArray, matrix: csr_array, items: FloatArray, temperature: float, steps: int
) -> FloatArray:
    """The directions u that make each history likely: the mean of log softmax(u · v / temperature) over its items.

    By `steps` steps of gradient ascent on the sphere, of step size 1 in units of the item vectors, from the
    directions of `vectors` [B, D]; matrix [B, I] binary; items [I, D]. Returns [B, D] of length 1.
    """
    shares = 1 / np.maximum(np.diff(matrix.indptr), 1).astype(np.float32)
    target = (matrix @ items) * shares[:, None]  # [B, D]
    columns = np.ascontiguousarray(items.T) / np.float32(temperature)  # [D, I]
    vectors = unit(vectors)
    for _ in range(steps):
        scores = vectors @ columns  # [B, I]
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        gradient = target - (scores @ items) / scores.sum(axis=1, keepdims=True)
        gradient -= (gradient * vectors).sum(axis=1, keepdims=True) * vectors
        vectors = unit(vectors + gradient)
    return vectors


def solved(
    vectors: FloatArray, known: BoolArray, matrix: csr_array, items: FloatArray, config: GraphConfig
) -> FloatArray:
    """What users hear [B, D], solved further for those whose own vector is not known [B] and who have a history."""
    rest = np.flatnonzero(~known & (np.diff(matrix.indptr) > 0))
    if len(rest) and config.solve_steps:
        vectors[rest] = solve_directions(
            vectors[rest], matrix[rest], items, config.solve_temperature, config.solve_steps
        )
    return unit(vectors) if config.similarity == "cosine" else vectors


def stored_places(rows: IntArray, wanted: IntArray, user_state: str) -> tuple[IntArray, BoolArray]:
    """Where wanted user rows stand among stored ones, and whether they do; nowhere with user_state = "history".

    rows [U] ascending; wanted [B] -> [B], [B]. UNKNOWN is never found.
    """
    if len(rows) == 0 or user_state == "history":
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return places, (rows[places] == wanted) & (wanted >= 0)


def rank_isolated(scores: FloatArray, state: FloatArray, popularity: FloatArray) -> FloatArray:
    """Scores [B, I] in place: items without events last, users without a vector by popularity (scaled to 1)."""
    isolated = np.flatnonzero(popularity == 0)
    if len(isolated) < len(popularity):
        scores[:, isolated] = scores.min(axis=1, keepdims=True)
    cold = ~state.any(axis=1)
    scores[cold] = popularity / max(float(popularity.max(initial=0)), 1.0)
    return scores

"""From a history to a user's vector where items have vectors: a solve against items that stay as they are."""

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.graph.config import GraphConfig
from matinee.models.vectors import event_products, unit


class Path:
    """Where a solve went: its solution is start · (its first vectors) + target · (mean of the history) - pull.

    start, target: [B, 1]; pull: [B, D]. What other items pushed away, `pull`, each event of a history bears alike:
    the gradient of an event's own log softmax is its item's vector less that mean.
    """

    def __init__(self, first: FloatArray) -> None:
        lengths = np.linalg.norm(first, axis=1, keepdims=True)
        self.start = 1 / np.where(lengths > 0, lengths, 1)
        self.target = np.zeros_like(self.start)
        self.pull = np.zeros_like(first)

    def follow(self, moved: FloatArray, along: FloatArray, means: FloatArray) -> None:
        """A step: from u to the direction of `moved` [B, D] = (1 - along) u + target mean - means."""
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        shrunk, scale = 1 - along, 1 / np.where(lengths > 0, lengths, 1)
        self.start = scale * shrunk * self.start
        self.target = scale * (shrunk * self.target + 1)
        self.pull = scale * (shrunk * self.pull + means)


def solve_directions(
    vectors: FloatArray,
    matrix: csr_array,
    items: FloatArray,
    temperature: float,
    steps: int,
    path: Path | None = None,
) -> FloatArray:
    """The directions u that make each history likely: the mean of log softmax(u · v / temperature) over its items.

    By `steps` steps of gradient ascent on the sphere, of step size 1 in units of the item vectors, from the
    directions of `vectors` [B, D]; matrix [B, I] binary; items [I, D]. Returns [B, D] of length 1. `path` is told.
    """
    shares = 1 / np.maximum(np.diff(matrix.indptr), 1).astype(np.float32)
    target = (matrix @ items) * shares[:, None]  # [B, D]
    columns = np.ascontiguousarray(items.T) / np.float32(temperature)  # [D, I]
    vectors = unit(vectors)
    for _ in range(steps):
        scores = vectors @ columns  # [B, I]
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        means = (scores @ items) / scores.sum(axis=1, keepdims=True)
        gradient = target - means
        along = (gradient * vectors).sum(axis=1, keepdims=True)
        gradient -= along * vectors
        moved = vectors + gradient
        if path is not None:
            path.follow(moved, along, means)
        vectors = unit(moved)
    return vectors


def explained_solve(
    heard: FloatArray, histories: Histories, item_rows: IntArray, items: FloatArray, config: GraphConfig
) -> FloatArray:
    """What each event adds to the scores of listed items, after a solve from what users hear. [N, k].

    heard: [N, D], each event's part of its user's first vector; item_rows [B, k]; items [I, D].
    Lengths and the weights of the path count as given. Summed over a user's events it is the score.
    """
    owners, matrix = histories.owners, histories.matrix(len(items))
    first = np.zeros((len(histories), items.shape[1]), dtype=np.float32)
    np.add.at(first, owners, heard)
    if not config.solve_steps and config.similarity == "dot":
        return event_products(heard, owners, item_rows, items)
    path = Path(first)
    solve_directions(first, matrix, items, config.solve_temperature, config.solve_steps, path)
    alike = items[histories.items] * path.target[owners] - path.pull[owners]
    lengths = np.diff(histories.starts)[owners, None]
    return event_products(path.start[owners] * heard + alike / lengths, owners, item_rows, items)


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

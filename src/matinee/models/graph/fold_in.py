"""Fold-in of the graph models: a user vector solved from the history, with the item vectors fixed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.graph.config import GraphConfig
from matinee.models.vectors import event_products, find_stored_users, unit

ModelT = TypeVar("ModelT", bound=Recommender[Any])


class SolveTrace:
    """Coefficients of a solve: solution = start · initial vectors + target · mean of the history's items - repulsion.

    start, target: [B, 1]; repulsion: [B, D], the accumulated softmax means, which every event of a history shares: the
    gradient of one event's log softmax is its item's vector minus that mean.
    """

    def __init__(self, initial: FloatArray) -> None:
        lengths = np.linalg.norm(initial, axis=1, keepdims=True)
        self.start = 1 / np.where(lengths > 0, lengths, 1)
        self.target = np.zeros_like(self.start)
        self.repulsion = np.zeros_like(initial)

    def record(self, moved: FloatArray, radial: FloatArray, means: FloatArray) -> None:
        """One step: u becomes the direction of moved [B, D] = (1 - radial [B, 1]) u + target mean - means [B, D]."""
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        shrunk, scale = 1 - radial, 1 / np.where(lengths > 0, lengths, 1)
        self.start = scale * shrunk * self.start
        self.target = scale * (shrunk * self.target + 1)
        self.repulsion = scale * (shrunk * self.repulsion + means)


FEWEST = 20
"""Histories of fewer events are solved once more without each: an event of few is no small change."""
MAX_EXPONENT = 60.0
"""Scores up to this are exponentiated as they are: e^60 times the number of items is within float32."""


@dataclass(frozen=True, slots=True, eq=False)
class SolveItems:
    """The items that directions are solved against: items [I, D], columns [D, I] the same over the temperature.

    temperature: of the softmax; bounded: whether no score of a direction exceeds MAX_EXPONENT.
    """

    items: FloatArray
    columns: FloatArray
    temperature: float
    bounded: bool

    @classmethod
    def of(cls, items: FloatArray, temperature: float) -> "SolveItems":
        """For a softmax of this temperature."""
        longest = float(np.linalg.norm(items, axis=1).max(initial=0))
        columns = np.ascontiguousarray(items.T) / np.float32(temperature)
        return cls(items, columns, temperature, longest / temperature <= MAX_EXPONENT)


def solve_directions(
    vectors: FloatArray, matrix: csr_array, side: SolveItems, steps: int, trace: SolveTrace | None = None
) -> FloatArray:
    """Directions u that maximise the weighted mean of log softmax(u · v_i / temperature) over each history's items i.

    Weights below 0 lower the probability of their items. The mean divides by the sum of the weights' magnitudes.

    `steps` steps of gradient ascent on the unit sphere, with step size 1 in units of the item vectors, from the
    directions of vectors [B, D]. matrix [B, I], the weights. Returns [B, D] of length 1; fills `trace`.
    """
    target, attraction = _pull(matrix, side)
    vectors = unit(vectors)
    for _ in range(steps):
        scores = vectors @ side.columns  # [B, I]
        if not side.bounded:
            scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        means = (scores @ side.items) / scores.sum(axis=1, keepdims=True)
        gradient, radial = _ascent(vectors, target - attraction * means)
        moved = vectors + gradient
        if trace is not None:
            trace.record(moved, radial, means)
        vectors = unit(moved)
    return vectors


def solve_near(
    whole: tuple[FloatArray, csr_array], others: tuple[FloatArray, csr_array], side: SolveItems, steps: int
) -> FloatArray:
    """As `solve_directions`, of E histories that differ from one by an event: its steps, and theirs near them. [E, D].

    whole, others: vectors [1, D] and [E, D], and matrices [1, I] and [E, I]. A mean of the softmax is taken to first
    order: the whole history's, plus the covariance of the items times the difference of the vectors. The covariance is
    that of its last step. Of histories of 20 events and more this is within a hundredth of what an event changes.
    """
    target, attraction = _pull(whole[1], side)
    vectors, passed = unit(whole[0]), []
    for _ in range(steps):
        scores = vectors @ side.columns  # [1, I]
        scores -= scores.max()
        shares = np.exp(scores, out=scores)
        shares /= shares.sum()
        means = shares @ side.items
        passed.append((vectors, means))
        vectors = unit(vectors + _ascent(vectors, target - attraction * means)[0])
    weighted = side.items * shares[0][:, None]
    covariance = (weighted.T @ side.items - means.T @ means) / np.float32(side.temperature)  # [D, D]
    target, attraction = _pull(others[1], side)
    near = unit(others[0])
    for vectors, means in passed:
        those = means + (near - vectors) @ covariance  # [E, D]
        near = unit(near + _ascent(near, target - attraction * those)[0])
    return near


def _pull(matrix: csr_array, side: SolveItems) -> tuple[FloatArray, FloatArray]:
    """The weighted mean of each history's items [B, D], and the sum of its weights over their magnitudes [B, 1]."""
    scale = 1 / _magnitudes(matrix)
    target: FloatArray = (matrix @ side.items) * scale[:, None]
    return target, np.asarray(matrix.sum(axis=1))[:, None] * scale[:, None]  # the latter 1 without dislikes


def _ascent(vectors: FloatArray, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The gradient's part along the sphere [B, D], and what was taken off it for each vector [B, 1]."""
    radial = (gradient * vectors).sum(axis=1, keepdims=True)
    return gradient - radial * vectors, radial


def _magnitudes(matrix: csr_array) -> FloatArray:
    """Sum of the entries' magnitudes in each row, 1 for an empty row. [B] float32."""
    sums = np.asarray(abs(matrix).sum(axis=1), dtype=np.float32)
    return np.where(sums > 0, sums, np.float32(1))


def finish_vectors(
    vectors: FloatArray, is_stored: BoolArray, matrix: csr_array, side: SolveItems, config: GraphConfig
) -> FloatArray:
    """Propagated vectors [B, D], solved for users without a stored embedding (is_stored [B]) but with a history.

    Scaled to length 1 if the similarity is the cosine. Changes `vectors`.
    """
    rest = np.flatnonzero(~is_stored & (np.diff(matrix.indptr) > 0))
    if len(rest) and config.solve_steps:
        vectors[rest] = solve_directions(vectors[rest], matrix[rest], side, config.solve_steps)
    finished: FloatArray = unit(vectors) if config.similarity == "cosine" else vectors
    return finished


def explain_solve(
    messages: FloatArray, histories: Histories, item_rows: IntArray, side: SolveItems, config: GraphConfig
) -> FloatArray:
    """Contribution of each event to the scores of listed items, after propagation and the solve. [N, k].

    messages [N, D], each event's part, by its weight, of its user's propagated vector; item_rows [B, k].
    Vector lengths and softmax weights are taken as constants. Contributions sum to the score over a user's events.
    """
    items, owners = side.items, histories.owners
    matrix = histories.weighted_matrix(len(items))
    initial = np.zeros((len(histories), items.shape[1]), dtype=np.float32)
    np.add.at(initial, owners, messages)
    if not config.solve_steps and config.similarity == "dot":
        return event_products(messages, owners, item_rows, items)
    trace = SolveTrace(initial)
    solve_directions(initial, matrix, side, config.solve_steps, trace)
    solved = items[histories.items] * trace.target[owners] - trace.repulsion[owners]
    parts = solved * histories.weights[:, None] / _magnitudes(matrix).astype(np.float64)[owners, None]
    return event_products(trace.start[owners] * messages + parts, owners, item_rows, items)


def are_many(histories: Histories, popularity: FloatArray, config: GraphConfig) -> bool:
    """Whether `scores_without_each` is for these histories and listed items, of this popularity [B, k].

    Not for stored users, for propagated vectors that are not solved, and for items without events, which rank last.
    """
    is_solved = config.user_state == "history" and config.solve_steps > 0
    return is_solved and bool((histories.lengths >= FEWEST).all() and popularity.all())


def scores_without_each(
    propagate: Callable[[csr_array], FloatArray],
    side: SolveItems,
    steps: int,
    histories: Histories,
    events: IntArray,
    item_rows: IntArray,
) -> FloatArray:
    """See ScoresWithoutEach: by `solve_near`. propagate: from weights [B, I] to vectors [B, D], before the solve."""
    scores, owners = np.empty((len(events), item_rows.shape[1]), dtype=np.float32), histories.owners[events]
    for user in np.unique(owners).tolist():
        mine, history = np.flatnonzero(owners == user), histories.take(np.array([user]))
        rest = history.without_each(events[mine] - histories.starts[user])
        matrices = [each.weighted_matrix(len(side.items)) for each in (history, rest)]
        whole, others = ((propagate(matrix), matrix) for matrix in matrices)
        scores[mine] = solve_near(whole, others, side, steps) @ side.items[item_rows[user]].T
    return scores


def copy_onto(model: ModelT, known: TrainingData) -> ModelT:
    """A copy of a model with the users and the popularity of another log; layer 0 of unknown users is zero."""
    arrays = {name: getattr(model, name) for name in model.learned}
    users = known.histories.user_rows.astype(np.int32)
    indices, is_stored = find_stored_users(arrays["user_rows"], users, "stored")
    embeddings = np.zeros((len(users), arrays["user_embeddings"].shape[1]), dtype=np.float32)
    embeddings[is_stored] = arrays["user_embeddings"][indices[is_stored]]
    arrays |= {"user_rows": users, "user_embeddings": embeddings, "popularity": known.popularity.astype(np.float32)}
    copy = type(model)(**model.config.model_dump())
    copy.value_map = model.value_map
    for name, value in arrays.items():
        setattr(copy, name, value)
    return copy

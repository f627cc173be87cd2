"""Fold-in of the graph models: a user vector solved from the history, with the item vectors fixed."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray, rows_of
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.graph.config import GraphConfig
from matinee.models.vectors import event_products, find_stored_users, unit

ModelT = TypeVar("ModelT", bound=Recommender[Any])


MAX_EXPONENT = 40.0
"""Scores up to this are exponentiated as they are, and so are their differences: e^80 is within float32."""
TINY = np.finfo(np.float32).tiny
NEAR = 0.75
"""Length of the direction from which Newton's steps begin: the mean item's, nearer to all users than zero is."""
LENGTH_STEPS = 4
"""Newton's, to the length 1 of a solution."""
LEAST_RIDGE = 0.2
"""Of a Newton step, in units of the largest curvature, so that rounding is not divided by next to nothing."""
MOST_SOLVED = 16
"""Solutions of single histories that are kept: a list, its reasons and their drops need the same one."""
Propagate = Callable[[csr_array], FloatArray]
"""From the weights of histories [B, I] to vectors [B, D], before the solve."""
FromSums = Callable[[FloatArray, IntArray], FloatArray]
"""The same from the weighted sums of the items' messages in each layer, [K, B, D], and lengths [B]."""


@dataclass(frozen=True, slots=True, eq=False)
class SolveItems:
    """The items that directions are solved against: items [I, D], columns [D, I] the same over the temperature.

    temperature: of the softmax; bounded: whether no score of a direction exceeds MAX_EXPONENT; begin [D], NEAR times
    the direction of the mean item; means [D], the softmax mean there; axes [D, D] and curvatures [D], descending: C =
    axes diag(curvatures) axesᵀ, the covariance of the items there over the temperature; solved: solutions of single
    histories.
    """

    items: FloatArray
    columns: FloatArray
    temperature: float
    bounded: bool
    begin: FloatArray
    means: FloatArray
    axes: FloatArray
    curvatures: FloatArray
    solved: "dict[Hashable, Solution]" = field(default_factory=dict)

    @classmethod
    def of(cls, items: FloatArray, temperature: float, popularity: FloatArray | None = None) -> "SolveItems":
        """For a softmax of this temperature. popularity: [I], how much each item counts in the mean; None: the same."""
        longest = float(np.linalg.norm(items, axis=1).max(initial=0))
        columns = np.ascontiguousarray(items.T) / np.float32(temperature)
        counts = np.ones(len(items)) if popularity is None else popularity
        begin = (NEAR * unit(counts[None] @ items)[0]).astype(np.float32)
        shares = _softmax(begin @ columns)
        means = shares @ items
        covariance = (items * shares[:, None]).T.astype(np.float64) @ items - np.outer(means, means)
        curvatures, axes = np.linalg.eigh(covariance / temperature)
        return cls(
            items,
            columns,
            temperature,
            longest / temperature <= MAX_EXPONENT,
            begin,
            means.astype(np.float32),
            np.ascontiguousarray(axes[:, ::-1], dtype=np.float32),
            np.maximum(curvatures[::-1], 0).astype(np.float32),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What a solve of B histories found, and how it went there.

    matrix: [B, I], the weights; vectors: [B, D] of length 1; start: [B, 1], the length of what plain steps started
    from; passed: each of S steps; shares: the softmax of each, [I], of a single history, else none.
    """

    matrix: csr_array
    vectors: FloatArray
    start: FloatArray
    passed: "list[Step]"
    shares: list[FloatArray]

    def coefficients(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of plain steps: vectors = start · what it started from + target · mean of the history's items - repulsion.

        start, target: [B, 1]; repulsion: [B, D], the softmax means, which every event of a history shares: the gradient
        of one event's log softmax is its item's vector minus that mean.
        """
        parts = np.concatenate([1 / self.start, np.zeros_like(self.start), np.zeros_like(self.vectors)], axis=1)
        for step in self.passed:
            parts = parts * step.kept
            parts[:, 1] += 1
            parts[:, 2:] += step.means
            parts /= step.length
        return parts[:, :1], parts[:, 1:2], parts[:, 2:]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a solve.

    vectors: [B, D], the direction that it leaves; means: [B, D], the softmax mean there; kept: the factor of the
    direction in the result, [B, 1], or along each axis [B, D]; divisors: what that is divided by along each axis
    [B, D], ones of a plain step; length: [B, 1], by which the result is divided.
    """

    vectors: FloatArray
    means: FloatArray
    kept: FloatArray
    divisors: FloatArray
    length: FloatArray


class Ascent:
    """Steps of gradient ascent on the unit sphere, of size 1 in units of the item vectors, or Newton's.

    Newton's lead to the maximum on the sphere of the quadratic function that has the gradient g there and the curvature
    C of `SolveItems`, the same for all users: (C + λ I) v' = g + C v, with λ such that v' has length 1 (Moré and
    Sorensen 1983). λ is at least ρ = LEAST_RIDGE; where g · v, which λ is in the end, is less than that, v is added
    ρ - g · v times, so that steps end at the same place.
    """

    def __init__(
        self, vectors: FloatArray, pull: tuple[FloatArray, FloatArray], side: SolveItems, config: GraphConfig
    ) -> None:
        """vectors: [B, D] of length 1; pull: see `_pull`."""
        self.vectors = vectors
        self._target, self._attraction = pull
        self._side, self._is_plain = side, config.solve == "plain"

    def step(self, means: FloatArray) -> Step:
        """One step, from the softmax means [B, D] at `vectors`, which it replaces."""
        left, pull = self.vectors, self._target - self._attraction * means
        radial = (pull * left).sum(axis=1, keepdims=True)
        if self._is_plain:
            kept, divisors = 1 - radial, np.ones_like(radial)
            found = left + (pull - radial * left)
        else:
            axes, least = self._side.axes, np.float32(LEAST_RIDGE) * self._side.curvatures[0]
            curvatures = np.maximum(self._attraction, 0) * self._side.curvatures  # [B, D]
            kept = curvatures + np.maximum(least - radial, 0)
            along = pull @ axes + kept * (left @ axes)
            divisors = curvatures + _ridge(along, curvatures, float(least))
            found = (along / divisors) @ axes.T
        length = _lengths(found)
        self.vectors = found / length
        return Step(left, means, kept, divisors, length)


def _ridge(along: FloatArray, curvatures: FloatArray, least: float) -> FloatArray:
    """λ of length 1 of along / (curvatures + λ), or `least` where that is more. [B, D] twice -> [B, 1].

    Newton's steps for 1 / length, which is nearly linear in λ, from where the length is below 1.
    """
    squares = along * along
    ridge = np.maximum(np.sqrt(squares.sum(axis=1, keepdims=True)), least)
    for _ in range(LENGTH_STEPS):
        parts = 1 / (curvatures + ridge)
        terms = squares * parts * parts
        square = np.maximum(terms.sum(axis=1, keepdims=True), TINY)
        terms *= parts
        change = square * (1 - np.sqrt(square)) / np.maximum(terms.sum(axis=1, keepdims=True), TINY)
        ridge = np.maximum(ridge - change, least)
    found: FloatArray = ridge.astype(np.float32)
    return found


def _softmax(scores: FloatArray) -> FloatArray:
    shares = np.exp(scores - scores.max())
    found: FloatArray = shares / shares.sum()
    return found


def solve(propagate: Propagate, histories: Histories, side: SolveItems, config: GraphConfig) -> Solution:
    """Directions u that maximise the weighted mean of log softmax(u · v_i / temperature) over each history's items i.

    Weights below 0 lower the probability of their items. The mean divides by the sum of the weights' magnitudes.

    `solve_steps` steps on the unit sphere, see `Ascent`, plain ones from the directions that `propagate` gives. The
    solution of a single history is kept.
    """
    if len(histories) != 1:
        matrix = histories.weighted_matrix(len(side.items))
        return solve_from(propagate(matrix) if config.solve == "plain" else None, matrix, side, config)
    key = config.solve, config.solve_steps, histories.items.tobytes(), histories.weights.tobytes()
    found = side.solved.get(key)
    if found is None:
        matrix = histories.weighted_matrix(len(side.items))
        found = solve_from(propagate(matrix) if config.solve == "plain" else None, matrix, side, config)
        if len(side.solved) >= MOST_SOLVED:
            side.solved.clear()
        side.solved[key] = found
    return found


def solve_from(vectors: FloatArray | None, matrix: csr_array, side: SolveItems, config: GraphConfig) -> Solution:
    """See `solve`: of histories with these weights [B, I], plain steps from vectors [B, D]."""
    ascent, passed, kept = _begun(vectors, _pull(matrix, side), side, config), [], []
    start = np.ones((matrix.shape[0], 1), dtype=np.float32) if vectors is None else _lengths(vectors)
    ones = np.ones(len(side.items), dtype=np.float32)
    for _ in range(config.solve_steps):
        shares = ascent.vectors @ side.columns  # [B, I]
        if not side.bounded:
            shares -= shares.max(axis=1, keepdims=True)
        np.exp(shares, out=shares)
        sums = np.vecdot(shares, ones)[:, None]  # a third of the time of `sum`
        means = (shares @ side.items) / sums
        if len(shares) == 1:
            kept.append((shares / sums)[0])
        passed.append(ascent.step(means))
    return Solution(matrix, ascent.vectors, start, passed, kept)


def _begun(
    vectors: FloatArray | None, pull: tuple[FloatArray, FloatArray], side: SolveItems, config: GraphConfig
) -> Ascent:
    """Plain steps from vectors [B, D]; Newton's after the first one, which is from the same direction for all."""
    if config.solve == "plain":
        assert vectors is not None
        return Ascent(unit(vectors), pull, side, config)
    shape = pull[0].shape
    ascent = Ascent(np.broadcast_to(side.begin, shape), pull, side, config)
    ascent.step(np.broadcast_to(side.means, shape))
    return ascent


def solve_near(
    whole: Solution,
    vectors: FloatArray | None,
    pull: tuple[FloatArray, FloatArray],
    side: SolveItems,
    config: GraphConfig,
) -> FloatArray:
    """As `solve`, of E histories that differ from one by an event: its steps, and theirs near them. [E, D].

    whole: of the one history; vectors: [E, D], what plain steps of the others start from; pull: theirs, see `_pull`.
    Their softmax is that of the whole history times the exponential of how their scores differ, so small differences
    are not lost.
    """
    others = _begun(vectors, pull, side, config)
    for step, shares in zip(whole.passed, whole.shares, strict=True):
        weights = (others.vectors - step.vectors) @ side.columns  # [E, I]
        np.exp(weights, out=weights)
        sums = (weights @ shares)[:, None]
        weights *= shares
        others.step((weights @ side.items) / sums)
    return others.vectors


def _pull(matrix: csr_array, side: SolveItems) -> tuple[FloatArray, FloatArray]:
    """The weighted mean of each history's items [B, D], and the sum of its weights over their magnitudes [B, 1]."""
    scale = 1 / _magnitudes(matrix)[:, None]
    target: FloatArray = (matrix @ side.items) * scale
    return target, _row_sums(matrix, matrix.data)[:, None] * scale  # the latter 1 without dislikes


def _magnitudes(matrix: csr_array) -> FloatArray:
    """Sum of the entries' magnitudes in each row, 1 for an empty row. [B] float32."""
    sums = _row_sums(matrix, np.abs(matrix.data))
    return np.where(sums > 0, sums, np.float32(1))


def _row_sums(matrix: csr_array, entries: FloatArray) -> FloatArray:
    """Sum of the entries of each row of a matrix that has them in the place of its own. [B] float32."""
    sums = np.bincount(rows_of(matrix.indptr), entries, minlength=matrix.shape[0])
    return sums.astype(np.float32)


def _lengths(vectors: FloatArray) -> FloatArray:
    """Lengths of rows, a little more than 0 for a row of zeros. [B, 1]."""
    lengths: FloatArray = np.maximum(np.sqrt((vectors * vectors).sum(axis=1, keepdims=True)), TINY)
    return lengths


def is_solved(histories: Histories, config: GraphConfig) -> bool:
    """Whether the vectors of histories, none of them empty, are those of `solve`."""
    return config.user_state == "history" and config.solve_steps > 0 and bool((histories.lengths > 0).all())


def finish_vectors(
    vectors: FloatArray, is_stored: BoolArray, matrix: csr_array, side: SolveItems, config: GraphConfig
) -> FloatArray:
    """Propagated vectors [B, D], solved for users without a stored embedding (is_stored [B]) but with a history.

    Scaled to length 1 if the similarity is the cosine. Changes `vectors`.
    """
    rest = np.flatnonzero(~is_stored & (np.diff(matrix.indptr) > 0))
    if len(rest) and config.solve_steps:
        those = matrix if len(rest) == len(vectors) else matrix[rest]
        vectors[rest] = solve_from(vectors[rest], those, side, config).vectors
    finished: FloatArray = unit(vectors) if config.similarity == "cosine" else vectors
    return finished


def explain_newton(
    propagate: Propagate, histories: Histories, item_rows: IntArray, side: SolveItems, config: GraphConfig
) -> FloatArray:
    """Contribution of each event to the scores of listed items, by the last of Newton's steps. [N, k].

    That step divides a sum over the events along each axis: of their items minus the softmax mean, and of the direction
    before, which is shared by the events that count for their items. Means, divisors and the length are taken as
    constants. Contributions sum to the score over a user's events.
    """
    solution, owners = solve(propagate, histories, side, config), histories.owners
    last, weights = solution.passed[-1], histories.weights
    likes = np.maximum(weights, 0)
    sums = np.bincount(owners, likes, minlength=len(histories))
    likes[sums[owners] == 0] = 1
    shares = likes / np.bincount(owners, likes, minlength=len(histories))[owners]
    direction = (last.kept * (last.vectors @ side.axes)) @ side.axes.T  # [B, D]
    parts = (side.items[histories.items] - last.means[owners]) * weights[:, None]  # [N, D]
    parts /= _magnitudes(solution.matrix)[owners, None]
    parts += shares[:, None] * direction[owners]
    contributions = np.empty((len(owners), item_rows.shape[1]), dtype=np.float32)
    for user, rows in enumerate(item_rows):
        events = slice(*histories.starts[user : user + 2])
        listed = ((side.items[rows] @ side.axes) / (last.divisors[user] * last.length[user])) @ side.axes.T  # [k, D]
        contributions[events] = parts[events] @ listed.T
    return contributions


def explain_solve(
    messages: FloatArray, histories: Histories, item_rows: IntArray, side: SolveItems, config: GraphConfig
) -> FloatArray:
    """Contribution of each event to the scores of listed items, after propagation and the solve. [N, k].

    messages [N, D], each event's part, by its weight, of its user's propagated vector; item_rows [B, k].
    Vector lengths and softmax weights are taken as constants. Contributions sum to the score over a user's events.
    """
    items, owners = side.items, histories.owners

    def propagate(_: csr_array) -> FloatArray:
        initial = np.zeros((len(histories), items.shape[1]), dtype=np.float32)
        np.add.at(initial, owners, messages)
        return initial

    if not config.solve_steps and config.similarity == "dot":
        return event_products(messages, owners, item_rows, items)
    solution = solve(propagate, histories, side, config)
    start, target, repulsion = solution.coefficients()
    solved = items[histories.items] * target[owners] - repulsion[owners]
    parts = solved * histories.weights[:, None] / _magnitudes(solution.matrix).astype(np.float64)[owners, None]
    return event_products(start[owners] * messages + parts, owners, item_rows, items)


def has_deletions(histories: Histories, popularity: FloatArray, side: SolveItems, config: GraphConfig) -> bool:
    """Whether `Deletions` are for these histories and listed items, of this popularity [B, k].

    Not for stored users, for propagated vectors that are not solved, for histories of which nothing would be left, and
    for items without events, which rank last.
    """
    is_something_left = bool((histories.lengths > 1).all())
    return is_something_left and side.bounded and is_solved(histories, config) and bool(popularity.all())


@dataclass(frozen=True, slots=True)
class Deletions:
    """Scores of listed items without each of some events, by `solve_near`.

    messages: [K, I, D], what items add to the sums that `from_sums` takes.
    """

    messages: FloatArray
    from_sums: FromSums
    side: SolveItems
    config: GraphConfig

    def scores(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray:
        """See ScoresWithoutEach. Of histories without an item twice."""
        scores, owners = np.empty((len(events), item_rows.shape[1]), dtype=np.float32), histories.owners[events]
        for user in np.unique(owners).tolist():
            mine, history = np.flatnonzero(owners == user), histories.block(user, user + 1)
            vectors = self._without_each(history, events[mine] - histories.starts[user])
            scores[mine] = vectors @ self.side.items[item_rows[user]].T
        return scores

    def _without_each(self, history: Histories, events: IntArray) -> FloatArray:
        """User vectors without each event of a history (B = 1): its sums less those of the event. [E, D]."""

        def propagate(matrix: csr_array) -> FloatArray:
            return self.from_sums(self._sums(matrix), np.diff(matrix.indptr))

        whole = solve(propagate, history, self.side, self.config)
        items, weights = history.items[events], history.weights[events, None]
        vectors: FloatArray | None = None
        if self.config.solve == "plain":
            sums = self._sums(whole.matrix) - weights * self.messages[:, items]  # [K, E, D]
            vectors = self.from_sums(sums, np.full(len(events), len(history.items) - 1))
        scale = 1 / (_magnitudes(whole.matrix)[:, None] - np.abs(weights))
        target = (whole.matrix @ self.side.items - weights * self.side.items[items]) * scale
        total = _row_sums(whole.matrix, whole.matrix.data)[:, None]
        pull = target, (total - weights) * scale
        return solve_near(whole, vectors, pull, self.side, self.config)

    def _sums(self, matrix: csr_array) -> FloatArray:
        sums = [matrix @ messages for messages in self.messages]
        return np.stack(sums) if sums else np.zeros((0, matrix.shape[0], 0), dtype=np.float32)


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

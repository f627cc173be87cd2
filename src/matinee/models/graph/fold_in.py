"""Fold-in of the graph models: a user vector solved from the history, with the item vectors fixed."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, rows_of
from matinee.histories import Histories
from matinee.models.graph.config import GraphConfig
from matinee.models.vectors import unit

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


def solve(histories: Histories, side: SolveItems, config: GraphConfig, propagate: Propagate | None = None) -> Solution:
    """Directions u that maximise the weighted mean of log softmax(u · v_i / temperature) over each history's items i.

    Weights below 0 lower the probability of their items. The mean divides by the sum of the weights' magnitudes.

    `solve_steps` steps on the unit sphere, see `Ascent`. Plain ones start from the directions that `propagate` gives;
    Newton's need none. The solution of a single history is kept.
    """

    def solved() -> Solution:
        matrix = histories.weighted_matrix(len(side.items))
        return solve_from(propagate(matrix) if propagate and config.solve == "plain" else None, matrix, side, config)

    if len(histories) != 1:
        return solved()
    key = config.solve, config.solve_steps, histories.items.tobytes(), histories.weights.tobytes()
    found = side.solved.get(key)
    if found is None:
        found = solved()
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
    scale = 1 / magnitudes(matrix)[:, None]
    target: FloatArray = (matrix @ side.items) * scale
    return target, row_sums(matrix, matrix.data)[:, None] * scale  # the latter 1 without dislikes


def magnitudes(matrix: csr_array) -> FloatArray:
    """Sum of the entries' magnitudes in each row, 1 for an empty row. [B] float32."""
    sums = row_sums(matrix, np.abs(matrix.data))
    return np.where(sums > 0, sums, np.float32(1))


def row_sums(matrix: csr_array, entries: FloatArray) -> FloatArray:
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

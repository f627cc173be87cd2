"""What each event contributes to a graph model's scores, through the fold-in, and scores without each event."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories
from matinee.models.graph.config import GraphConfig
from matinee.models.graph.fold_in import SolveItems, is_solved, magnitudes, row_sums, solve, solve_near
from matinee.models.vectors import event_products

FromSums = Callable[[FloatArray, IntArray], FloatArray]
"""From weighted sums of the items' messages in each layer, [K, B, D], and lengths [B] to vectors [B, D], before the
solve."""


def explain_newton(histories: Histories, item_rows: IntArray, side: SolveItems, config: GraphConfig) -> FloatArray:
    """Contribution of each event to the scores of listed items, by the last of Newton's steps. [N, k].

    That step divides a sum over the events along each axis: of their items minus the softmax mean, and of the direction
    before, which is shared by the events that count for their items. Means, divisors and the length are taken as
    constants. Contributions sum to the score over a user's events.
    """
    solution, owners = solve(histories, side, config), histories.owners
    last, weights = solution.passed[-1], histories.weights
    likes = np.maximum(weights, 0)
    sums = np.bincount(owners, likes, minlength=len(histories))
    likes[sums[owners] == 0] = 1
    shares = likes / np.bincount(owners, likes, minlength=len(histories))[owners]
    direction = (last.kept * (last.vectors @ side.axes)) @ side.axes.T  # [B, D]
    parts = (side.items[histories.items] - last.means[owners]) * weights[:, None]  # [N, D]
    parts /= magnitudes(solution.matrix)[owners, None]
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
    solution = solve(histories, side, config, propagate)
    start, target, repulsion = solution.coefficients()
    solved = items[histories.items] * target[owners] - repulsion[owners]
    parts = solved * histories.weights[:, None] / magnitudes(solution.matrix).astype(np.float64)[owners, None]
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

        whole = solve(history, self.side, self.config, propagate)
        items, weights = history.items[events], history.weights[events, None]
        vectors: FloatArray | None = None
        if self.config.solve == "plain":
            sums = self._sums(whole.matrix) - weights * self.messages[:, items]  # [K, E, D]
            vectors = self.from_sums(sums, np.full(len(events), len(history.items) - 1))
        scale = 1 / (magnitudes(whole.matrix)[:, None] - np.abs(weights))
        target = (whole.matrix @ self.side.items - weights * self.side.items[items]) * scale
        total = row_sums(whole.matrix, whole.matrix.data)[:, None]
        pull = target, (total - weights) * scale
        return solve_near(whole, vectors, pull, self.side, self.config)

    def _sums(self, matrix: csr_array) -> FloatArray:
        sums = [matrix @ messages for messages in self.messages]
        return np.stack(sums) if sums else np.zeros((0, matrix.shape[0], 0), dtype=np.float32)

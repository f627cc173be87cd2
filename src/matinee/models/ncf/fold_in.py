"""From a history to a user vector: Newton steps on the training loss with everything else frozen."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from matinee.arrays import FloatArray, IntArray
from matinee.models.ncf.config import NCFConfig
from matinee.models.ncf.inference import NCFWeights, catalogue_sample

MIN_L2 = 1e-3
"""Smallest penalty, which keeps the solution unique where training had none."""
CONVERGED = 1e-7
"""Without a tower, a step that lowers the loss by less, relative to it, is the last: Newton's next would be of this
squared. Through a tower the steps are Gauss-Newton's, of which small ones can be followed by as small ones."""


def solve_users(
    weights: NCFWeights,
    matrix: csr_array,
    items: FloatArray,
    setting: "Setting",
    config: NCFConfig,
    at_start: "AtStart | None" = None,
) -> FloatArray:
    """The user vectors that minimise the training loss of each history. [B, D + E], zero for an empty history.

    matrix [B, I], the weights of the events; items [I, D + W] projected; at_start: what the first steps share, with
    `softmax`. One user at a time, so that a batch equals its users one by one, bit for bit.
    """
    solved = np.zeros((matrix.shape[0], len(setting.start)), dtype=np.float32)
    for row in range(matrix.shape[0]):
        events = slice(matrix.indptr[row], matrix.indptr[row + 1])
        if len(matrix.indices[events]):
            history = matrix.indices[events], matrix.data[events]
            first = at_start.step_of(weights, history, items, setting) if at_start and config.fold_in_steps else None
            objective = Objective.of(history, setting, config)
            rows = items[objective.rows]
            solved[row] = minimise(weights, rows, objective, setting.start, config.fold_in_steps, first)
    return solved


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What the solves of all histories share.

    start: [D + E], where they begin; rows, weights: [s], item rows that represent the catalogue, and how many items
    each one represents; l2: the penalty of one user's loss.
    """

    start: FloatArray
    rows: IntArray
    weights: FloatArray
    l2: float

    @classmethod
    def of(cls, users: FloatArray, popularity: FloatArray, config: NCFConfig) -> "Setting":
        """Users [U, D + E] embeddings, whose mean is the start; popularity [I], events per item."""
        l2 = 2 * max(config.l2 * config.fold_in_l2, MIN_L2) * float(popularity.sum()) / len(users)
        return cls(users.mean(axis=0), *catalogue_sample(popularity, config.fold_in_items), l2)


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """One user's loss: item rows [m], the first n of them from the history; weights [m]: of the rows as candidates.

    likes: [n], the events' weights, negative for a disliked item; mass: the sum of those above 0.
    """

    rows: IntArray
    likes: FloatArray
    mass: float
    weights: FloatArray
    softmax: bool
    l2: float

    @classmethod
    def of(cls, history: tuple[IntArray, FloatArray], setting: Setting, config: NCFConfig) -> "Objective":
        """Of a history's item rows and weights, [n] each."""
        items, likes = history
        mass, n_items = float(np.maximum(likes, 0).sum()), float(setting.weights.sum())
        is_new = ~np.isin(setting.rows, items)
        others = setting.weights[is_new]
        own = np.ones(len(items))
        if config.loss == "bce":
            others = others * (config.n_negatives * mass / max(1.0, n_items - len(items)))
            own = np.abs(likes)
        return cls(
            np.concatenate([items, setting.rows[is_new]]),
            likes,
            mass,
            np.concatenate([own, others]).astype(np.float32),
            config.loss != "bce",
            setting.l2,
        )

    def hessian(self, weights: NCFWeights, gradients: FloatArray, curvature: FloatArray) -> FloatArray:
        """Gauss-Newton through the tower. gradients [m, D + W] by the projected user, curvature [m] -> [D + E, D + E].

        Summed over the items before it is taken to the user vector: one product less of all items.
        """
        scaled = gradients * np.sqrt(curvature)[:, None]
        projected: FloatArray = scaled.T @ scaled  # [D + W, D + W], half of a product, being symmetric
        if self.softmax and self.mass:
            mean = gradients.T @ curvature
            projected -= np.outer(mean, mean / self.mass)
        hessian = weights.by_user(weights.by_user(projected).T)
        np.einsum("dd->d", hessian)[:] += self.l2
        return hessian

    def evaluate(self, scores: FloatArray, user: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """The loss, its derivative by each score [m], and its second derivative [m].

        A liked item's log-likelihood counts by its weight; a disliked one adds |weight| times its score (softmax), or
        is a negative (bce). softmax: the Hessian is the diagonal returned here less a matrix of rank one, which the
        caller subtracts.
        """
        penalty, n = self.l2 / 2 * float(user @ user), len(self.likes)
        if self.softmax:
            highest = scores.max()
            probabilities = self.weights * np.exp(scores - highest)
            total = probabilities.sum()
            probabilities *= self.mass / total
            gradient = probabilities.copy()
            gradient[:n] -= self.likes
            value = self.mass * (highest + np.log(total)) - (self.likes * scores[:n]).sum()
            return float(value) + penalty, gradient, probabilities
        likely = expit(scores)
        gradient = self.weights * likely
        gradient[:n] -= np.maximum(self.likes, 0)
        losses = np.logaddexp(0, scores)
        losses[:n] -= scores[:n] * (self.likes > 0)
        return float(self.weights @ losses) + penalty, gradient, self.weights * likely * (1 - likely)


def minimise(
    weights: NCFWeights,
    items: FloatArray,
    objective: Objective,
    start: FloatArray,
    steps: int,
    first: tuple[float, FloatArray] | None = None,
) -> FloatArray:
    """The user vector after some Newton steps (Gauss-Newton through the tower). items [m, D + W] -> [D + E].

    first: the loss at the start and the first step, if known. A step that raises the loss is quartered.
    """
    user = best = start
    lowest, step = np.inf, np.zeros_like(start)
    if first is not None:
        lowest, step = first
        user, steps = best + step, steps - 1
    for left in range(steps, -1, -1):
        scores, outputs = weights.activations(weights.project_users(user[None])[0], items)
        value, gradient, curvature = objective.evaluate(scores, user)  # [m] each but the first
        if value <= lowest:
            best, lowest = user, value
            if not left:
                break
            gradients = weights.gradients(items, outputs)  # [m, D + W]
            by_user = weights.by_user(gradient @ gradients) + objective.l2 * user
            step = -np.linalg.solve(objective.hessian(weights, gradients, curvature), by_user)
            is_last = abs(float(by_user @ step)) < CONVERGED * abs(value)  # twice what the step gains
            if is_last and not weights.output.size:
                return np.asarray(user + step)
        else:
            step = step / 4
        user = best + step
    return best


@dataclass(frozen=True, slots=True, eq=False)
class AtStart:
    """The softmax over the catalogue's sample where all solves begin, which depends on no history.

    projected: [D + W], the projected start; represented: [I], how many items each one represents, 0 outside the sample;
    highest: the largest score; sums: of the sample's exp(score - highest), by weight.
    """

    projected: FloatArray
    represented: FloatArray
    highest: float
    sums: "Sums"

    @classmethod
    def of(cls, weights: NCFWeights, items: FloatArray, setting: Setting) -> "AtStart":
        """Of a model's projected items [I, D + W]."""
        projected = weights.project_users(setting.start[None])[0]
        represented = np.zeros(len(items), dtype=np.float32)
        represented[setting.rows] = setting.weights
        scores, gradients = _scores_and_gradients(weights, projected, items[setting.rows])
        highest = float(scores.max(initial=0))
        exponentials = setting.weights * np.exp(scores - highest)
        return cls(projected, represented, highest, Sums.of(exponentials, gradients))

    def step_of(
        self, weights: NCFWeights, history: tuple[IntArray, FloatArray], items: FloatArray, setting: Setting
    ) -> tuple[float, FloatArray]:
        """A history's loss at the start, and its first step [D + E]. See `steps_without_each`."""
        values, steps = self.steps_without_each(weights, history, items, setting, None)
        return float(values[0]), steps[0]

    def steps_without_each(
        self,
        weights: NCFWeights,
        history: tuple[IntArray, FloatArray],
        items: FloatArray,
        setting: Setting,
        events: IntArray | None,
    ) -> tuple[FloatArray, FloatArray]:
        """The losses at the start [E] and the first steps [E, D + E] of a history without each of some of its events.

        history: item rows and weights, [n] each; events: [E], indices into them, or None: of the whole history, E = 1.
        """
        rows, likes = history
        scores, gradients = _scores_and_gradients(weights, self.projected, items[rows])
        added = (1 - self.represented[rows]) * np.exp(scores - np.float32(self.highest))  # [n]
        sums = self.sums.plus(Sums.of(added, gradients))
        mass, pull, liked = np.maximum(likes, 0).sum()[None], (likes @ gradients)[None], (likes @ scores)[None]
        totals, means, squares = sums.total[None], sums.mean[None], sums.square[None]
        if events is not None:
            those, left = gradients[events], added[events, None]  # [E, D + E], [E, 1]
            mass = mass - np.maximum(likes[events], 0)
            pull, liked = pull - likes[events, None] * those, liked - likes[events] * scores[events]
            totals, means = totals - left[:, 0], means - left * those
            squares = squares - left[:, None] * those[:, :, None] * those[:, None]
        shares, means = (mass / totals)[:, None], means / totals[:, None]
        by_user = mass[:, None] * means - pull + setting.l2 * setting.start  # [E, D + E]
        hessians = shares[:, None] * squares - mass[:, None, None] * means[:, :, None] * means[:, None]
        np.einsum("edd->ed", hessians)[:] += setting.l2
        penalty = setting.l2 / 2 * (setting.start @ setting.start)
        values = mass * (self.highest + np.log(totals)) - liked + penalty
        return values, -np.linalg.solve(hessians, by_user[:, :, None])[:, :, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Over some items: total, of their exponentials; mean [d], of their gradients times these; square [d, d]."""

    total: FloatArray
    mean: FloatArray
    square: FloatArray

    @classmethod
    def of(cls, exponentials: FloatArray, gradients: FloatArray) -> "Sums":
        """Of exponentials [n], of either sign, and gradients by the user vector [n, d]."""
        scaled = gradients * exponentials[:, None]
        return cls(exponentials.sum(), exponentials @ gradients, scaled.T @ gradients)

    def plus(self, other: "Sums") -> "Sums":
        """The sum over the items of both."""
        return Sums(self.total + other.total, self.mean + other.mean, self.square + other.square)


def _scores_and_gradients(weights: NCFWeights, user: FloatArray, items: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scores [n], and their gradients by the user vector [n, D + E], of projected items [n, D + W]."""
    scores, outputs = weights.activations(user, items)
    return scores, weights.by_user(weights.gradients(items, outputs))

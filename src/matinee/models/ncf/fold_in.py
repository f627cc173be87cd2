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
    weights: NCFWeights, matrix: csr_array, items: FloatArray, setting: "Setting", config: NCFConfig
) -> FloatArray:
    """The user vectors that minimise the training loss of each history. [B, D + E], zero for an empty history.

    matrix [B, I], the weights of the events; items [I, D + W] projected. One user at a time, so that a batch equals its
    users one by one, bit for bit.
    """
    solved = np.zeros((matrix.shape[0], len(setting.start)), dtype=np.float32)
    for row in range(matrix.shape[0]):
        events = slice(matrix.indptr[row], matrix.indptr[row + 1])
        if len(matrix.indices[events]):
            objective = Objective.of((matrix.indices[events], matrix.data[events]), setting, config)
            solved[row] = minimise(weights, items[objective.rows], objective, setting.start, config.fold_in_steps)
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
        projected: FloatArray = gradients.T @ (gradients * curvature[:, None])  # [D + W, D + W]
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


def minimise(weights: NCFWeights, items: FloatArray, objective: Objective, start: FloatArray, steps: int) -> FloatArray:
    """The user vector after some Newton steps (Gauss-Newton through the tower). items [m, D + W] -> [D + E].

    A step that raises the loss is quartered.
    """
    user = best = start
    lowest, step = np.inf, np.zeros_like(start)
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

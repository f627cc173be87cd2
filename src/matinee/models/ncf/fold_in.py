"""From a history to a user's vector where pairs are scored by a network: Newton steps, all but that vector frozen."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from matinee.arrays import FloatArray, IntArray
from matinee.models.ncf.config import PairConfig
from matinee.models.ncf.inference import PairWeights, catalogue_sample

LEAST_RIDGE = 1e-3
"""So that a solve has one answer where training had no ridge."""


def solve_users(
    weights: PairWeights,
    matrix: csr_array,
    items: FloatArray,
    users: FloatArray,
    popularity: FloatArray,
    config: PairConfig,
) -> FloatArray:
    """The vectors that make each history likely: what training minimises, over the user's vector alone. [B, D + E].

    matrix [B, I] binary; items [I, D + W], their parts; users [U, D + E] as trained, at whose mean a solve begins;
    popularity [I], their events.
    User by user, so that a batch gives what its users give alone; who has no history stays zero.
    """
    found = np.zeros((matrix.shape[0], users.shape[1]), dtype=np.float32)
    first = users.mean(axis=0)
    ridge = 2 * max(config.l2 * config.fold_in_l2, LEAST_RIDGE) * float(popularity.sum()) / len(users)
    sample = catalogue_sample(popularity, config.fold_in_items)
    for row in range(matrix.shape[0]):
        own = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        if len(own):
            task = _Task.of(own, sample, config, ridge)
            found[row] = _solved(weights, items, task, first, config.fold_in_steps)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What one user's solve weighs: item rows [m], the first n_own of them in the history; how much each counts [m]."""

    rows: IntArray
    n_own: int
    worth: FloatArray
    softmax: bool
    ridge: float

    @classmethod
    def of(cls, own: IntArray, sample: tuple[IntArray, FloatArray], config: PairConfig, ridge: float) -> "_Task":
        """Of one history's items [n]; sample: rows and how many items each stands for, adding up to I."""
        n_own, n_items = len(own), float(sample[1].sum())
        left = ~np.isin(sample[0], own)
        others = sample[1][left]
        if config.loss == "bce":
            others = others * (config.n_negatives * n_own / max(1.0, n_items - n_own))
        return cls(
            np.concatenate([own, sample[0][left]]),
            n_own,
            np.concatenate([np.ones(n_own), others]).astype(np.float32),
            config.loss != "bce",
            ridge,
        )

    def loss(self, scores: FloatArray, user: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """The loss, its derivative by each score [m], and the curvature there [m] (softmax: less a rank of one)."""
        ridge = self.ridge / 2 * float(user @ user)
        if self.softmax:
            highest = scores.max()
            shares = self.worth * np.exp(scores - highest)
            total = shares.sum()
            shares *= self.n_own / total
            slope = shares.copy()
            slope[: self.n_own] -= 1
            value = self.n_own * (highest + np.log(total)) - scores[: self.n_own].sum()
            return float(value) + ridge, slope, shares
        likely = expit(scores)
        slope = self.worth * likely
        slope[: self.n_own] -= 1
        losses = np.logaddexp(0, scores)
        losses[: self.n_own] -= scores[: self.n_own]
        return float(self.worth @ losses) + ridge, slope, self.worth * likely * (1 - likely)


def _solved(weights: PairWeights, items: FloatArray, task: _Task, first: FloatArray, steps: int) -> FloatArray:
    """One user's vector after so many Newton steps, each quartered until it makes things better. [D + E]."""
    chosen = items[task.rows]  # [m, D + W]
    user = best = first
    least, step = np.inf, np.zeros_like(first)
    for _ in range(steps + 1):
        scores, slopes = weights.slopes(weights.user_parts(user[None])[0], chosen)  # [m], [m, D + E]
        value, slope, curvature = task.loss(scores, user)
        if value <= least:
            best, least = user, value
            bent = slopes.T @ (slopes * curvature[:, None])  # [D + E, D + E]
            if task.softmax:
                mean = slopes.T @ curvature
                bent -= np.outer(mean, mean) / task.n_own
            bent[np.diag_indices_from(bent)] += task.ridge
            step = -np.linalg.solve(bent, slopes.T @ slope + task.ridge * user)
        else:
            step = step / 4
        user = best + step
    return best

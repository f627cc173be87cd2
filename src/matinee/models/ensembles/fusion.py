"""How the scores of different models are made comparable, and how much each then weighs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from matinee.arrays import BoolArray, FloatArray, IntArray, starts_of

Fusion = Literal["z-score", "scores", "ranks"]
TIED = 1e-5
"""A deviation of no more than this part of the mean may be rounding: float32."""
MAX_STEPS = 200
"""Of L-BFGS; it takes 10 to 30."""


def normalised(scores: FloatArray, fusion: Fusion, constant: float) -> FloatArray:
    """One model's scores, comparable with others'. [B, I] -> [B, I], 0 for a user whose scores are all equal.

    z-score: mean 0 and standard deviation 1 over all items; scores: as they are, up to a constant of the user the
    log-softmax; ranks: constant / (constant + rank), ranks from 0, the same for equal scores.
    """
    if fusion == "z-score":
        return weighted_z_scores(scores, np.ones(len(scores), dtype=np.float32))
    differs = np.ptp(scores, axis=1, keepdims=True) > 0
    if fusion == "ranks":
        ranks = rankdata(-scores, method="min", axis=1) - 1
        return np.where(differs, constant / (constant + ranks), 0).astype(np.float32)
    return np.where(differs, scores, 0).astype(np.float32)


def weighted_z_scores(scores: FloatArray, weights: FloatArray) -> FloatArray:
    """As `normalised` by z-score, times a weight of each user [B]. [B, I] -> [B, I], a new array."""
    found, factors = centred(scores)
    found *= factors * weights[:, None]
    return found.astype(np.float32, copy=False)


def centred(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scores less their mean, and one over their deviation, 0 where all are equal. [B, I] -> [B, I], [B, 1]."""
    means = scores.mean(axis=1, keepdims=True)
    found = scores - means
    deviations_of = np.sqrt(np.vecdot(found, found) / max(1, scores.shape[1]))[:, None]
    differs = deviations_of > TIED * np.abs(means)
    unsure = np.flatnonzero(~differs)
    if len(unsure):
        differs[unsure] = (deviations_of[unsure] > 0) & (np.ptp(scores[unsure], axis=1, keepdims=True) > 0)
    factors: FloatArray = np.where(differs, 1 / np.where(differs, deviations_of, 1), 0).astype(scores.dtype)
    return found, factors


def z_scores_at(scores: FloatArray, columns: IntArray) -> FloatArray:
    """As `normalised` by z-score, of some columns alone: a pass over all scores less. [B, I], [k] -> [B, k]."""
    by_item, factors = centred(scores)
    found: FloatArray = by_item[:, columns] * factors
    return found.astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean [D] and covariance [D, D] of item vectors [I, D], from which those of any user's scores follow: float64."""

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, item_vectors: FloatArray) -> "Moments":
        """Of these item vectors."""
        mean = item_vectors.mean(axis=0, dtype=np.float64)
        away = item_vectors - mean
        return cls(mean, away.T @ away / max(1, len(away)))

    def z_scores(self, vectors: FloatArray, item_vectors: FloatArray) -> FloatArray | None:
        """Z-scores over all items of some of them [k, D], by user vectors [E, D] -> [E, k] float32.

        None where a deviation is so small that it may be rounding.
        """
        users = vectors.astype(np.float64)
        means = users @ self.mean
        deviations_of = np.sqrt(np.vecdot(users @ self.covariance, users).clip(0))
        if not (deviations_of > TIED * np.abs(means)).all():
            return None
        found: FloatArray = ((users @ item_vectors.T - means[:, None]) / deviations_of[:, None]).astype(np.float32)
        return found


def deviations(scores: FloatArray) -> FloatArray:
    """Standard deviation of each user's scores over all items, 1 where they are all equal. [B, I] -> [B]."""
    found = scores.std(axis=1)
    return np.where(found > 0, found, 1)


def fit_weights(
    features: FloatArray,
    owners: IntArray,
    is_target: BoolArray,
    n_users: int,
    l2: float,
    centre: FloatArray | None = None,
) -> FloatArray:
    """Weights of F features, at least 0, under which held-out items are likeliest among a user's candidates. [F].

    The mean over users of their targets' mean -log softmax(features · w), plus l2 |w - centre|² in units of the
    features' standard deviations: convex, with one minimum. features: [Q, F] by user; owners, is_target: [Q]. Users
    without a target among their candidates do not count; without any, the weights are `centre`, or equal.
    """
    n_features = features.shape[1]
    n_targets = np.bincount(owners[is_target], minlength=n_users)
    taught = n_targets[owners] > 0
    centre = np.zeros(n_features) if centre is None else centre
    if not taught.any():
        return centre if centre.any() else np.full(n_features, 1 / n_features)
    owners, is_target, known = owners[taught], is_target[taught], features[taught].astype(np.float64)
    scales = known.std(axis=0)
    scales = np.where(scales > 0, scales, 1)
    loss = _Loss(known / scales, owners, is_target, n_targets, l2, centre * scales)
    bounds = [(0, None)] * n_features
    start = np.maximum(centre * scales, 1 / n_features)
    solved = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MAX_STEPS})
    weights: FloatArray = solved.x / scales
    return weights if weights.any() else np.full(n_features, 1 / n_features)


class _Loss:
    """The loss of `fit_weights` and its gradient."""

    def __init__(
        self,
        features: FloatArray,
        owners: IntArray,
        is_target: BoolArray,
        n_targets: IntArray,
        l2: float,
        centre: FloatArray,
    ) -> None:
        self._features, self._l2, self._centre = features, l2, centre
        users = np.unique(owners)
        self._owners = np.searchsorted(users, owners)
        self._starts = starts_of(self._owners, len(users))[:-1]
        self._n = len(users)
        self._wanted = (is_target / n_targets[owners]) @ features / self._n

    def __call__(self, weights: FloatArray) -> tuple[float, FloatArray]:
        scores = self._features @ weights
        largest = np.maximum.reduceat(scores, self._starts)
        terms = np.exp(scores - largest[self._owners])
        sums = np.add.reduceat(terms, self._starts)
        expected = (terms / sums[self._owners]) @ self._features / self._n
        away = weights - self._centre
        loss = float((largest + np.log(sums)).mean() - self._wanted @ weights + self._l2 * away @ away)
        return loss, expected - self._wanted + 2 * self._l2 * away

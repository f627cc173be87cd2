"""From a history to a user vector without steps: a ridge regression on the mean of its item vectors."""

import numpy as np

from matinee.arrays import FloatArray
from matinee.models.regression import best_strength, ridge_regression

STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-10, 3))
"""Of the ridge, relative to the squares of the means. The best by leaving each user out is taken."""


def fit_projection(means: FloatArray, users: FloatArray, scale: float) -> FloatArray:
    """The affine map from mean item vectors [U, D] to the users' embeddings [U, E]: [D + 1, E], the constant last.

    scale: factor on what is learned about a user, who is the mean of all with 0.

    A user far from the others counts less, by 1 / (1 + (distance from the median / median distance)²): training leaves
    a few users ten times as far out as the rest, whose squares would decide alone.
    """
    if not len(users):
        return np.zeros((means.shape[1] + 1, users.shape[1]), dtype=np.float32)
    means, users = means.astype(np.float64), users.astype(np.float64)
    distances = np.linalg.norm(users - np.median(users, axis=0), axis=1)
    middle = float(np.median(distances))
    weights = 1 / (1 + (distances / middle) ** 2) if middle > 0 else np.ones(len(users))
    weights /= weights.sum()
    centre, target = weights @ means, weights @ users
    roots = np.sqrt(weights)[:, None]
    inputs, targets = roots * (means - centre), roots * (users - target)
    projection = scale * ridge_regression(inputs, targets, best_strength(inputs, targets, STRENGTHS))
    return np.concatenate([projection, (target - centre @ projection)[None]]).astype(np.float32)

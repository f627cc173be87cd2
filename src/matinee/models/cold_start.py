"""Scores where a model knows nothing: items without events, users without a history."""

import numpy as np

from matinee.arrays import FloatArray


def fill_cold_scores(scores: FloatArray, state: FloatArray, popularity: FloatArray) -> FloatArray:
    """Scores [B, I] in place: items without events last, users without a vector by popularity (scaled to 1)."""
    isolated = np.flatnonzero(popularity == 0)
    if len(isolated) < len(popularity):
        scores[:, isolated] = scores.min(axis=1, keepdims=True)
    cold = ~state.any(axis=1)
    scores[cold] = popularity / max(float(popularity.max(initial=0)), 1.0)
    return scores

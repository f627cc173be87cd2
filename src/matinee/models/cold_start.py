"""Scores for cold items (no training events) and cold users (no history)."""

import numpy as np

from matinee.arrays import FloatArray


def fill_cold_scores(scores: FloatArray, state: FloatArray, popularity: FloatArray) -> FloatArray:
    """Rank cold items last, and give users whose state is zero the popularity divided by its maximum.

    Overwrites scores [B, I]; state [B, D], popularity [I].
    """
    cold_items = np.flatnonzero(popularity == 0)
    if len(cold_items) < len(popularity):
        scores[:, cold_items] = scores.min(axis=1, keepdims=True)
    cold_users = ~state.any(axis=1)
    scores[cold_users] = popularity / max(float(popularity.max(initial=0)), 1.0)
    return scores

"""Lookup of users whose vectors were learned and stored, for models with `user_state = "stored"`."""

import numpy as np

from matinee.arrays import BoolArray, IntArray


def find_stored_users(stored_rows: IntArray, user_rows: IntArray, user_state: str) -> tuple[IntArray, BoolArray]:
    """Index of each user among the stored ones, and whether the user is stored: (indices [B], is stored [B]).

    stored_rows [U], ascending; user_rows [B]. Nobody is found with user_state = "history"; UNKNOWN is never found.
    """
    if len(stored_rows) == 0 or user_state == "history":
        return np.zeros(len(user_rows), dtype=np.int64), np.zeros(len(user_rows), dtype=bool)
    indices = np.minimum(np.searchsorted(stored_rows, user_rows), len(stored_rows) - 1)
    return indices, (stored_rows[indices] == user_rows) & (user_rows >= 0)

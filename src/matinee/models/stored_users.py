"""Users whose vectors were learned and stored: where they stand among those asked for."""

import numpy as np

from matinee.arrays import BoolArray, IntArray


def find_stored_users(rows: IntArray, wanted: IntArray, user_state: str) -> tuple[IntArray, BoolArray]:
    """Where wanted user rows stand among stored ones, and whether they do; nowhere with user_state = "history".

    rows [U] ascending; wanted [B] -> [B], [B]. UNKNOWN is never found.
    """
    if len(rows) == 0 or user_state == "history":
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return places, (rows[places] == wanted) & (wanted >= 0)

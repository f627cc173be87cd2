"""Sessions: stretches of one user's history without a long pause."""

import numpy as np

from matinee.arrays import BoolArray
from matinee.dataset import Events

HOUR = 3600
"""Seconds."""


def session_starts(events: Events, gap: int = HOUR) -> BoolArray:
    """Which events begin a session: a user's first, and each one more than `gap` seconds after the one before. [N]."""
    starts = np.ones(len(events), dtype=bool)
    another = events.user_rows[1:] != events.user_rows[:-1]
    starts[1:] = another | (np.diff(events.times) > gap)
    return starts

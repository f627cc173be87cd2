"""What one visitor did."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import IntArray
from matinee.histories import Histories
from matinee.store.protocols import LiveEvent


@dataclass(frozen=True, slots=True, eq=False)
class VisitorState:
    """What a visitor did.

    history: B = 1, without items that came after training; watched: the last event by item row, newest first;
    dismissed: [D] item rows.
    """

    user_id: str | None
    history: Histories
    watched: dict[int, LiveEvent]
    dismissed: IntArray

    @property
    def unlisted(self) -> IntArray:
        """Item rows that are in no list beside those of the history: dismissed, or watched and new since training."""
        new = self.watched.keys() - set(self.history.items.tolist())
        if not new:
            return self.dismissed
        return np.union1d(self.dismissed, np.array(list(new), dtype=np.int32)).astype(np.int32)

    @property
    def excluded(self) -> set[int]:
        """Item rows that are not recommended."""
        return {*self.watched, *self.dismissed.tolist()}

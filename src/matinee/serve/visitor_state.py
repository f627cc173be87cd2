"""What one visitor did."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.config import Rerank
from matinee.histories import Histories
from matinee.store.protocols import LiveEvent

MOST_MADE, LONGEST_KEPT = 8, 30
"""Lists and other things that are kept of one state; items in a list that is."""
PLAIN = Rerank()
"""Changes nothing."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class VisitorState:
    """What a visitor did.

    history: B = 1, without items that came after training; watched: the last event by item row, newest first;
    dismissed: [D] item rows; made: what was computed from the state, shared by all requests until it changes.
    """

    user_id: str | None
    history: Histories
    watched: dict[int, LiveEvent]
    dismissed: IntArray
    made: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """What depends on the state alone, made on the first call. what: names it, with all that it depends on else."""
        found: T | None = self.made.get(what)
        if found is None:
            found = make()
            if len(self.made) >= MOST_MADE:
                self.made.clear()
            self.made[what] = found
        return found

    def with_history(self, history: Histories) -> "VisitorState":
        """The state with another history, of which nothing was computed yet."""
        return VisitorState(self.user_id, history, self.watched, self.dismissed)

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


def is_kept(k: int, rerank: Rerank | None, allowed: BoolArray | None) -> bool:
    """Whether a list depends on the visitor's state alone, and is short enough to be kept until that changes."""
    return k <= LONGEST_KEPT and allowed is None and rerank in (None, PLAIN)

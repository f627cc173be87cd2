"""What one visitor did."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.config import Rerank
from matinee.histories import Histories
from matinee.store.protocols import Activity, LiveEvent
from matinee.vocab import UNKNOWN

MOST_MADE, LONGEST_KEPT = 8, 30
"""Lists and other things that are kept of one state; items in a list that is."""
MOST_HISTORY = 1_000
"""Items of a history that a list is made from, the newest; what a model does with more costs more (decision 077)."""
PLAIN = Rerank()
"""Changes nothing."""
T = TypeVar("T")


NOTHING = Activity(Histories.of([[]]), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), tuple)


@dataclass(frozen=True, slots=True, eq=False)
class VisitorState:
    """What a visitor did.

    history: B = 1, what lists are made from: of items of the training log, the newest MOST_HISTORY; activity: all that
    is known; made: what was computed from the state, shared by all requests until it changes.
    """

    user_id: str | None
    history: Histories
    activity: Activity = NOTHING
    made: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, user_id: str, activity: Activity, n_trained: int) -> "VisitorState":
        """The state of a user. n_trained: items of the training log, the first ones."""
        history, is_used = activity.history, activity.history.items < n_trained
        if len(history.items) > MOST_HISTORY:
            is_used &= np.cumsum(is_used[::-1])[::-1] <= MOST_HISTORY
        return cls(user_id, history if is_used.all() else history.keep(is_used), activity, activity.made)

    @property
    def watched(self) -> dict[int, LiveEvent]:
        """The last event by item row, newest first."""
        return self.activity.watched

    @property
    def dismissed(self) -> IntArray:
        """[D] item rows."""
        return self.activity.dismissed

    @property
    def saved(self) -> IntArray:
        """[S] item rows that are kept for later, the newest first."""
        return self.activity.saved

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """What depends on the state alone, made on the first call. what: names it, with all that it depends on else."""
        found: T | None = self.made.get(what)
        if found is None:
            found = make()
            if len(self.made) >= MOST_MADE:
                self.made.clear()
            self.made[what] = found
        return found

    @property
    def for_later(self) -> list[int]:
        """Item rows that are kept for later and were not watched since, the newest first."""
        return [row for row in self.saved.tolist() if row not in self.watched]

    def with_history(self, history: Histories) -> "VisitorState":
        """The state with another history, of which nothing was computed yet."""
        return VisitorState(self.user_id, history, self.activity)

    @property
    def unlisted(self) -> IntArray:
        """Item rows that are in no list beside those of the history: dismissed, or watched and new since training."""
        rows = self.activity.rows
        if not len(rows) or (self.history is self.activity.history and len(rows) == len(self.history.items)):
            return self.dismissed
        others = np.setdiff1d(rows[rows != UNKNOWN], self.history.items)
        return np.union1d(self.dismissed, others).astype(np.int32) if len(others) else self.dismissed

    @property
    def excluded(self) -> set[int]:
        """Item rows that are not recommended."""
        return {*self.watched, *self.dismissed.tolist()}


def is_kept(k: int, rerank: Rerank | None, allowed: BoolArray | None) -> bool:
    """Whether a list depends on the visitor's state alone, and is short enough to be kept until that changes."""
    return k <= LONGEST_KEPT and allowed is None and rerank in (None, PLAIN)

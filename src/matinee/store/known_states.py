"""States of users that were read before, kept as long as their events are the same."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matinee.store.live_states import Row
from matinee.store.protocols import Activity

MOST_EVENTS = 40_000
"""Of all kept states together: 10 MB, and about 40 MB of what is made from them."""
LEAST_EVENTS = 30
"""A state counts as so many events at least: there are 1,300 at most."""

Mark = tuple[Any, ...]
"""What tells whether the events of a user changed since, as `live_states.MARK` reads it."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownState:
    """A state, the rows that it was made from, oldest first, and the mark that was read before them.

    If events came between mark and rows, the next mark is another one.
    """

    mark: Mark
    rows: Sequence[Row]
    state: Activity

    @property
    def size(self) -> int:
        """As how many events it counts."""
        return max(LEAST_EVENTS, len(self.rows))


class KnownStates:
    """The states of the users that were read last."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, KnownState] = OrderedDict()
        self._n_events = 0
        self._lock = threading.Lock()

    def get(self, user_id: str) -> KnownState | None:
        """What is known of a user."""
        with self._lock:
            found = self._states.get(user_id)
            if found is not None:
                self._states.move_to_end(user_id)
            return found

    def put(self, user_id: str, known: KnownState) -> None:
        """Keep a state, in the place of the one before."""
        with self._lock:
            before = self._states.pop(user_id, None)
            self._n_events += known.size - (before.size if before else 0)
            self._states[user_id] = known
            while self._n_events > MOST_EVENTS:
                self._n_events -= self._states.popitem(last=False)[1].size

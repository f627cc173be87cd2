"""States of users that were read before, kept as long as their events are the same."""

import threading
from collections import OrderedDict
from typing import Any

from sqlalchemy import Row

from matinee.store.protocols import Activity

MOST_EVENTS = 40_000
"""Of all kept states together: 10 MB, and about 40 MB of what is made from them."""
LEAST_EVENTS = 30
"""A state counts as so many events at least: there are 1,300 at most."""

Mark = Row[Any]
"""What tells whether the events of a user changed since: their number, the highest and the sum of their numbers."""


class KnownStates:
    """The states of the users that were read last, each under the mark of the events that it was read from."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[Mark, Activity, int]] = OrderedDict()
        self._n_events = 0
        self._lock = threading.Lock()

    def get(self, user_id: str, mark: Mark) -> Activity | None:
        """The state of a user whose events have this mark; None if it is not known."""
        with self._lock:
            found = self._states.get(user_id)
            if found is None or found[0] != mark:
                return None
            self._states.move_to_end(user_id)
            return found[1]

    def put(self, user_id: str, mark: Mark, state: Activity) -> None:
        """Keep a state that was read after its mark was: if events came between, the next mark is another one."""
        size = max(LEAST_EVENTS, len(state.recent))
        with self._lock:
            self._n_events += size - self._states.pop(user_id, (None, None, 0))[2]
            self._states[user_id] = mark, state, size
            while self._n_events > MOST_EVENTS:
                self._n_events -= self._states.popitem(last=False)[1][2]

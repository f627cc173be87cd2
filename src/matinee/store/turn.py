"""Whose turn it is to write: one writer of a process at a time, and bounds on how many wait and for how long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from matinee.store.protocols import NotKept

WAIT_SECONDS = 5
"""How long a writer waits for the others of its process."""
STALL_SECONDS = 1
"""A turn that lasts longer is stuck: on a lock of another process, or on a disk that does not answer."""
MOST_WHILE_STUCK = 8
"""Writers that wait for a stuck one; more would take the threads that serve pages."""


class WriteTurn:
    """A lock that refuses a writer, with NotKept, instead of letting it wait for long."""

    def __init__(self) -> None:
        self._lock, self._counts = threading.Lock(), threading.Lock()
        self._waiting = 0
        self._since: float | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn and have it. Raises NotKept if it does not come in time."""
        if not (self._lock.acquire(blocking=False) or self._wait()):
            raise NotKept("the database is busy with another write")
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None
            self._lock.release()

    @property
    def is_free(self) -> bool:
        """Whether nobody has the turn now."""
        return not self._lock.locked()

    def _wait(self) -> bool:
        with self._counts:
            since = self._since
            if self._waiting >= MOST_WHILE_STUCK and since is not None and time.monotonic() - since > STALL_SECONDS:
                return False
            self._waiting += 1
        try:
            return self._lock.acquire(timeout=WAIT_SECONDS)
        finally:
            with self._counts:
                self._waiting -= 1

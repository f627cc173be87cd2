"""Deleting guests who have done nothing for a long time, a few at a time."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from matinee.errors import MatineeError
from matinee.serve import logs
from matinee.store.protocols import AccountBook

DAY = 86_400
BATCH, PAUSE_SECONDS, EVERY_SECONDS = 20, 0.5, 3600
"""Guests deleted at a time, the rest for other writers between two batches, and how often it is looked for more."""
_log = logging.getLogger("matinee")


class GuestRetention:
    """Deletes guests without an event for `days`, in a thread of its own, while it is used as a context.

    clock: UTC seconds.
    """

    def __init__(self, book: AccountBook, clock: Callable[[], float], days: int) -> None:
        self._book, self._clock, self._days = book, clock, days
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="guest retention", daemon=True)

    def __enter__(self) -> "GuestRetention":
        if self._days:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def delete(self) -> int:
        """Delete all that are due now. Returns how many."""
        before, n_deleted = int(self._clock()) - self._days * DAY, 0
        while not self._stop.is_set() and (batch := self._book.idle_guests(before, BATCH)):
            for user_id in batch:  # each in a transaction of its own
                self._book.forget(user_id)
                logs.note("guest_deleted", user_id=user_id, reason=f"no event for {self._days} days")
            n_deleted += len(batch)
            self._stop.wait(PAUSE_SECONDS)
        return n_deleted

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self.delete()
            except (SQLAlchemyError, MatineeError) as error:  # tried again in an hour
                _log.warning("guests are not deleted: %s", type(error).__name__)
            self._stop.wait(EVERY_SECONDS)

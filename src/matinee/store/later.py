"""Rows that are written when there is time: nobody waits for them, and the oldest go first."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DataError, IntegrityError

from matinee.store.protocols import NotKept

MOST_WAITING = 10_000
"""Rows in memory; those beyond are dropped and counted."""
MOST_AT_ONCE = 1000
GATHER_SECONDS = 0.2
"""How long rows are gathered for one transaction."""
RETRY_SECONDS = 1.0

Row = dict[str, Any]


class LaterWrites:
    """Best effort: rows are lost if the process is killed, and dropped if the database refuses them for too long.

    flush: begins a transaction, in which `write_to` is called, and ends it with `written`. dropped: how many rows were
    never written.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._rows: deque[tuple[Executable, Row]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, statement: Executable, rows: Sequence[Row]) -> None:
        """Write rows with a statement soon, in the order of the calls. Never waits, never fails."""
        with self._changed:
            was_empty = not self._rows
            free = 0 if self._is_closed else MOST_WAITING - len(self._rows)
            self.dropped += max(0, len(rows) - free)
            self._rows.extend((statement, row) for row in rows[: max(0, free)])
            if self._thread is None and self._rows:
                self._thread = threading.Thread(target=self._run, name="later writes", daemon=True)
                self._thread.start()
            if was_empty:  # otherwise the thread knows
                self._changed.notify_all()

    def find(self, name: str, value: object) -> Row | None:
        """A row that is not written yet, by one of its columns."""
        with self._changed:
            return next((row for _, row in self._rows if row.get(name) == value), None)

    def write_to(self, connection: Connection) -> int:
        """Write the oldest rows in a transaction, and return their number, for `written` after its end."""
        with self._changed:
            taken = list(islice(self._rows, MOST_AT_ONCE))
        for _, group in groupby(taken, key=lambda each: id(each[0])):
            part = list(group)
            try:
                with connection.begin_nested():
                    connection.execute(part[0][0], [row for _, row in part])
            except (IntegrityError, DataError):  # a row that the table refuses would be refused for ever
                self.dropped += len(part)
        return len(taken)

    def written(self, n: int) -> None:
        """The transaction with the n oldest rows is committed."""
        with self._changed:
            for _ in range(n):
                self._rows.popleft()
            self._changed.notify_all()

    def close(self) -> None:
        """Write what is left, once, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._rows or self._is_closed)
                if not self._is_closed:
                    self._changed.wait_for(lambda: self._is_closed, timeout=GATHER_SECONDS)
                is_last = self._is_closed
            was_kept = self._try()
            if is_last and (not was_kept or not self._rows):
                self.dropped += len(self._rows)
                return
            if not was_kept:
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closed, timeout=RETRY_SECONDS)

    def _try(self) -> bool:
        try:
            if self._rows:
                self._flush()
        except NotKept:
            return False
        return True

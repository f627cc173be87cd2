"""Group commit: events that arrive while others are synced to the disk are written together, with one sync for all."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from matinee.store.append import Batch, append_batches
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent, NotKept

MOST_EVENTS = 5000
"""Events in one transaction, but for a single batch that is larger."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """A batch whose sender waits for it."""

    batch: Batch
    is_done: threading.Event = field(default_factory=threading.Event)
    outcome: int | Exception = 0

    def resolve(self, outcome: int | Exception) -> None:
        self.outcome = outcome
        self.is_done.set()


class GroupCommit:
    """Appends batches of events, each whole or not at all.

    The writer that has the turn takes the batches of all that wait, once its transaction has begun; the others find
    theirs written when their turn comes.
    """

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        self._mutex = threading.Lock()
        self._waiting: list[_Ticket] = []

    def append(self, events: Sequence[LiveEvent], repeat_after: int = 0) -> int:
        """See EventLog."""
        (outcome,) = self.append_all([Batch(events, repeat_after)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def append_all(self, batches: Sequence[Batch]) -> list[int | Exception]:
        """Append each batch, in a transaction with all that wait. Of each: the number written, or why it was not."""
        tickets = [_Ticket(batch) for batch in batches]
        with self._mutex:
            self._waiting += tickets
        try:
            with self._database.turn.taken():
                while not all(ticket.is_done.is_set() for ticket in tickets):
                    self._write_group()
        except NotKept as error:
            for ticket in tickets:
                if self._withdraw(ticket):
                    ticket.resolve(error)
            for ticket in tickets:
                ticket.is_done.wait()  # another writer has it in its transaction
        return [ticket.outcome for ticket in tickets]

    def _write_group(self) -> None:
        """One transaction; one for each batch if one of them cannot be written. Raises NotKept if none is taken."""
        group: list[_Ticket] = []
        try:
            with self._database.transaction() as connection:
                group = self._take()
                outcomes = append_batches(connection, [ticket.batch for ticket in group])
        except Exception as error:
            if not group:
                raise
            if isinstance(error, NotKept) or len(group) == 1:
                for ticket in group:
                    ticket.resolve(NotKept(error.reason) if isinstance(error, NotKept) else error)
            else:
                for ticket in group:
                    self._write_alone(ticket)
        else:
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.resolve(outcome)
        finally:
            for ticket in group:  # whatever ended this thread, the others do not wait for ever
                if not ticket.is_done.is_set():
                    ticket.resolve(NotKept("the write was interrupted"))

    def _write_alone(self, ticket: _Ticket) -> None:
        try:
            with self._database.transaction() as connection:
                (outcome,) = append_batches(connection, [ticket.batch])
        except Exception as error:  # raised again in the thread that waits for it
            ticket.resolve(error)
        else:
            ticket.resolve(outcome)

    def _take(self) -> list[_Ticket]:
        with self._mutex:
            n, n_events = 0, 0
            for ticket in self._waiting:
                n_events += len(ticket.batch.events)
                if n and n_events > MOST_EVENTS:
                    break
                n += 1
            taken, self._waiting = self._waiting[:n], self._waiting[n:]
        return taken

    def _withdraw(self, ticket: _Ticket) -> bool:
        """Take a batch back; False if it is being written."""
        with self._mutex:
            if ticket not in self._waiting:
                return False
            self._waiting.remove(ticket)
            return True

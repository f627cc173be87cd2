"""What the site asks of a store: an event log that can forget, and a book of visitors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from matinee.histories import END_OF_TIME, HistorySource, Instant, UserId
from matinee.vocab import Id

Kind = Literal["rating", "watched", "click"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One thing a user did.

    value: the rating, else 1; at: UTC seconds; event_id: the sender's own name for it, so that sending it twice
    is safe; model, list_id, position (from 1): the list it was done on, where there was one.
    """

    user_id: UserId
    item_id: Id
    kind: Kind
    value: float
    at: Instant
    event_id: str | None = None
    model: str | None = None
    list_id: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a log holds."""

    events: int
    users: int


class EventLog(HistorySource, Protocol):
    """A history source that is written to while it is read."""

    def append(self, events: Sequence[LiveEvent]) -> int:
        """Write all events or none; one whose (user_id, event_id) is there already is skipped. How many were new."""
        ...

    def remove(self, user_id: UserId, item_id: Id | None = None) -> int:
        """Delete what a user did with an item, or all of it; nothing of it counts afterwards. How many went."""
        ...

    def recent(self, user_id: UserId, limit: int = 1000, *, before: Instant = END_OF_TIME) -> list[LiveEvent]:
        """A user's last event with each item, newest first, at most `limit` items."""
        ...

    def counts(self) -> Counts:
        """Events and users in all."""
        ...


class VisitorBook(Protocol):
    """Which session belongs to whom. Only a hash of the session's token is kept."""

    def add(self, token_hash: str, user_id: UserId, at: Instant) -> None:
        """Note a new visitor."""
        ...

    def find(self, token_hash: str) -> str | None:
        """The user id behind a session, None where there is none."""
        ...

    def forget(self, user_id: UserId) -> int:
        """Delete a visitor's sessions. How many went."""
        ...

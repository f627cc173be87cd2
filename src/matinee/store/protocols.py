"""What the site asks of a store: an event log that can forget, and a book of members and guests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from matinee.arrays import IntArray
from matinee.histories import END_OF_TIME, Histories, HistorySource, Instant, UserId
from matinee.vocab import Id

Kind = Literal["rating", "watched", "click", "dismissed", "restored"]
"""dismissed: not interested; restored: its undo. History is ratings and watches; clicks where the data are clicks."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One thing a user did.

    value: the rating, else 1; at: UTC seconds; event_id: the sender's own name for it, so that sending it twice
    is safe; model, list_id, position (from 1), version (of the model's artefact): the list it was done on, where there
    was one.
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
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list that was shown to someone. name: of its place on the page; version: of the model's artefact."""

    list_id: str
    user_id: UserId
    name: str
    model: str
    version: str
    at: Instant
    item_ids: tuple[Id, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """What a user did, at a glance.

    history: of one user (B = 1); recent: the last event with each item of it, newest first; dismissed: [D] item rows
    that the user is not interested in.
    """

    history: Histories
    recent: tuple[LiveEvent, ...]
    dismissed: IntArray


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a log holds."""

    events: int
    users: int


class EventLog(HistorySource, Protocol):
    """A history source that is written to while it is read."""

    def append(self, events: Sequence[LiveEvent], *, repeat_after: int = 0) -> int:
        """Write all events or none; one whose (user_id, event_id) is there already is skipped. How many were new.

        repeat_after: seconds within which an event that says of its item what the user's last one said is skipped too.
        """
        ...

    def activity(self, user_id: UserId) -> Activity:
        """What a user did, in one query."""
        ...

    def remove(self, user_id: UserId, item_id: Id | None = None) -> int:
        """Delete what a user did with an item, or all of it; nothing of it counts afterwards. How many went.

        All of it includes the lists that they were shown.
        """
        ...

    def recent(self, user_id: UserId, limit: int = 1000, *, before: Instant = END_OF_TIME) -> list[LiveEvent]:
        """A user's last event with each item, newest first, at most `limit` items."""
        ...

    def counts(self) -> Counts:
        """Events and users in all."""
        ...

    def watched_since(self, since: Instant, least: int) -> list[tuple[str, int]]:
        """Item ids that at least so many people watched or rated since a moment, with how many; most first."""
        ...


class ListLog(Protocol):
    """Which lists were shown to whom."""

    def write(self, lists: Sequence[ShownList]) -> None:
        """Write lists, all or none. Their list_ids are new: random, and never given out twice."""
        ...

    def find(self, list_id: str) -> ShownList | None:
        """A list that was shown, None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a session is. name, session_id: a member's, None for a guest; seen: last used, or since when a guest's."""

    user_id: str
    name: str | None
    session_id: str | None
    seen: Instant


@dataclass(frozen=True, slots=True)
class Member:
    """Someone with a name and a password. password: argon2's encoded hash; changed: when it was last set."""

    user_id: str
    name: str
    password: str = field(repr=False)
    created: Instant
    changed: Instant


@dataclass(frozen=True, slots=True)
class Session:
    """A member's stay on one device.

    session_id: names it to its owner and opens nothing; token_hash: of what opens it, never read back.
    """

    user_id: str
    session_id: str
    device: str
    created: Instant
    seen: Instant
    token_hash: str = field(default="", repr=False)


class AccountBook(Protocol):
    """Members, sessions and guests. Only a hash of a session's token is kept."""

    def who(self, token_hash: str) -> Identity | None:
        """Whose a session is, None where there is none; one query."""
        ...

    def open_guest(self, token_hash: str, user_id: UserId, at: Instant) -> str:
        """Note a new guest. The user id behind the token: another one if the token is someone's already."""
        ...

    def was_moved(self, token_hash: str, since: Instant) -> bool:
        """Whether the token was a guest's who became a member at that moment or later."""
        ...

    def member_named(self, name_key: str) -> Member | None:
        """The member with this name, as `name_key` writes it."""
        ...

    def member(self, user_id: UserId) -> Member | None:
        """The member with this user id."""
        ...

    def add_member(self, member: Member, name_key: str, session: Session, guest_hash: str | None) -> bool:
        """Write a new member with a session, and give them the events of the guest behind a token; all or nothing.

        False if the name is taken.
        """
        ...

    def open_session(self, session: Session, guest_hash: str | None, expired: Instant) -> None:
        """Write a member's session, give them the events of the guest behind a token; drop sessions not seen since."""
        ...

    def touch(self, session_id: str, at: Instant) -> None:
        """Note that a session is in use."""
        ...

    def sessions(self, user_id: UserId) -> list[Session]:
        """A member's sessions, the last used first; without their hashes."""
        ...

    def close_sessions(self, user_id: UserId, *, only: str | None = None, but: str | None = None) -> int:
        """End a member's sessions: all, only one, or all but one, by session_id. How many."""
        ...

    def set_password(self, user_id: UserId, password: str, at: Instant | None = None) -> None:
        """Write a new hash; at: when the member changed it, None where only the hash is made anew."""
        ...

    def forget(self, user_id: UserId) -> int:
        """Delete a guest or member: events, lists, sessions, name and password. How many events went."""
        ...

    def everything(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """Every event that is kept of a user with all its columns, in the order they came in."""
        ...

    def lists(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """Every list that a user was shown, oldest first."""
        ...

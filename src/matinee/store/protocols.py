"""Interfaces of the stores behind the site: event log, impression log and accounts."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from matinee.arrays import IntArray
from matinee.errors import MatineeError
from matinee.histories import END_OF_TIME, Histories, HistorySource, Instant, UserId
from matinee.vocab import UNKNOWN, Id

Kind = str
"""One of KINDS, or a kind of the data's own, such as `purchase`."""
KINDS: tuple[Kind, ...] = ("rating", "watched", "more", "less", "click", "dismissed", "restored", "saved", "unsaved")
"""more, less: "like this"; dismissed: "not interested"; saved: "for later"; restored, unsaved: their undo. History:
all but FLAGS, and clicks only if the data are clicks."""
FLAG_PAIRS: tuple[tuple[Kind, Kind], ...] = (("dismissed", "restored"), ("saved", "unsaved"))
"""A flag and its undo: of each pair only the last on an item counts, and none is history."""
FLAGS: tuple[Kind, ...] = tuple(kind for pair in FLAG_PAIRS for kind in pair)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of a user on the site.

    value: the rating, otherwise 1; at: UTC seconds; event_id: an id by the sender, which makes resending safe;
    model, list_id, position (from 1), version (of the model's artefact): the list from which it came, if any;
    is_stamped: whether `at` is the site's own clock, so that the order is that of arrival.
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
    is_stamped: bool = False


class NotKept(MatineeError):
    """A write that was refused: nothing of it is in the database. reason: why, in words without paths or values."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this was not kept: {reason}; send it again later")
        self.reason = reason


class DatabaseGone(MatineeError):
    """The database cannot be used any more: its file was deleted or replaced, or belongs to another catalogue."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; put it back, or start the site again")


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """Whether a database can be read and written now; why: a sentence for each that it cannot."""

    is_readable: bool
    is_writable: bool
    why: tuple[str, ...] = ()


class EventConflict(MatineeError):
    """An event_id that was sent before with other content. position: in its batch, from 0; names: what differs."""

    def __init__(self, event_id: str, position: int, names: Sequence[str]) -> None:
        super().__init__(
            f"event {position}: the event_id {event_id!r} is that of an event with another {', '.join(names)}; nothing "
            "of the request is kept: give each event an event_id of its own"
        )
        self.event_id, self.position, self.names = event_id, position, tuple(names)


BOTH = "+"
"""Between the two models of an interleaved list."""


@dataclass(frozen=True, slots=True)
class ListImpression:
    """The impressions of one list shown to a user. name: the list on the page; version: of the model's artefact.

    experiment: the name of the one that the list is part of, if any; arm: the model of the visitor's arm, or of an
    interleaved list the letters of the models that picked its items (`abba...`). model and version of an interleaved
    list are those of both models, joined by BOTH.
    """

    list_id: str
    user_id: UserId
    name: str
    model: str
    version: str
    at: Instant
    item_ids: tuple[Id, ...]
    experiment: str | None = None
    arm: str | None = None

    def maker_of(self, position: int) -> tuple[str, str]:
        """The model that put an item at a position, from 1, and its version."""
        models, versions = self.model.split(BOTH), self.version.split(BOTH)
        if len(models) == 1 or not self.arm:
            return self.model, self.version
        side = "ab".index(self.arm[position - 1])
        return models[side], versions[side]


@dataclass(frozen=True, eq=False)
class Activity:
    """A user's current state, the same object as long as nothing of it changes.

    history: of one user (B = 1); rows: the item rows of `recent`, UNKNOWN for others than the log's items; dismissed:
    [D], item rows marked "not interested"; read_recent: makes `recent`; saved: [S], item rows marked "for later", the
    newest first; made: what was computed from the state, by what it is.
    """

    history: Histories
    rows: IntArray
    dismissed: IntArray
    read_recent: Callable[[], tuple[LiveEvent, ...]]
    saved: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    made: dict[Hashable, Any] = field(default_factory=dict)

    @cached_property
    def recent(self) -> tuple[LiveEvent, ...]:
        """The last event with each of the user's items, newest first. Lists do without."""
        return self.read_recent()

    @cached_property
    def watched(self) -> dict[int, LiveEvent]:
        """The same by item row, without items that the log does not know."""
        return {row: event for row, event in zip(self.rows.tolist(), self.recent, strict=True) if row != UNKNOWN}


class EventLog(HistorySource, Protocol):
    """A history source that can be written to while it is read."""

    def append(self, events: Sequence[LiveEvent], *, repeat_after: int = 0) -> int:
        """Write all events or none, skipping any whose (user_id, event_id) exists. Returns the number written.

        A stamped event is never before the user's newest. Raises EventConflict if an event_id has other content than
        before, and NotKept if the database refuses the write; then nothing of it is kept.
        repeat_after: also skip an event that repeats the user's last one on its item within this many seconds.
        """
        ...

    def append_all(self, batches: Sequence[Sequence[LiveEvent]]) -> list[int | Exception]:
        """As `append` of each batch, with one sync for all. Of each: what `append` returns, or what it would raise."""
        ...

    def append_each(self, events: Sequence[LiveEvent]) -> list[int | EventConflict]:
        """Write each event that can be, in one transaction. Of each: 1, 0 if it was there, or its conflict.

        Raises NotKept if the database refuses the write; then nothing of it is kept.
        """
        ...

    def activity(self, user_id: UserId) -> Activity:
        """A user's current state by their newest events, of which a store may read a limited number; in one query."""
        ...

    def remove(self, user_id: UserId, item_id: Id | None = None) -> int:
        """Delete a user's events with an item, or all their events and impressions. Returns the number of events."""
        ...

    def watched_since(
        self, since: Instant, min_users: int, guests_before: Instant = END_OF_TIME
    ) -> list[tuple[str, int]]:
        """Item ids that at least min_users users watched or rated since a time, with their number; most users first.

        Of guests only those count who came before `guests_before`.
        """
        ...


UNDO_SECONDS = 86_400
"""How long an import can be undone."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import by a user. names: of its files; n_events: of those it wrote, how many are in the log."""

    import_id: str
    user_id: UserId
    at: Instant
    names: tuple[str, ...]
    n_events: int = 0


class ImportLog(Protocol):
    """The imports of the last UNDO_SECONDS, each of which can be taken back."""

    def write(self, one: Import, events: Sequence[LiveEvent], known: Sequence[str] = ()) -> int:
        """Write an import and its events, all or none; an import of no new event is not kept. Returns their number.

        known: event ids that the import holds too and an earlier one wrote; they stay when only that one is undone.
        """
        ...

    def recent(self, user_id: UserId, now: Instant) -> list[Import]:
        """A user's imports that can be undone, the newest first."""
        ...

    def undo(self, user_id: UserId, import_id: str, now: Instant) -> int | None:
        """Delete the events that an import wrote, but for those that another one holds. Returns their number.

        None if there is no such import of this user, it was undone before, or it is older than UNDO_SECONDS.
        """
        ...


@dataclass(frozen=True, slots=True)
class LiveItem:
    """An item that was added, changed or withdrawn while the site runs.

    about: its title, year, lists, ... ready for JSON, empty if it was only withdrawn; fingerprint: of the data behind
    the models that were served then; at: UTC seconds.
    """

    item_id: str
    about: Mapping[str, Any]
    fingerprint: str
    at: Instant
    withdrawn: bool = False

    def is_newer(self, manifest: Mapping[str, Any]) -> bool:
        """Whether it was changed since the data of an artefact were read. manifest: the artefact's."""
        read_at = manifest.get("items_read_at")
        fingerprint = str(manifest.get("data", {}).get("fingerprint", ""))
        return self.fingerprint == fingerprint or (read_at is not None and self.at >= read_at)


class LiveItemBook(Protocol):
    """The items that were added, changed or withdrawn while the site runs."""

    def put(self, item: LiveItem) -> bool:
        """Add an item, or change it. Returns whether no item with this id was kept before, or it was withdrawn."""
        ...

    def version(self) -> int:
        """A number that grows with every change, by any process."""
        ...

    def get(self, item_id: str) -> LiveItem | None:
        """What is kept of an item, None if nothing."""
        ...

    def all(self) -> list[LiveItem]:
        """All that were ever added, changed or withdrawn, in the order in which they first came."""
        ...

    def changes(self) -> dict[str, int]:
        """How often each of `all` was changed, by id, in the same order."""
        ...

    def some(self, item_ids: Collection[str]) -> list[LiveItem]:
        """Those of `all` that have one of these ids, in any order."""
        ...


class ImpressionLog(Protocol):
    """The lists shown to users."""

    def write(self, lists: Sequence[ListImpression]) -> None:
        """Write lists when there is time: never waits, never fails. Their list_ids are random and new."""
        ...

    def find(self, list_id: str) -> ListImpression | None:
        """The list with an id, None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """The user behind a session token.

    name, session_id: of a member, None for a guest; seen: when the session was last used or the guest created; created:
    of the session or the guest.
    """

    user_id: str
    name: str | None
    session_id: str | None
    seen: Instant
    created: Instant


@dataclass(frozen=True, slots=True)
class Member:
    """A user with a name and a password. password: encoded argon2 hash; changed: when it was last set."""

    user_id: str
    name: str
    password: str = field(repr=False)
    created: Instant
    changed: Instant


@dataclass(frozen=True, slots=True)
class Session:
    """A member's login on one device.

    session_id: identifies it to its owner but grants no access; token_hash: of the token that does, never read back.
    """

    user_id: str
    session_id: str
    device: str
    created: Instant
    seen: Instant
    token_hash: str = field(default="", repr=False)


class AccountBook(Protocol):
    """Members, sessions and guests. Only hashes of session tokens are stored."""

    def identity(self, token_hash: str) -> Identity | None:
        """The user behind a token, None if there is none; in one query."""
        ...

    def open_guest(self, token_hash: str, user_id: UserId, at: Instant) -> str:
        """Create a guest. Returns the user id behind the token, an existing one if the token is in use."""
        ...

    def was_moved(self, token_hash: str, since: Instant) -> bool:
        """Whether the token belonged to a guest who became a member at or after a time."""
        ...

    def member_named(self, name_key: str) -> Member | None:
        """The member with a name, normalised by `name_key`."""
        ...

    def member(self, user_id: UserId) -> Member | None:
        """The member with this user id."""
        ...

    def add_member(self, member: Member, name_key: str, session: Session, guest_hash: str | None) -> bool:
        """Create a member with a session and move the events of the guest behind guest_hash to them, atomically.

        False if the name is taken.
        """
        ...

    def open_session(self, session: Session, guest_hash: str | None, expired: Instant) -> None:
        """Create a session, move the events of the guest behind guest_hash, and delete sessions last seen before."""
        ...

    def touch(self, session_id: str, at: Instant) -> None:
        """Update the time at which a session was last used, when there is time: never waits, never fails."""
        ...

    def sessions(self, user_id: UserId) -> list[Session]:
        """A member's sessions without token hashes, the last used first."""
        ...

    def close_sessions(self, user_id: UserId, *, only: str | None = None, but: str | None = None) -> int:
        """End a member's sessions: all, only one, or all but one, by session_id. Returns their number."""
        ...

    def set_password(self, user_id: UserId, password: str, at: Instant | None = None) -> None:
        """Store a password hash; at: when the member changed it, None if the same password was rehashed."""
        ...

    def idle_guests(self, before: Instant, limit: int) -> list[str]:
        """User ids of guests who came before a time and have done nothing since it, at most `limit`."""
        ...

    def forget(self, user_id: UserId) -> int:
        """Delete a user with all events, impressions, sessions, name and password. Returns the number of events."""
        ...

    def all_events(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """All events of a user with all columns, in the order of arrival."""
        ...

    def lists(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """All lists shown to a user, oldest first."""
        ...

"""Histories, the only form in which a model sees users, and where they come from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray, gather, rows_of, starts_of
from matinee.dataset import Events
from matinee.vocab import UNKNOWN, Id, Vocab

UserId: TypeAlias = Id
Instant: TypeAlias = int
"""UTC seconds."""
END_OF_TIME: Instant = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """A ragged batch of B histories, oldest event first: user b's items are `items[starts[b]:starts[b+1]]`.

    starts: [B + 1]; items: [N] item rows, all known; weights: [N], the events' values; times: [N] UTC seconds;
    user_rows: [B], UNKNOWN for a visitor, repeated if each history is one session of a user. Only models with stored
    users may read user_rows.
    """

    starts: IntArray
    items: IntArray
    weights: FloatArray
    times: IntArray
    user_rows: IntArray

    @classmethod
    def of(cls, items: Sequence[Sequence[int]], weights: Sequence[Sequence[float]] | None = None) -> "Histories":
        """Histories of visitors from lists of item rows. UNKNOWN rows are dropped; weights default to 1."""
        lengths = [len(row) for row in items]
        flat = np.array([item for row in items for item in row], dtype=np.int32)
        values = [value for row in weights for value in row] if weights else np.ones(len(flat))
        owners = np.repeat(np.arange(len(items)), lengths)
        known = flat != UNKNOWN
        return cls(
            starts_of(owners[known], len(items)),
            flat[known],
            np.asarray(values, dtype=np.float32)[known],
            np.zeros(int(known.sum()), dtype=np.int64),
            np.full(len(items), UNKNOWN, dtype=np.int32),
        )

    @classmethod
    def from_events(cls, events: Events, user_rows: IntArray) -> "Histories":
        """The histories of these user rows, in any order and without UNKNOWN, from ordered events."""
        n_users = max(int(user_rows.max(initial=-1)), int(events.user_rows.max(initial=-1))) + 1
        starts, indices = gather(starts_of(events.user_rows, n_users), user_rows)
        return cls(
            starts,
            events.item_rows[indices],
            events.values[indices],
            events.times[indices],
            user_rows.astype(np.int32),
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    @property
    def owners(self) -> IntArray:
        """The batch index of each event's user. [N]."""
        return rows_of(self.starts)

    @property
    def lengths(self) -> IntArray:
        """Number of events in each history. [B]."""
        return np.diff(self.starts)

    def take(self, rows: IntArray) -> "Histories":
        """A subset of the batch, by batch index."""
        starts, indices = gather(self.starts, rows)
        return Histories(starts, self.items[indices], self.weights[indices], self.times[indices], self.user_rows[rows])

    def keep(self, events: BoolArray) -> "Histories":
        """The same users with a subset of their events, by mask [N]."""
        return Histories(
            starts_of(self.owners[events], len(self)),
            self.items[events],
            self.weights[events],
            self.times[events],
            self.user_rows,
        )

    def block(self, start: int, stop: int) -> "Histories":
        """Histories start..stop-1 of the batch, as views."""
        first, last = self.starts[start], self.starts[stop]
        return Histories(
            self.starts[start : stop + 1] - first,
            self.items[first:last],
            self.weights[first:last],
            self.times[first:last],
            self.user_rows[start:stop],
        )

    def matrix(self, n_items: int, *, weighted: bool = False) -> csr_array:
        """User-item matrix: 1 for each item of a history or, if weighted, the value of its last event. [B, I]."""
        keys = self.owners * n_items + self.items
        # np.unique returns the first index of a key; on the reversed column that is the item's last event
        unique, from_end = np.unique(keys[::-1], return_index=True)
        values = self.weights[::-1][from_end] if weighted else np.ones(len(unique), dtype=np.float32)
        starts = starts_of(unique // n_items, len(self))
        columns = (unique % n_items).astype(np.int32)
        return csr_array((values.astype(np.float32), columns, starts), shape=(len(self), n_items))


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What a model learns from: the training users' histories and the number of items.

    histories: one for each user with events; n_items: I, including items without events.
    """

    histories: Histories
    n_items: int

    @property
    def n_users(self) -> int:
        """Number of users with at least one event."""
        return len(self.histories)

    @property
    def fingerprint(self) -> str:
        """Hash of the histories and the number of items: 16 hex digits."""
        digest = hashlib.blake2b(str(self.n_items).encode(), digest_size=8)
        for column in (self.histories.starts, self.histories.items, self.histories.weights, self.histories.times):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    @property
    def end(self) -> Instant:
        """Time of the last event; 0 if there are none."""
        return int(self.histories.times.max(initial=0))

    @property
    def popularity(self) -> IntArray:
        """Number of events of each item. [I]."""
        return np.bincount(self.histories.items, minlength=self.n_items)

    def matrix(self, *, weighted: bool = False) -> csr_array:
        """User-item matrix, as in Histories.matrix. [U, I]."""
        return self.histories.matrix(self.n_items, weighted=weighted)


class HistorySource(Protocol):
    """A source of histories: offline events, a database or memory."""

    def histories(self, users: Sequence[UserId], *, before: Instant = END_OF_TIME) -> Histories:
        """The users' histories before a time, one each in this order; empty for an unknown user."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class EventSource:
    """Histories from events in memory.

    If a user has several events with an item, only the last one before the given time counts.
    """

    events: Events
    users: Vocab

    def histories(self, users: Sequence[UserId], *, before: Instant = END_OF_TIME) -> Histories:
        """See HistorySource."""
        rows = self.users.rows(list(users))
        past = self.events.take(self.events.times < before)
        padded = np.where(rows == UNKNOWN, len(self.users), rows)  # all unknown users share one empty extra row
        found = Histories.from_events(past, padded)
        return last_of_each(Histories(found.starts, found.items, found.weights, found.times, rows))


def last_of_each(histories: Histories) -> Histories:
    """Keep only the last event of each item in each history; the order is unchanged."""
    if len(histories.items) == 0:
        return histories
    owners = histories.owners
    keys = owners * (int(histories.items.max()) + 1) + histories.items
    _, from_end = np.unique(keys[::-1], return_index=True)
    kept = np.sort(len(keys) - 1 - from_end)
    return histories.keep(kept)

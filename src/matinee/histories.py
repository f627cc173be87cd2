"""Histories, the only form in which a model sees users, and where they come from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import (
    BLOCK,
    BoolArray,
    FloatArray,
    IntArray,
    count_rows,
    gather,
    row_blocks,
    rows_of,
    starts_of,
)
from matinee.dataset import Events
from matinee.knowledge_graph import KnowledgeGraph
from matinee.mapped import empty, looked_up
from matinee.vocab import UNKNOWN, Id, Vocab

UserId: TypeAlias = Id
Instant: TypeAlias = int
"""UTC seconds."""
END_OF_TIME: Instant = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """A ragged batch of B histories, oldest event first: user b's items are `items[starts[b]:starts[b+1]]`.

    starts: [B + 1]; items: [N] item rows, all known; values: [N], the ratings, NaN for an event without one; times: [N]
    UTC seconds; user_rows: [B], UNKNOWN for a visitor, repeated if each history is one session of a user. Only models
    with stored users may read user_rows.
    mapped: [N], the values' weights by a value map (see `values`); None where each event weighs 1. weighed_by: that
    map, which does not weigh them again.
    """

    starts: IntArray
    items: IntArray
    values: FloatArray
    times: IntArray
    user_rows: IntArray
    mapped: FloatArray | None = None
    weighed_by: object = None

    @classmethod
    def of(cls, items: Sequence[Sequence[int]], values: Sequence[Sequence[float]] | None = None) -> "Histories":
        """Histories of visitors from lists of item rows. UNKNOWN rows are dropped; without values, all are NaN."""
        lengths = [len(row) for row in items]
        flat = np.array([item for row in items for item in row], dtype=np.int32)
        given = [value for row in values for value in row] if values else np.full(len(flat), np.nan)
        owners = np.repeat(np.arange(len(items)), lengths)
        known = flat != UNKNOWN
        return cls(
            starts_of(owners[known], len(items)),
            flat[known],
            np.asarray(given, dtype=np.float32)[known],
            np.zeros(int(known.sum()), dtype=np.int64),
            np.full(len(items), UNKNOWN, dtype=np.int32),
        )

    @classmethod
    def of_visitor(cls, items: IntArray) -> "Histories":
        """The history of one visitor, B = 1, from known item rows [N]: all values are NaN."""
        n = len(items)
        return cls(
            np.array([0, n]),
            items.astype(np.int32, copy=False),
            np.full(n, np.nan, dtype=np.float32),
            np.zeros(n, dtype=np.int64),
            np.full(1, UNKNOWN, dtype=np.int32),
        )

    @classmethod
    def from_events(cls, events: Events, user_rows: IntArray) -> "Histories":
        """The histories of these user rows, in any order and without UNKNOWN, from ordered events.

        Of ascending rows that have all events, the columns are views.
        """
        if len(user_rows) and (np.diff(user_rows) > 0).all():
            return cls._from_ascending(events, user_rows)
        n_users = max(int(user_rows.max(initial=-1)), int(events.user_rows.max(initial=-1))) + 1
        starts, indices = gather(starts_of(events.user_rows, n_users), user_rows)
        return cls(
            starts,
            events.item_rows[indices],
            events.values[indices],
            events.times[indices],
            user_rows.astype(np.int32),
        )

    @classmethod
    def _from_ascending(cls, events: Events, user_rows: IntArray) -> "Histories":
        """See from_events: without an index for each event."""
        counts = count_rows(events.user_rows, int(user_rows[-1]) + 1)
        starts = np.concatenate([[0], np.cumsum(counts[user_rows])])
        if starts[-1] < len(events):
            is_wanted = np.zeros(len(counts), dtype=bool)
            is_wanted[user_rows] = True
            events = events.take(looked_up(is_wanted, events.user_rows))
        return cls(starts, events.item_rows, events.values, events.times, user_rows.astype(np.int32))

    @classmethod
    def of_all(cls, events: Events) -> "Histories":
        """The histories of all users who have some of these ordered events: views of their columns."""
        counts = count_rows(events.user_rows, 0)
        users = np.flatnonzero(counts)
        starts = np.concatenate([[0], np.cumsum(counts[users])])
        return cls(starts, events.item_rows, events.values, events.times, users.astype(np.int32))

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

    @property
    def weights(self) -> FloatArray:
        """How much each event counts where a model folds in, below 0 against its item. [N] float32."""
        return np.ones(len(self.items), dtype=np.float32) if self.mapped is None else self.mapped

    def take(self, rows: IntArray) -> "Histories":
        """A subset of the batch, by batch index."""
        starts, indices = gather(self.starts, rows)
        return self._select(indices, starts, self.user_rows[rows])

    def keep(self, events: BoolArray) -> "Histories":
        """The histories with a subset of their events. events: [N]."""
        kept = np.flatnonzero(events)
        return self._select(kept, np.searchsorted(kept, self.starts), self.user_rows)

    def without_each(self, events: IntArray) -> "Histories":
        """A history for each of E events: its user's, without it. events: [E], indices into the N events."""
        owners = self.owners[events]
        lengths = self.lengths[owners] - 1
        starts = np.zeros(len(events) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        kept = np.arange(starts[-1]) + np.repeat(self.starts[owners] - starts[:-1], lengths)
        kept += kept >= np.repeat(events, lengths)
        return self._select(kept, starts, self.user_rows[owners])

    def alone(self, events: IntArray) -> "Histories":
        """A history of that event alone for each of E events. events: [E], indices into the N events."""
        return self._select(events, np.arange(len(events) + 1), self.user_rows[self.owners[events]])

    def counted(self) -> "Histories":
        """The histories without events of weight 0."""
        return self if self.mapped is None or self.mapped.all() else self.keep(self.mapped != 0)

    def block(self, start: int, stop: int) -> "Histories":
        """Histories start..stop-1 of the batch, as views."""
        first, last = self.starts[start], self.starts[stop]
        return self._select(slice(first, last), self.starts[start : stop + 1] - first, self.user_rows[start:stop])

    def matrix(self, n_items: int, entries: FloatArray | None = None) -> csr_array:
        """User-item matrix: 1 for each item of a history, or the entry of its last event. entries [N] -> [B, I]."""
        if len(self.items) <= BLOCK:
            data, columns, starts = _matrix_rows(self.starts, self.items, entries, n_items)
        else:
            data, columns = empty(len(self.items), np.float32), empty(len(self.items), np.int32)
            starts, n = np.zeros(len(self) + 1, dtype=np.int64), 0
            for rows, block in row_blocks(self.starts):
                own = self.starts[rows.start : rows.stop + 1] - block.start
                found = _matrix_rows(own, self.items[block], None if entries is None else entries[block], n_items)
                stop = n + len(found[0])
                data[n:stop], columns[n:stop] = found[:2]
                starts[rows.start + 1 : rows.stop + 1] = found[2][1:] + n
                n = stop
            data, columns = data[:n], columns[:n]
        if len(columns) < 2**31:  # products of such matrices take two thirds of the time
            starts = starts.astype(np.int32)
        return csr_array((data, columns, starts), shape=(len(self), n_items))

    def weighted_matrix(self, n_items: int) -> csr_array:
        """User-item matrix of the weights, which every model folds in that sums over the history. [B, I]."""
        return self.matrix(n_items, self.mapped)

    def _select(self, events: IntArray | slice, starts: IntArray, user_rows: IntArray) -> "Histories":
        """Histories of some of the events."""
        mapped = None if self.mapped is None else self.mapped[events]
        return Histories(
            starts, self.items[events], self.values[events], self.times[events], user_rows, mapped, self.weighed_by
        )


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What a model learns from: the training users' histories and the number of items.

    histories: one for each user with events; n_items: I, including items without events; graph: what the items have in
    common, for models that read it.
    """

    histories: Histories
    n_items: int
    graph: KnowledgeGraph | None = None

    @property
    def n_users(self) -> int:
        """Number of users with at least one event."""
        return len(self.histories)

    @property
    def fingerprint(self) -> str:
        """Hash of the histories, the number of items and the graph: 16 hex digits."""
        digest = hashlib.blake2b(str(self.n_items).encode(), digest_size=8)
        for column in (self.histories.starts, self.histories.items, self.histories.values, self.histories.times):
            digest.update(np.ascontiguousarray(column).data)
        if self.graph is not None:
            digest.update(self.graph.fingerprint.encode())
        return digest.hexdigest()

    @property
    def end(self) -> Instant:
        """Time of the last event; 0 if there are none."""
        return int(self.histories.times.max(initial=0))

    @property
    def popularity(self) -> IntArray:
        """Number of events of each item. [I]."""
        return count_rows(self.histories.items, self.n_items)

    def matrix(self, entries: FloatArray | None = None) -> csr_array:
        """User-item matrix, as in Histories.matrix. [U, I]."""
        return self.histories.matrix(self.n_items, entries)

    def liked_matrix(self) -> csr_array:
        """User-item matrix of the weights above 0; binary where each event weighs 1. [U, I]."""
        matrix = self.histories.weighted_matrix(self.n_items)
        if self.histories.mapped is not None:
            matrix.data = np.maximum(matrix.data, 0)
            matrix.eliminate_zeros()
        return matrix


class HistorySource(Protocol):
    """A source of histories: offline events, a database or memory."""

    def histories(self, users: Sequence[UserId], *, before: Instant = END_OF_TIME) -> Histories:
        """The users' histories before a time, one each in this order; empty for an unknown user."""
        ...


@dataclass(frozen=True, eq=False)
class EventSource:
    """Histories from events in memory.

    If a user has several events with an item, only the last one before the given time counts.
    """

    events: Events
    users: Vocab

    def histories(self, users: Sequence[UserId], *, before: Instant = END_OF_TIME) -> Histories:
        """See HistorySource."""
        return self.of_rows(self.users.rows(list(users)), before=before)

    def of_rows(self, rows: IntArray, *, before: Instant = END_OF_TIME) -> Histories:
        """As `histories`, by user row; UNKNOWN gives an empty history. rows: [B]."""
        # an unknown user gets the empty row after all others
        starts, indices = gather(self._starts, np.where(rows == UNKNOWN, len(self._starts) - 2, rows))
        events = self.events.take(indices)
        found = Histories(starts, events.item_rows, events.values, events.times, rows.astype(np.int32))
        return last_of_each(found if before >= END_OF_TIME else found.keep(found.times < before))

    @cached_property
    def _starts(self) -> IntArray:
        """Where the events of each user begin, and of one more, who has none. [U + 2]."""
        n_users = max(len(self.users), int(self.events.user_rows.max(initial=-1)) + 1)
        return starts_of(self.events.user_rows, n_users + 1)


def _matrix_rows(
    starts: IntArray, items: IntArray, entries: FloatArray | None, n_items: int
) -> tuple[FloatArray, IntArray, IntArray]:
    """Entries, columns and starts of the rows of `Histories.matrix`. starts: [B + 1]; items, entries: [N]."""
    if len(starts) == 2:  # one visitor: rows are keys
        ordered, last = _last_of_each_key(items)
        data = np.ones(len(last), dtype=np.float32) if entries is None else entries[last].astype(np.float32)
        return data, ordered.astype(np.int32, copy=False), np.array([0, len(last)])
    limits = n_items * np.arange(len(starts), dtype=np.int64)
    keys = np.repeat(limits[:-1], np.diff(starts))
    keys += items
    if entries is None:
        keys.sort()
        keys = keys[np.diff(keys, append=-1) != 0]
        data = np.ones(len(keys), dtype=np.float32)
    else:
        keys, last = _last_of_each_key(keys)
        data = entries[last].astype(np.float32)
    found = np.searchsorted(keys, limits)
    columns = keys - np.repeat(limits[:-1], np.diff(found))
    return data, columns.astype(np.int32), found


def _last_of_each_key(keys: IntArray) -> tuple[IntArray, IntArray]:
    """The keys that there are, ascending, and the index of the last event of each. keys: [N]."""
    order = np.argsort(keys)
    ordered = keys[order]
    is_last = np.ones(len(keys), dtype=bool)
    is_last[:-1] = ordered[1:] != ordered[:-1]
    if is_last.all():  # few histories have an item twice, and a stable sort takes twice as long
        return ordered, order
    return ordered[is_last], np.argsort(keys, kind="stable")[is_last]


def last_of_each(histories: Histories) -> Histories:
    """Keep only the last event of each item in each history; the order is unchanged."""
    if len(histories.items) == 0:
        return histories
    is_last = np.empty(len(histories.items), dtype=bool)
    for rows, block in row_blocks(histories.starts):
        owners = rows_of(histories.starts[rows.start : rows.stop + 1] - block.start)
        items = histories.items[block]
        _, last = _last_of_each_key(owners * (int(items.max(initial=0)) + 1) + items)
        of_block = np.zeros(len(items), dtype=bool)
        of_block[last] = True
        is_last[block] = of_block
    return histories if is_last.all() else histories.keep(is_last)

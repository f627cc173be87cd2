"""Events, a log in columns, and the data set around them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee import elsewhere
from matinee.arrays import BLOCK, FloatArray, IntArray, blocks, count_rows, row_blocks, starts_of
from matinee.catalogue import Catalogue
from matinee.errors import MatineeError
from matinee.item_table import ItemTable
from matinee.mapped import empty, looked_up, selected
from matinee.nouns import ITEM, Noun
from matinee.shown import Framed, Overview, Plotted, Shown
from matinee.vocab import Vocab


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """N events, ordered by user row, then time, then log order.

    user_rows, item_rows: [N] int32; values: [N] float32, the rating, or 1 for a click;
    times: [N] int64, UTC seconds, all 0 if the log has no times.
    """

    user_rows: IntArray
    item_rows: IntArray
    values: FloatArray
    times: IntArray

    @classmethod
    def ordered(cls, user_rows: IntArray, item_rows: IntArray, values: FloatArray, times: IntArray) -> "Events":
        """Sort columns in log order into Events order; equal times keep their log order."""
        order = event_order(user_rows, times)
        return cls(
            user_rows[order].astype(np.int32, copy=False),
            item_rows[order].astype(np.int32, copy=False),
            values[order].astype(np.float32, copy=False),
            times[order].astype(np.int64, copy=False),
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    def take(self, keep: IntArray | np.ndarray | slice) -> "Events":
        """A subset of events, by ascending indices, a mask or a slice."""
        columns = (self.user_rows, self.item_rows, self.values, self.times)
        return Events(*(selected(column, keep) for column in columns))


def grouped_by_user(
    user_rows: IntArray, times: IntArray, others: Sequence[NDArray[Any]], n_users: int
) -> list[NDArray[Any]]:
    """Columns in log order as columns in Events order: the rows, the times, and the others. [N] each.

    A long log is first written in runs to groups of users, so that each group is sorted in the processor's cache.
    """
    columns = (user_rows, times, *others)
    if len(user_rows) <= BLOCK:
        order = event_order(user_rows, times)
        return [column.take(order) for column in columns]
    groups = list(row_blocks(starts_of(user_rows, n_users)))
    found = [empty(len(column), column.dtype) for column in columns]
    sizes = [users.stop - users.start for users, _ in groups]
    group_of = np.repeat(np.arange(len(groups), dtype=np.int16 if len(groups) < 2**15 else np.int32), sizes)
    stops = np.array([events.start for _, events in groups])  # of what is written in each group
    for block in blocks(len(user_rows)):
        of_block = group_of[user_rows[block]]
        order = np.argsort(of_block, kind="stable")
        counts = np.bincount(of_block, minlength=len(groups))
        touched = np.flatnonzero(counts)
        runs = np.split(order, np.cumsum(counts[touched])[:-1])
        for new, old in zip(found, columns, strict=True):
            part = old[block]
            for group, run in zip(touched.tolist(), runs, strict=True):
                new[stops[group] : stops[group] + len(run)] = part[run]
        stops += counts
    for _, events in groups:
        order = event_order(found[0][events], found[1][events])
        for new in found:
            new[events] = new[events][order]
    return found


def event_order(user_rows: IntArray, times: IntArray) -> IntArray:
    """Indices that sort a log by user row, then time, then log order. [N]."""
    n = len(user_rows)
    if n == 0:
        return np.empty(0, dtype=np.int64)
    first, last = int(times.min()), int(times.max())
    first_row, last_row = int(user_rows.min()), int(user_rows.max())
    index_bits, time_bits = n.bit_length(), (last - first).bit_length()
    if (last_row - first_row).bit_length() + time_bits + index_bits > 63:
        return np.lexsort((times, user_rows))
    keys = user_rows.astype(np.int64)  # packs all three into one integer: sorting it is ten times faster than lexsort
    keys -= first_row
    keys <<= time_bits
    keys += times  # in place, because a new array would cost as much as the addition
    keys -= first
    keys <<= index_bits
    keys |= np.arange(n, dtype=np.int64)
    keys.sort()
    keys &= (1 << index_bits) - 1
    return keys


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event in a log, such as `purchase`. events: how many; value: of each, None if they differ."""

    events: int
    value: float | None = None


EventKinds: TypeAlias = Mapping[str, EventKind]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Shown, Framed, Plotted):
    """A log with its vocabularies and catalogue.

    kind: `rating` if the log has values, otherwise `click`; timed: whether the log has times, otherwise its own order
    counts; notes: what reading and filtering took and changed, one sentence each, for display; read: for each table its
    columns by role, unused columns and dropped lines, ready for JSON; table: what else is known of items, those of
    the data and others; noun: what an item is called; source: `MovieLens`, or empty for data of one's own; event_kinds:
    by name, the most frequent first, empty where the log does not name kinds.
    """

    other_names = elsewhere.DATASET

    name: str
    users: Vocab
    items: Vocab
    events: Events
    catalogue: Catalogue
    kind: str = "rating"
    timed: bool = True
    notes: tuple[str, ...] = ()
    read: tuple[dict[str, Any], ...] = ()
    table: ItemTable | None = None
    noun: Noun = ITEM
    source: str = ""
    event_kinds: EventKinds = field(default_factory=dict)

    def overview(self) -> Overview:
        """See Shown."""
        sizes = f"{len(self.users):,} users, {len(self.items):,} items, {len(self.events):,} events"
        times = "with" if self.timed else "without"
        headline = f"{self.name} ({self.kind}s, {times} times): {sizes}"
        return Overview(headline, notes=self.notes, next="split = mt.split(data)")

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, column: str) -> pl.Series:
        """A column of `to_frame`, such as `user`. Raises MatineeError with the call that works if there is none."""
        return column_of(self.to_frame(), column, "data")

    def to_frame(self) -> pl.DataFrame:
        """One row an event, by user and time: user, item, value, and time (UTC) if the log has times."""
        user, item = self.users.to_series(self.events.user_rows), self.items.to_series(self.events.item_rows)
        columns: dict[str, Any] = {"user": user, "item": item, "value": self.events.values}
        if self.timed:
            columns["time"] = pl.from_epoch(pl.Series(self.events.times)).dt.replace_time_zone("UTC")
        return pl.DataFrame(columns)

    @cached_property
    def item_table(self) -> ItemTable:
        """All that is known of the items, by item row: the columns of `table`, and the catalogue's."""
        return ItemTable.of_items_with(self.items, self.catalogue, self.table)

    @cached_property
    def user_starts(self) -> IntArray:
        """Start of each user's events. [U + 1]."""
        return starts_of(self.events.user_rows, len(self.users))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all events and ids: 16 hex digits."""
        digest = hashlib.sha256()
        for ids in (self.users.ids, self.items.ids):
            digest.update(ids.tobytes() if ids.dtype.kind == "i" else "\0".join(ids.tolist()).encode())
        for column in (self.events.user_rows, self.events.item_rows, self.events.values, self.events.times):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()[:16]

    def describe(self) -> dict[str, str | int]:
        """Name, sizes and fingerprint, ready for JSON."""
        return {
            "name": self.name,
            "users": len(self.users),
            "items": len(self.items),
            "events": len(self.events),
            "fingerprint": self.fingerprint,
        }

    def with_table(self, table: ItemTable) -> "Dataset":
        """A copy that knows of its items what a table says, and what was known before where the table says nothing."""
        return replace(self, table=table.of_items(self.items).filled_from(self.item_table))

    def keep(self, events: IntArray | np.ndarray, note: str | None = None) -> "Dataset":
        """The data set with a subset of its events; users and items without events are dropped."""
        kept = self.events.take(events)
        users, items = count_rows(kept.user_rows, len(self.users)), count_rows(kept.item_rows, len(self.items))
        user_rows, item_rows = (
            looked_up(np.cumsum(counts > 0, dtype=np.int32) - np.int32(1), rows)
            for counts, rows in ((users, kept.user_rows), (items, kept.item_rows))
        )
        left = np.flatnonzero(items)
        return replace(
            self,
            users=self.users.take(np.flatnonzero(users)),
            items=self.items.take(left),
            events=Events(user_rows, item_rows, kept.values, kept.times),
            catalogue=self.catalogue.take(left).with_counts(items[left]),
            notes=(*self.notes, note) if note else self.notes,
        )


def column_of(frame: pl.DataFrame, name: object, owner: str) -> pl.Series:
    """A column of the events of `data` or `split`, the owner. Raises MatineeError with the call that works."""
    if not isinstance(name, str):
        raise MatineeError(
            f'{owner}[...] is a column, such as {owner}["user"]; write {owner}.to_frame() for rows, '
            "and mt.keep(data, min_value=4) for data with fewer events"
        )
    if name in elsewhere.OF_ITEMS:
        raise MatineeError(f"{owner} has columns of events, not {name!r} of items; write data.item_table.to_frame()")
    if name not in frame.columns:
        raise MatineeError(f"{owner} has no column {name!r}{elsewhere.key_hint(name, frame.columns)}")
    return frame[name]

"""Logs as columns of ids, between a file and a data set, with the checks that every log must pass."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from matinee.arrays import BoolArray, FloatArray, IntArray, count_rows, row_blocks, starts_of
from matinee.catalogue import Catalogue, split_genres
from matinee.data.notes import read_notes, read_record, titles_note, value_notes
from matinee.dataset import Dataset, EventKind, EventKinds, Events, grouped_by_user
from matinee.errors import DataError
from matinee.item_table import ItemTable
from matinee.nouns import ITEM, MOVIE, Noun, noun_of_column
from matinee.reading.table import Read
from matinee.vocab import UNKNOWN, Id, IdArray, Vocab, as_ids

Repeats = Literal["last", "keep"]
MOVIELENS = "MovieLens"
"""The source of logs that are GroupLens's, which asks for credit."""


@dataclass(frozen=True, slots=True)
class Titles:
    """Metadata of items. ids, titles, genres: [n]; tags: by id, for items that have any.

    where: the table of titles; empty if they come from the log itself.
    """

    ids: IdArray
    titles: list[str]
    genres: list[tuple[str, ...]]
    tags: dict[Id, tuple[str, ...]] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class IndexedIds:
    """A column of ids by their rows in a vocabulary. rows: [N] int32."""

    vocab: Vocab
    rows: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Id:
        return self.vocab.id(int(self.rows[index]))


@dataclass(frozen=True, slots=True)
class Log:
    """N checked events, in log order.

    users, items: [N] integers or String, no nulls, or rows where they were read in pieces; values: [N], or None for
    clicks; times: [N] UTC seconds, or None.
    read: what the reader took of the table, None for logs that are not one; source: MOVIELENS, or empty. kinds: of
    events by name, repeats included; where kinds have values, of a user's events with an item the one of the highest
    is kept. own_noun: what an imported log calls its items; table: what else is known of these.
    """

    where: str
    users: pl.Series | IndexedIds
    items: pl.Series | IndexedIds
    values: FloatArray | None
    times: IntArray | None
    titles: Titles | None = None
    notes: tuple[str, ...] = field(default=())
    read: Read | None = None
    source: str = ""
    kinds: EventKinds = field(default_factory=dict)
    own_noun: Noun | None = None
    table: ItemTable | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def noun(self) -> Noun:
        """What the items are called: movies where the data or a table of titles says so, else by the items' column."""
        if self.own_noun is not None:
            return self.own_noun
        if self.source == MOVIELENS or (self.titles and "movie" in self.titles.where.rpartition("/")[2].lower()):
            return MOVIE
        return noun_of_column(self.read.roles["item"]) if self.read else ITEM


def titles_of(frame: pl.DataFrame, where: str = "") -> Titles:
    """Titles from the columns id, title and genres (separated by |). where: the table of titles."""
    titles = [title or "" for title in frame["title"].str.strip_chars().to_list()]
    genres = {text: split_genres(text) for text in frame["genres"].unique().to_list()}
    kinds = [genres[text] for text in frame["genres"].to_list()]
    return Titles(as_ids(frame["id"].to_list()), titles, kinds, where=where)


def check_scale(log: Log, scale: tuple[float, float] | None) -> Log:
    """Return the log. Raises DataError for the first event whose value is outside the declared scale."""
    if scale is None:
        return log
    declared = f"the declared scale {scale[0]:g} to {scale[1]:g}"
    if log.values is None:
        raise DataError(f"{log.where} has no values, but a scale was declared; leave the scale out")
    outside = (log.values < scale[0]) | (log.values > scale[1])
    if outside.any():
        index = int(np.argmax(outside))
        raise DataError(
            f"{log.where}, event {index + 1:,}: the value {log.values[index]:g} of user {log.users[index]} for item "
            f"{log.items[index]} is outside {declared}; fix it, drop the event or declare another scale"
        )
    return log


def index_ids(ids: pl.Series | IndexedIds) -> tuple[Vocab, IntArray]:
    """Build a vocabulary from a column of ids [N]. Returns it and the column as rows [N] int32."""
    if isinstance(ids, IndexedIds):
        return ids.vocab, ids.rows
    if ids.dtype.is_integer():
        return Vocab.index(ids.to_numpy())
    unique = ids.unique().sort()  # by code point, as numpy sorts strings
    rows = ids.rank("dense").cast(pl.Int32).to_numpy() - np.int32(1)
    return Vocab(as_ids(unique.to_list())), rows


def assemble(log: Log, name: str, *, repeats: Repeats = "last") -> Dataset:
    """Build a data set from a log. Raises DataError if the log has no events."""
    return assemble_parts([log], name, repeats=repeats)[0]


def assemble_parts(logs: Sequence[Log], name: str, *, repeats: Repeats = "last") -> tuple[Dataset, IntArray]:
    """Build one data set from several logs. Also returns the index of each event's log, [N] int8.

    Repeated events are dropped within each log, not across logs. Raises DataError if there are no events, or if only
    some logs have values or times.
    """
    n_events = sum(map(len, logs))
    if n_events == 0:
        raise DataError(f"{logs[0].where} has no events; a log has a line for each: user, item, value, time")
    users, user_rows = index_ids(_join([log.users for log in logs]))
    items, item_rows = index_ids(_join([log.items for log in logs]))
    parts = np.repeat(np.arange(len(logs), dtype=np.int8), list(map(len, logs)))
    values = _numbers(logs, [log.values for log in logs], "values")
    values = np.ones(n_events, dtype=np.float32) if values is None else values
    times = _numbers(logs, [log.times for log in logs], "times")
    times = np.zeros(n_events, dtype=np.int64) if times is None else times
    user_rows, times, item_rows, values, *others = grouped_by_user(
        user_rows, times, [item_rows, values, *([parts] if len(logs) > 1 else [])], len(users)
    )
    events = Events(user_rows, item_rows, values.astype(np.float32, copy=False), times.astype(np.int64, copy=False))
    parts = others[0] if others else parts
    del user_rows, item_rows, values, times  # as much memory as the events themselves
    reads = [(log.read, len(log)) for log in logs if log.read is not None]
    notes = [*read_notes(reads), *(note for log in logs for note in log.notes)]
    kinds = _joined_kinds([log.kinds for log in logs])
    is_weighed = any(kind.value is not None for kind in kinds.values())
    repeated = _repeated(events, parts, (len(users), len(items)), repeats, strongest=is_weighed)
    if repeated is not None:
        events, parts = events.take(~repeated), parts[~repeated]
        notes.append(_repeat_note(int(repeated.sum()), repeats, strongest=is_weighed))
    catalogue, titles_notes = _catalogue(items, [log.titles for log in logs if log.titles])
    values_notes = value_notes(events.values) if logs[0].values is not None else []
    data = Dataset(
        name=name,
        users=users,
        items=items,
        events=events,
        catalogue=catalogue.with_counts(count_rows(events.item_rows, len(items))),
        kind="click" if logs[0].values is None or is_weighed else "rating",
        event_kinds=kinds,
        timed=logs[0].times is not None,
        notes=tuple(dict.fromkeys([*notes, *titles_notes, *values_notes])),
        read=tuple(read_record(read) for read, _ in reads),
        table=logs[0].table,
        noun=logs[0].noun,
        source=logs[0].source,
    )
    return data, parts


def _join(columns: Sequence[pl.Series | IndexedIds]) -> pl.Series | IndexedIds:
    """The ids of all logs; of one that was read in pieces, which comes alone, as they are."""
    if len(columns) == 1:
        return columns[0]
    whole = [column for column in columns if isinstance(column, pl.Series)]
    if len({column.dtype for column in whole}) > 1:
        common = pl.Int64 if all(column.dtype.is_integer() for column in whole) else pl.String
        whole = [column.cast(common) for column in whole]
    return pl.concat(whole)


def _numbers(logs: Sequence[Log], columns: list[Any], what: str) -> Any:  # noqa: ANN401 - array or None, as given
    """Concatenate a column of all logs; None if no log has it. Raises DataError if only some have it."""
    present = [column for column in columns if column is not None]
    if not present:
        return None
    if len(present) < len(columns):
        having = next(log.where for log, column in zip(logs, columns, strict=True) if column is not None)
        lacking = next(log.where for log, column in zip(logs, columns, strict=True) if column is None)
        raise DataError(f"{having} has {what} but {lacking} has none; give all parts the same columns")
    return present[0] if len(present) == 1 else np.concatenate(present)


def _joined_kinds(parts: Sequence[EventKinds]) -> dict[str, EventKind]:
    """The kinds of all logs, the most frequent first."""
    counts: Counter[str] = Counter()
    values: dict[str, float | None] = {}
    for kinds in parts:
        counts.update({name: kind.events for name, kind in kinds.items()})
        values |= {name: kind.value for name, kind in kinds.items()}
    return {name: EventKind(n, values[name]) for name, n in counts.most_common()}


def _repeated(
    events: Events, parts: IntArray, shape: tuple[int, int], repeats: Repeats, *, strongest: bool = False
) -> BoolArray | None:
    """Whether a later event of the same part repeats each of the ordered events. [N]; None if there are no repeats.

    shape: [U, I]; strongest: of repeats the one of the highest value stays, the last if several have it.
    """
    n_parts, found = int(parts.max()) + 1, []
    for _, block in row_blocks(starts_of(events.user_rows, shape[0])):
        keys = _keys(events, block, parts if n_parts > 1 else None, shape[1])
        ascending = np.sort(keys)
        if not (ascending[1:] == ascending[:-1]).any():
            continue
        order = np.lexsort((events.values[block], keys)) if strongest else np.argsort(keys, kind="stable")
        same = np.diff(keys[order]) == 0
        if repeats == "keep":
            same &= np.diff(events.times[block][order]) == 0
        found.append(order[:-1][same] + block.start)
    if not sum(map(len, found)):
        return None
    repeated = np.zeros(len(events), dtype=bool)
    repeated[np.concatenate(found)] = True
    return repeated


def _keys(events: Events, block: slice, parts: IntArray | None, n_items: int) -> IntArray:
    """One integer for the user, item and part of each of a block of ordered events."""
    rows = events.user_rows[block]
    n_users = int(rows[-1]) - int(rows[0]) + 1 if len(rows) else 0
    n_parts = 1 if parts is None else int(parts.max()) + 1
    keys: IntArray = (rows - rows[:1]).astype(np.int64 if n_users * n_items * n_parts >= 2**31 else np.int32)
    keys *= n_items
    keys += events.item_rows[block]
    if parts is not None:
        keys *= n_parts
        keys += parts[block]
    return keys


def _repeat_note(n_repeated: int, repeats: Repeats, *, strongest: bool) -> str:
    if repeats == "keep":
        return f"dropped {n_repeated:,} events with the same user, item and time as another"
    return f"dropped {n_repeated:,} repeated events, keeping the {'strongest' if strongest else 'last'} of each"


def _catalogue(items: Vocab, known: list[Titles]) -> tuple[Catalogue, list[str]]:
    """Titles, genres and tags by item row; the title of an unknown item is its id. Also notes on tables of titles."""
    titles = [str(id) for id in items.ids.tolist()]
    genres: list[tuple[str, ...]] = [()] * len(items)
    notes = []
    for source in known:
        rows = items.rows(source.ids)
        for row, title, kinds in zip(rows.tolist(), source.titles, source.genres, strict=True):
            if row != UNKNOWN:
                titles[row], genres[row] = title or titles[row], kinds
        if source.where and len(source.ids):
            spellings = (items.id(0), source.ids.tolist()[0])
            notes.append(titles_note(len(items), len(np.unique(rows[rows != UNKNOWN])), source.where, spellings))
    tags = {id: of_item for source in known for id, of_item in source.tags.items()}
    return Catalogue.of(titles, genres, [tags.get(id, ()) for id in items.ids.tolist()] if tags else ()), notes

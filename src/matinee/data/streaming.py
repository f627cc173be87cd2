"""Logs in typed files that do not fit into memory: read piece by piece into columns that may lie in files.

Each piece is checked as a whole log is. What a reader finds out from a whole column, such as the unit of its times, has
to be the same in every piece; where it is not, the log is not read so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.arrays import FloatArray, IntArray, blocks
from matinee.config import ColumnsConfig
from matinee.data.event_kinds import kind_column
from matinee.data.item_columns import is_item_table
from matinee.data.log import IndexedIds, Log
from matinee.data.pieces import has_folder_columns
from matinee.data.tables import title_columns
from matinee.dataset import grouped_by_user
from matinee.histories import Instant
from matinee.mapped import empty, looked_up
from matinee.reading.archives import Archive
from matinee.reading.cells import check_times, read_ids, read_micros, read_values
from matinee.reading.columnar import OWN, format_of, scan_columnar
from matinee.reading.table import Read, Table
from matinee.reading.timestamps import MICROS, note_on, whole_seconds
from matinee.vocab import IdArray, Vocab, as_ids

PIECE = 2**20
"""Rows that are read at once."""
LARGEST_TABLE = 2**26
"""Whole numbers below it are looked up in a table, one for each number there could be."""
_NARROW = (pl.Int8, pl.Int16, pl.Int32)


def stream_log(archive: Archive, names: Sequence[str], where: str, columns: ColumnsConfig, now: Instant) -> Log | None:
    """Read a log of one or more Parquet or Arrow files in pieces. None where it can only be read as a whole.

    As a whole are read: other files, data sets that `matinee data import` wrote, logs with titles or kinds of events,
    those whose blank rows are dropped, and those whose pieces differ in the kind of their ids or the unit of their
    times. Raises DataError as reading as a whole does, with the row in its file.
    """
    files = [_File.of(archive, name, where if len(names) > 1 else "") for name in names]
    known = [file for file in files if file is not None]
    if len(known) < len(names) or any(set(file.columns) != set(known[0].columns) for file in known):
        return None
    if columns.drop_blank or columns.encoding is not None or not sum(file.n_rows for file in known):
        return None
    first = next(piece for file in known for piece in file.pieces())
    table = Table(where, first.frame, format=known[0].format)
    if is_item_table(table.frame.columns):
        return None
    roles = table.roles(columns)
    taken = tuple(roles.values())
    if title_columns(table.frame.columns, roles) or kind_column(table, columns, taken) is not None:
        return None
    collected = _Columns(roles, sum(file.n_rows for file in known))
    for file in known:
        for piece in file.pieces():
            if not collected.add(piece, now):
                return None
    unused = tuple(name for name in known[0].columns if name not in taken)
    return collected.log(Read(where, known[0].format, roles, unused, notes=collected.notes or ()))


@dataclass(frozen=True, slots=True)
class _File:
    """A typed file. inside: the folder whose files are one table, empty for a single file."""

    rows: pl.LazyFrame
    where: str
    inside: str
    n_rows: int
    columns: tuple[str, ...]
    format: str

    @classmethod
    def of(cls, archive: Archive, name: str, inside: str) -> "_File | None":
        """None for a file that cannot be read in pieces."""
        path = archive.on_disk(name)
        rows = None if path is None or has_folder_columns(name) else scan_columnar(path)
        if path is None or rows is None or (format := format_of(path)) == OWN:
            return None
        n_rows = int(rows.select(pl.len()).collect().item())
        return cls(rows, archive.where(name), inside, n_rows, tuple(rows.collect_schema().names()), format)

    def pieces(self) -> Iterator["_Piece"]:
        """Its rows, in order."""
        for start in range(0, self.n_rows, PIECE):
            yield _Piece(self.rows.slice(start, PIECE).collect(), self, start)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a file, from `start` on."""

    frame: pl.DataFrame
    file: _File
    start: int

    @property
    def where(self) -> str:
        """What messages call the log."""
        return self.file.inside or self.file.where

    def locate(self, row: int) -> str:
        """The place of a row, as in a table of several files."""
        place = f"row {self.start + row + 1}"
        return f"{self.file.where}, {place}" if self.file.inside else place


class _Columns:
    """The columns of a log, filled piece by piece. roles: the column of each role; n: rows in all."""

    notes: tuple[str, ...] | None = None

    def __init__(self, roles: dict[str, str], n: int) -> None:
        self._roles, self._filled, self._n = roles, 0, n
        self._users, self._items = _Ids(n), _Ids(n)
        self._values: FloatArray | None = empty(n, np.float32) if "value" in roles else None
        self._micros: IntArray | None = empty(n, np.int64) if "at" in roles else None
        self._unit, self._is_split = "", False

    def add(self, piece: _Piece, now: Instant) -> bool:
        """Check and append a piece. False if it has another kind of ids, unit or notes than those before."""
        frame, where, roles = piece.frame, piece.where, self._roles
        filled = slice(self._filled, self._filled + len(frame))
        users, user_notes = read_ids(frame[roles["user"]], "user", where, piece.locate)
        items, item_notes = read_ids(frame[roles["item"]], "item", where, piece.locate)
        notes = (*user_notes, *item_notes)
        if self._values is not None:
            self._values[filled], value_notes = read_values(frame[roles["value"]], where, piece.locate)
            notes += value_notes
        if self._micros is not None:
            micros, unit = read_micros(frame[roles["at"]], where, piece.locate)
            seconds, is_split = whole_seconds(micros)
            check_times(where, seconds, now, piece.locate)
            self._micros[filled] = micros
            self._is_split |= is_split
            notes += () if (note := note_on(unit)) is None else (note,)
            if self._filled and unit != self._unit:
                return False
            self._unit = unit
        if self._filled and notes != self.notes:
            return False
        self.notes, self._filled = notes, filled.stop
        return self._users.add(users, filled.start) and self._items.add(items, filled.start)

    def log(self, read: Read) -> Log:
        """The log of all pieces. Leaves nothing here."""
        users, items = self._users.indexed(), self._items.indexed()
        values, times = self._values, self._micros
        del self._users, self._items, self._values, self._micros  # two times as long as what is made of them
        if times is not None and self._is_split:  # sort now: truncation loses the order within a second
            others: list[NDArray[Any]] = [items.rows] if values is None else [items.rows, values]
            user_rows, times, item_rows, *sorted_values = grouped_by_user(users.rows, times, others, len(users.vocab))
            users, items = IndexedIds(users.vocab, user_rows), IndexedIds(items.vocab, item_rows)
            values = sorted_values[0] if sorted_values else None
        if times is not None:
            for block in blocks(len(times)):
                times[block] //= MICROS
        return Log(read.where, users, items, values, times, notes=read.notes, read=read)


class _Ids:
    """A column of ids: whole numbers until all are known, text by the order of its first use."""

    def __init__(self, n: int) -> None:
        self._n, self._codes = n, dict[str, int]()
        self._column: NDArray[Any] | None = None
        self._dtype = pl.DataType()

    def add(self, ids: pl.Series, start: int) -> bool:
        """Append a piece. False if its ids are of another type than those before."""
        if self._column is None:
            is_narrow = ids.dtype in (*_NARROW, pl.String)
            self._column, self._dtype = empty(self._n, np.int32 if is_narrow else np.int64), ids.dtype
        if ids.dtype == pl.String:
            unique = ids.unique()
            codes = [self._codes.setdefault(id, len(self._codes)) for id in unique.to_list()]
            ids = ids.replace_strict(unique, codes, return_dtype=pl.Int32)
            return self._append(ids, start, pl.String())
        return self._append(ids, start, ids.dtype)

    def _append(self, numbers: pl.Series, start: int, dtype: pl.DataType) -> bool:
        if self._column is None or dtype != self._dtype:
            return False
        self._column[start : start + len(numbers)] = numbers.to_numpy()
        return True

    def indexed(self) -> IndexedIds:
        """The vocabulary, and the rows of all ids."""
        column = np.empty(0, dtype=np.int64) if self._column is None else self._column
        if self._codes:
            unique = pl.Series(list(self._codes), dtype=pl.String)
            order = unique.arg_sort().to_numpy()  # by code point, as numpy sorts strings
            row_of = np.empty(len(order), dtype=np.int32)
            row_of[order] = np.arange(len(order), dtype=np.int32)
            return IndexedIds(Vocab(as_ids(unique.gather(order).to_list())), looked_up(row_of, column))
        low, high = int(column.min()), int(column.max())
        if low >= 0 and high < LARGEST_TABLE:
            seen = np.zeros(high + 1, dtype=bool)
            for block in blocks(len(column)):
                seen[column[block]] = True
            return IndexedIds(
                Vocab(np.flatnonzero(seen)), looked_up(np.cumsum(seen, dtype=np.int32) - np.int32(1), column)
            )
        ids: IdArray = np.empty(0, dtype=np.int64)
        for block in blocks(len(column)):
            ids = np.union1d(ids, column[block])
        rows: IntArray = empty(len(column), np.int32)
        for block in blocks(len(rows)):
            rows[block] = np.searchsorted(ids, column[block])
        return IndexedIds(Vocab(ids), rows)

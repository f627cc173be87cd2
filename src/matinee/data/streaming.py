"""Logs that do not fit into memory: read piece by piece into columns that may lie in files.

Each piece is checked as a whole log is. What a reader finds out from a whole column, such as the unit of its times, has
to be the same in every piece; where it is not, the log is not read so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from matinee.reading.compression import is_packed
from matinee.reading.table import Read, Table, read_table
from matinee.reading.timestamps import MICROS, note_on, whole_seconds
from matinee.vocab import IdArray, Vocab, as_ids

PIECE = 2**20
"""Rows of a typed file that are read at once."""
TEXT_PIECE = 2**24
"""Bytes of text that are read at once."""
LARGEST_TABLE = 2**26
"""Whole numbers below it are looked up in a table, one for each number there could be."""
_NARROW = (pl.Int8, pl.Int16, pl.Int32)


def stream_log(archive: Archive, names: Sequence[str], where: str, columns: ColumnsConfig, now: Instant) -> Log | None:
    """Read a log of one or more files of delimited text, Parquet or Arrow in pieces. None where it has to be whole.

    Whole are read: other files, packed text and such with quotes, comments or another encoding than UTF-8; data sets
    that `matinee data import` wrote; logs with titles or kinds of events; those whose blank rows are dropped; and those
    whose pieces differ in the kind of their ids or the unit of their times.
    Raises DataError as reading as a whole does, with the place in its file.
    """
    if columns.drop_blank or columns.encoding is not None:
        return None
    inside = where if len(names) > 1 else ""
    files = [_TypedFile.of(archive, name, inside) or _TextFile.of(archive, name, inside, columns) for name in names]
    known = [file for file in files if file is not None]
    first = next((piece for file in known for piece in file.pieces()), None)
    if len(known) < len(names) or first is None or is_item_table(first.table.frame.columns):
        return None
    roles, names_of_columns = first.table.roles(columns), first.table.frame.columns
    taken = tuple(roles.values())
    if title_columns(names_of_columns, roles) or kind_column(first.table, columns, taken) is not None:
        return None
    collected = _Columns(roles, sum(file.n_rows for file in known))
    for file in known:
        for piece in file.pieces():
            if piece is None or not _is_plain(piece.table, first.table) or not collected.add(piece, now):
                return None
    unused = tuple(name for name in names_of_columns if name not in taken)
    return collected.log(Read(first.where, first.table.format, roles, unused, notes=collected.notes or ()))


def _is_plain(table: Table, first: Table) -> bool:
    """Whether a piece has the form of the first, and nothing was left out of it."""
    is_alike = (table.format, table.numbered) == (first.format, first.numbered)
    return is_alike and set(table.frame.columns) == set(first.frame.columns) and not table.dropped and not table.notes


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a file. where: what messages call the log; inside: whether it has more files; start: see place."""

    table: Table
    where: str
    inside: bool
    start: int

    def locate(self, row: int) -> str:
        """The place of a row, as in a table of several files. start: of the rows or lines before the table's own."""
        lines = self.table.lines
        place = f"row {self.start + row + 1}" if lines is None else f"line {self.start + int(lines[row])}"
        return f"{self.table.where}, {place}" if self.inside else place


@dataclass(frozen=True, slots=True)
class _TypedFile:
    """A Parquet or Arrow file. inside: the folder whose files are one table, empty for a single file."""

    rows: pl.LazyFrame
    where: str
    inside: str
    n_rows: int
    format: str

    @classmethod
    def of(cls, archive: Archive, name: str, inside: str) -> "_TypedFile | None":
        """None for a file that cannot be read in pieces so."""
        path = archive.on_disk(name)
        rows = None if path is None or has_folder_columns(name) else scan_columnar(path)
        if path is None or rows is None or (format := format_of(path)) == OWN:
            return None
        return cls(rows, archive.where(name), inside, int(rows.select(pl.len()).collect().item()), format)

    def pieces(self) -> Iterator[_Piece]:
        """Its rows, in order."""
        for start in range(0, self.n_rows, PIECE):
            table = Table(self.where, self.rows.slice(start, PIECE).collect(), format=self.format)
            yield _Piece(table, self.inside or self.where, bool(self.inside), start)


@dataclass(frozen=True, slots=True)
class _TextFile:
    """A file of delimited text without quotes. n_rows: at most; header: its first line, empty without one."""

    path: Path
    where: str
    inside: str
    n_rows: int
    header: bytes
    columns: ColumnsConfig

    @classmethod
    def of(cls, archive: Archive, name: str, inside: str, columns: ColumnsConfig) -> "_TextFile | None":
        """None for a file that cannot be read in pieces so."""
        path, where = archive.on_disk(name), archive.where(name)
        if path is None or has_folder_columns(name):
            return None
        with path.open("rb") as file:
            head = file.read(TEXT_PIECE)
            n_rows = 1 + head.count(b"\n")
            while chunk := file.read(TEXT_PIECE):
                n_rows += chunk.count(b"\n")
        cut = head.rfind(b"\n") + 1
        if not cut or b"\0" in head or is_packed(head):
            return None
        table = read_table(head[:cut], where, columns)
        header = b"" if table.numbered else head[: head.index(b"\n") + 1]
        return cls(path, where, inside, n_rows, header, columns) if table.format == "text" else None

    def pieces(self) -> Iterator[_Piece | None]:
        """Its lines, in order; None for some that are not plain."""
        with self.path.open("rb") as file:
            file.seek(len(self.header))
            rest, before = b"", 0  # lines before the piece, without the header
            while chunk := file.read(TEXT_PIECE):
                text, newline, rest = (rest + chunk).rpartition(b"\n")
                if text.strip():
                    yield self._piece(text + newline, before)
                before += text.count(b"\n") + len(newline)
            if rest.strip():
                yield self._piece(rest, before)

    def _piece(self, text: bytes, before: int) -> _Piece | None:
        if b'"' in text:
            return None
        table = read_table(self.header + text, self.where, self.columns)
        return _Piece(table, self.inside or self.where, bool(self.inside), before)


class _Columns:
    """The columns of a log, filled piece by piece. roles: the column of each role; n: rows in all, at most."""

    notes: tuple[str, ...] | None = None

    def __init__(self, roles: dict[str, str], n: int) -> None:
        self._roles, self._filled = roles, 0
        self._users, self._items = _Ids(n), _Ids(n)
        self._values: FloatArray | None = empty(n, np.float32) if "value" in roles else None
        self._micros: IntArray | None = empty(n, np.int64) if "at" in roles else None
        self._unit, self._is_split = "", False

    def add(self, piece: _Piece, now: Instant) -> bool:
        """Check and append a piece. False if it has another kind of ids, unit or notes than those before."""
        frame, where, roles = piece.table.frame, piece.where, self._roles
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
        n = self._filled
        users, items = self._users.indexed(n), self._items.indexed(n)
        values = None if self._values is None else self._values[:n]
        times = None if self._micros is None else self._micros[:n]
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

    def indexed(self, n: int) -> IndexedIds:
        """The vocabulary, and the rows of the first n ids, which are all."""
        column = np.empty(0, dtype=np.int64) if self._column is None else self._column[:n]
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

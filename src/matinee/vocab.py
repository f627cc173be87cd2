"""Vocabularies: the only code that converts between outside ids and array rows."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.arrays import IntArray

UNKNOWN = -1
"""The row of an id that is not in the vocabulary."""

Id: TypeAlias = int | str
IdArray: TypeAlias = NDArray[Any]
"""int64, or numpy's variable-width strings."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocab:
    """Ids in ascending order; the row of an id is its index.

    ids: [n] unique and ascending, int64 or StringDType.
    """

    ids: IdArray

    def __repr__(self) -> str:
        some = ", ".join(repr(each) for each in self.ids[:3].tolist())
        return f"Vocab of {len(self.ids):,} ids: {some}{', ...' if len(self.ids) > 3 else ''}"

    @classmethod
    def index(cls, ids: IdArray) -> tuple["Vocab", IntArray]:
        """Build a vocabulary from a column of ids [N]. Returns it and the column as rows [N] int32."""
        if ids.dtype.kind in "iu" and len(ids) and ids.min() >= 0 and ids.max() < 8 * len(ids) + 65536:
            seen = np.zeros(int(ids.max()) + 1, dtype=bool)  # a table beats a sort where ids are dense
            seen[ids] = True
            row_of_id = np.cumsum(seen, dtype=np.int32) - np.int32(1)
            return cls(np.flatnonzero(seen)), row_of_id[ids]
        unique, rows = np.unique(ids, return_inverse=True)
        return cls(as_ids(unique)), rows.astype(np.int32)

    @classmethod
    def of(cls, ids: Sequence[Id] | IdArray) -> "Vocab":
        """Build a vocabulary from ids in any order; repeats are dropped."""
        return cls(np.unique(as_ids(ids)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def numeric(self) -> bool:
        """Whether the ids are integers."""
        return self.ids.dtype.kind in "iu"

    def to_series(self, rows: IntArray | None = None) -> pl.Series:
        """The ids, or those of rows [N], as a column of a frame: integers or text."""
        ids = pl.Series(self.ids) if self.numeric else pl.Series(self.ids.tolist(), dtype=pl.String)
        return ids if rows is None else ids.gather(rows)

    def rows(self, ids: Sequence[Id] | IdArray) -> IntArray:
        """Ids [n] -> rows [n] int32; UNKNOWN for a new id. If the ids are integers, `"7"` matches 7."""
        if len(ids) == 0 or len(self.ids) == 0:
            return np.full(len(ids), UNKNOWN, dtype=np.int32)
        if not self.numeric:
            return self._rows_of_text([str(i) for i in ids])
        wanted = _as_integers(ids)
        rows = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[rows] == wanted, rows, UNKNOWN).astype(np.int32)

    def _rows_of_text(self, ids: list[str]) -> IntArray:
        """Rows of text ids. Avoids numpy's searchsorted: 2.4 misorders strings over 15 bytes across two arrays."""
        if 16 * len(ids) > len(self):  # then one dict of all ids is faster than a binary search for each
            row_of_id = {known: row for row, known in enumerate(self.ids.tolist())}
            return np.array([row_of_id.get(id, UNKNOWN) for id in ids], dtype=np.int32)
        candidates = (bisect_left(self.ids, id) for id in ids)
        rows = [
            row if row < len(self) and self.ids[row] == id else UNKNOWN for row, id in zip(candidates, ids, strict=True)
        ]
        return np.array(rows, dtype=np.int32)

    def row(self, id: Id) -> int:
        """The row of one id; UNKNOWN if it is new."""
        return int(self.rows([id])[0])

    def id(self, row: int) -> Id:
        """The id at a row, as a Python int or str. Raises IndexError outside 0..n-1."""
        if not 0 <= row < len(self.ids):
            raise IndexError(f"row {row} is outside 0..{len(self.ids) - 1}")
        return self.ids[row].item() if self.numeric else str(self.ids[row])

    def ids_of(self, rows: IntArray) -> list[Id]:
        """The ids at rows [n], all known, as Python ints or strs."""
        found: list[Id] = self.ids[rows].tolist()
        return found

    def take(self, rows: IntArray) -> "Vocab":
        """The vocabulary of a subset of rows, in ascending order."""
        return Vocab(self.ids[rows])


@dataclass(frozen=True, slots=True, eq=False)
class GrownVocab(Vocab):
    """A vocabulary with ids that came later, in any order, in the rows after those of the first.

    ids: [n + m], those of `first` [n], then the later ones; row_of: of the later ids as text.
    """

    first: Vocab
    row_of: Mapping[str, int]

    @classmethod
    def grow(cls, first: Vocab, later: Sequence[Id]) -> "GrownVocab":
        """Add ids that `first` does not have, each once."""
        ids = np.concatenate([first.ids, np.array(list(later), dtype=first.ids.dtype)])
        return cls(ids, first, {str(id): len(first) + n for n, id in enumerate(later)})

    def rows(self, ids: Sequence[Id] | IdArray) -> IntArray:
        """As `Vocab.rows`."""
        rows = self.first.rows(ids)
        for index in np.flatnonzero(rows == UNKNOWN).tolist():
            rows[index] = self.row_of.get(str(ids[index]), UNKNOWN)
        return rows


def as_ids(ids: Sequence[Id] | IdArray) -> IdArray:
    """A column of ids: int64 if all are integers, otherwise strings."""
    if isinstance(ids, np.ndarray):
        return ids.astype(np.int64) if ids.dtype.kind in "iu" else ids.astype(np.dtypes.StringDType())
    if all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in ids):
        return np.array(ids, dtype=np.int64)
    return np.array([str(i) for i in ids], dtype=np.dtypes.StringDType())


_SMALLEST = int(np.iinfo(np.int64).min)


def _as_integers(ids: Sequence[Id] | IdArray) -> IdArray:
    """Ids as int64; a non-integer becomes the smallest int64, which no log contains."""
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        return ids.astype(np.int64)
    if set(map(type, ids)) == {int}:  # a tenth of the time that one by one takes
        with suppress(OverflowError):
            return np.array(ids, dtype=np.int64)
    return np.array([_integer(i) for i in ids], dtype=np.int64)


def _integer(id: Id) -> int:
    try:
        number = int(id)
    except (TypeError, ValueError):
        return _SMALLEST
    return number if abs(number) < 2**63 else _SMALLEST

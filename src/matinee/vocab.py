"""Ids outside, rows inside: the only place that converts between them."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import IntArray

UNKNOWN = -1
"""The row of an id that the vocabulary does not hold."""

Id: TypeAlias = int | str
IdArray: TypeAlias = NDArray[Any]
"""int64, or numpy's variable-width strings."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocab:
    """Ids in ascending order; the row of an id is its place.

    ids: [n] unique and ascending, int64 or StringDType.
    """

    ids: IdArray

    @classmethod
    def index(cls, ids: IdArray) -> tuple["Vocab", IntArray]:
        """The vocabulary of a column of ids [N], and the column as rows [N] int32."""
        if ids.dtype.kind in "iu" and len(ids) and ids.min() >= 0 and ids.max() < 8 * len(ids) + 65536:
            seen = np.zeros(int(ids.max()) + 1, dtype=bool)  # a table beats a sort where ids are dense
            seen[ids] = True
            table = np.cumsum(seen, dtype=np.int32) - np.int32(1)
            return cls(np.flatnonzero(seen)), table[ids]
        known, rows = np.unique(ids, return_inverse=True)
        return cls(known), rows.astype(np.int32)

    @classmethod
    def of(cls, ids: Sequence[Id] | IdArray) -> "Vocab":
        """The vocabulary of these ids, in any order, repeats dropped."""
        return cls(np.unique(as_ids(ids)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def numeric(self) -> bool:
        """Whether the ids are integers."""
        return self.ids.dtype.kind in "iu"

    def rows(self, ids: Sequence[Id] | IdArray) -> IntArray:
        """Ids [n] -> rows [n] int32, UNKNOWN where an id is new. `"7"` finds 7 where ids are integers."""
        if len(ids) == 0 or len(self.ids) == 0:
            return np.full(len(ids), UNKNOWN, dtype=np.int32)
        if not self.numeric:
            return self._rows_of_text([str(i) for i in ids])
        wanted = _as_integers(ids)
        places = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[places] == wanted, places, UNKNOWN).astype(np.int32)

    def _rows_of_text(self, ids: list[str]) -> IntArray:
        """As rows. numpy's searchsorted compares texts of over 15 bytes wrongly across two arrays (2.4), so not it."""
        if 16 * len(ids) > len(self):  # a table of all ids is then quicker than a search for each
            table = {known: row for row, known in enumerate(self.ids.tolist())}
            return np.array([table.get(id, UNKNOWN) for id in ids], dtype=np.int32)
        places = (bisect_left(self.ids, id) for id in ids)
        found = [
            place if place < len(self) and self.ids[place] == id else UNKNOWN
            for place, id in zip(places, ids, strict=True)
        ]
        return np.array(found, dtype=np.int32)

    def row(self, id: Id) -> int:
        """The row of one id, UNKNOWN where it is new."""
        return int(self.rows([id])[0])

    def id(self, row: int) -> Id:
        """The id at a row, as a Python int or str. Raises IndexError outside 0..n-1."""
        if not 0 <= row < len(self.ids):
            raise IndexError(f"row {row} is outside 0..{len(self.ids) - 1}")
        return self.ids[row].item() if self.numeric else str(self.ids[row])

    def take(self, rows: IntArray) -> "Vocab":
        """The vocabulary of some rows, which must ascend."""
        return Vocab(self.ids[rows])


def as_ids(ids: Sequence[Id] | IdArray) -> IdArray:
    """A column of ids as int64 where all are integers, else as strings."""
    if isinstance(ids, np.ndarray):
        return ids.astype(np.int64) if ids.dtype.kind in "iu" else ids.astype(np.dtypes.StringDType())
    if all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in ids):
        return np.array(ids, dtype=np.int64)
    return np.array([str(i) for i in ids], dtype=np.dtypes.StringDType())


def _as_integers(ids: Sequence[Id] | IdArray) -> IdArray:
    """Ids as int64; what is no integer becomes the least int64, which no vocabulary of a log holds."""
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        return ids.astype(np.int64)
    return np.array([_integer(i) for i in ids], dtype=np.int64)


def _integer(id: Id) -> int:
    least = int(np.iinfo(np.int64).min)
    try:
        number = int(id)
    except (TypeError, ValueError):
        return least
    return number if abs(number) < 2**63 else least

"""Finding items by the people who made them or play in them, where the data name any."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.catalogue import Catalogue
from matinee.item_table import ItemTable
from matinee.ranking.shared import kind_of_column
from matinee.serve.search import TitleSearch

PEOPLE = ("director", "cast", "writer", "author", "person")
"""Kinds of list columns that hold names of people."""


class Credited(NamedTuple):
    """A person, and the rows of the items that name them, the best known first."""

    name: str
    rows: list[int]


class People:
    """An index of names; built once, safe to read from any thread. popularity: [I], events per item."""

    def __init__(self, table: ItemTable, popularity: IntArray) -> None:
        rows: defaultdict[str, dict[int, None]] = defaultdict(dict)
        for column, words in table.lists.items():
            if kind_of_column(column) in PEOPLE:
                for row, names in enumerate(words):
                    for name in names:
                        rows[name][row] = None
        self._rows = [np.array(list(found)) for found in rows.values()]
        self._names = tuple(rows)
        self._popularity = popularity
        known = np.array([int(popularity[found].sum()) for found in self._rows], dtype=np.int64)
        self._search = TitleSearch(Catalogue.of(self._names), known) if self._names else None

    def find(self, query: str, k: int, listed: BoolArray | None = None) -> Credited | None:
        """The best known person whose name matches a query, with at most k items; None without one.

        listed: [I], whether an item may be found.
        """
        found = self._search.find(query, 1) if self._search else []
        if not found:
            return None
        rows = self._rows[found[0]]
        rows = rows if listed is None else rows[listed[rows]]
        order = np.lexsort((rows, -self._popularity[rows]))[:k]
        return Credited(self._names[found[0]], rows[order].tolist()) if len(order) else None

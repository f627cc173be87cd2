"""What a recommended item has in common with the items that are its reasons: a director, a genre, a tag."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from matinee.item_table import ItemTable
from matinee.models.base import Path

COMMON = 0.2
"""A word that more than this share of all items has says nothing about two of them."""
RARE = 0.01
"""A word that at most this share of all items has, such as a director, tells more than a second reason."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A word of a list column of the item table, such as `directed_by` and `Ridley Scott`.

    `liked` or `rated` without a value: users who liked one, or have it in their history, and the other too.
    """

    attribute: str
    value: str


class SharedWords:
    """Finds the rarest word that items share. table: what is known of the items, by row."""

    def __init__(self, table: ItemTable) -> None:
        self._lists = {name: tuple(map(frozenset, column)) for name, column in table.lists.items()}
        self._counts = {
            name: Counter(word for words in column for word in words) for name, column in self._lists.items()
        }
        self._most, self._rare = COMMON * len(table), RARE * len(table)

    def find_for(self, item_row: int, cited_rows: Sequence[int]) -> tuple[int, Shared | None]:
        """How many of the cited items, the first ones, to name with which word.

        All, unless what all share is not rare, and the first alone shares something rare: then that one.
        """
        of_all = self.find(item_row, cited_rows)
        if len(cited_rows) > 1 and not self._is_rare(of_all):
            alone = self.find(item_row, cited_rows[:1])
            if self._is_rare(alone):
                return 1, alone
        return len(cited_rows), of_all

    def find(self, item_row: int, cited_rows: Sequence[int]) -> Shared | None:
        """The rarest word that an item shares with all cited ones; None without any, and for words that are common.

        Of equally rare ones, that of the last column, then the first in the alphabet: columns of the user's own table
        come after the genres and tags of the data.
        """
        if not cited_rows:
            return None
        found: list[tuple[int, int, str, str]] = []
        for place, (name, column) in enumerate(self._lists.items()):
            words = column[item_row].intersection(*(column[row] for row in cited_rows))
            counts = self._counts[name]
            found += [(counts[word], -place, word, name) for word in words if counts[word] <= self._most]
        if not found:
            return None
        _, _, value, attribute = min(found)
        return Shared(attribute, value)

    def _is_rare(self, shared: Shared | None) -> bool:
        return shared is not None and self._counts[shared.attribute][shared.value] <= self._rare


def word_of_path(path: Path) -> Shared | None:
    """The entity in the middle of a path, and the relation that leads to it; None for a path over another item.

    Only of a path of three nodes: what is further away is not shared by both ends. A path over a user has no value: of
    the relation `liked` if that user liked both ends.
    """
    if len(path.nodes) != 3:
        return None
    middle, (first, last) = path.nodes[1], path.relations
    if middle.type == "user":
        return Shared(first if first == last else "rated", "")
    return Shared(first, middle.name) if middle.name else None

"""What a recommended item has in common with the items that are its reasons: a director, a genre, a tag."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from matinee.item_table import ItemTable, Words
from matinee.models.base import Path
from matinee.ranking.series import series_of

COMMON = 0.2
"""A word that more than this share of all items has says nothing about two of them."""
RARE = 0.01
"""A word that at most this share of all items has, such as a director, tells more than a second reason."""
BROAD = 0.05
"""Of a genre that more than this share of all items has, such as Action, a second one says more: `Action/Sci-Fi`."""
JOINT = "/"

NO_GENRES = frozenset({"imax", "3d", "(no genres listed)"})
"""Words that stand among genres, in lower case, and say nothing of what a film is like."""


KINDS = {
    "series": ("series", "franchise", "collection", "saga"),
    "director": ("director", "directors", "directed_by"),
    "cast": ("cast", "starring", "stars", "actor", "actors"),
    "writer": ("writer", "writers", "written_by", "screenplay"),
    "author": ("author", "authors", "artist", "artists", "creator", "composer", "music_by"),
    "brand": ("brand", "brands", "maker", "manufacturer", "publisher", "studio"),
    "person": ("people", "person", "persons", "crew"),
    "genre": ("genre", "genres", "category", "categories"),
    "tag": ("tag", "tags", "keyword", "keywords"),
}
"""What list columns of an item table say, by their names; any other is `other`."""
ROLES = ("series", "director", "author", "writer", "cast", "person", "brand", "other", "tag", "genre")
"""Kinds by how much of an item is theirs: a film is its director's before it is that of one of its actors."""
SERIES = "series"
"""The list of the series that titles tell, where the table has no column of that kind."""


@cache
def kind_of_column(attribute: str) -> str:
    """The kind of a list column, one of ROLES."""
    name = attribute.lower().replace(" ", "_")
    return next((kind for kind, names in KINDS.items() if name in names), "other")


@dataclass(frozen=True, slots=True)
class Shared:
    """A word of a list column of the item table, such as `directed_by` and `Ridley Scott`, or two genres: `War/Drama`.

    `liked` or `rated` without a value: users who liked one, or have it in their history, and the other too.
    """

    attribute: str
    value: str


class SharedWords:
    """Finds the most telling word that items share. table: what is known of the items, by row."""

    def __init__(self, table: ItemTable) -> None:
        self._words = {name: _telling(name, column) for name, column in table.lists.items()} | _series(table)
        self._lists = {name: tuple(map(frozenset, column)) for name, column in self._words.items()}
        self._counts = {
            name: Counter(word for words in column for word in words) for name, column in self._lists.items()
        }
        self._roles = {name: ROLES.index(kind_of_column(name)) for name in self._lists}
        self._rare = RARE * len(table)
        self._telling = self._most_telling_first(COMMON * len(table))
        rank_of = {pair: rank for rank, pair in enumerate(self._telling)}
        self._ranks = [
            frozenset(
                rank_of[name, word]
                for name, column in self._lists.items()
                for word in column[row]
                if (name, word) in rank_of
            )
            for row in range(len(table))
        ]

    def _most_telling_first(self, most: float) -> list[tuple[str, str]]:
        """Columns and their words, without those of more than `most` items, in the order that `find` goes by."""
        found = [
            (max(count, self._rare), self._roles[name], count, -place, word, name)
            for place, (name, counts) in enumerate(self._counts.items())
            for word, count in counts.items()
            if count <= most
        ]
        return [(name, word) for *_, word, name in sorted(found)]

    def find_for(self, item_row: int, cited_rows: Sequence[int]) -> tuple[int, Shared | None]:
        """How many of the cited items, the first ones, to name with which word.

        All, unless the first alone shares something where all share nothing, or something rare where all do not: then
        that one.
        """
        of_all = self.find(item_row, cited_rows)
        if len(cited_rows) > 1 and not self._is_rare(of_all):
            alone = self.find(item_row, cited_rows[:1])
            if self._is_rare(alone) or (of_all is None and alone is not None):
                return 1, alone
        return len(cited_rows), of_all

    def find(self, item_row: int, cited_rows: Sequence[int]) -> Shared | None:
        """The most telling word that an item shares with all cited ones; None without any, and for common words.

        A rarer word tells more, down to RARE: below, the number of someone's films does not say how much of a film is
        theirs. Of equally telling ones, that of the first of ROLES, then the rarer, then that
        of the last column (the user's own table comes after the data's), then the first in the alphabet.
        """
        if not cited_rows:
            return None
        ranks = self._ranks[item_row].intersection(*(self._ranks[row] for row in cited_rows))
        if not ranks:
            return None
        attribute, value = self._telling[min(ranks)]
        return Shared(attribute, self._with_second(attribute, value, (item_row, *cited_rows)))

    def _with_second(self, attribute: str, value: str, rows: Sequence[int]) -> str:
        """A genre that many items have with the rarest other one that all of some items have, in the first's order."""
        counts, column = self._counts[attribute], self._lists[attribute]
        if ROLES[self._roles[attribute]] != "genre" or counts[value] <= BROAD * len(column):
            return value
        others = frozenset.intersection(*(column[row] for row in rows)) - {value}
        second = min(others, key=lambda word: (counts[word], word), default=value)
        words = self._words[attribute][rows[0]]
        return JOINT.join(sorted({value, second}, key=words.index))

    def _is_rare(self, shared: Shared | None) -> bool:
        return shared is not None and 0 < self._counts[shared.attribute][shared.value] <= self._rare


def _telling(attribute: str, column: Words) -> Words:
    """A list column without the words among genres that are none."""
    if kind_of_column(attribute) != "genre":
        return column
    return tuple(tuple(word for word in words if word.lower() not in NO_GENRES) for words in column)


def _series(table: ItemTable) -> dict[str, Words]:
    """The column of the series that titles tell; none where the table has one."""
    if any(kind_of_column(name) == "series" for name in table.lists):
        return {}
    columns = [column for name, column in table.lists.items() if kind_of_column(name) == "genre"]
    genres = [tuple(word for words in of_item for word in words) for of_item in zip(*columns, strict=True)]
    names = series_of(table.titles, table.years.tolist(), genres or [()] * len(table))
    return {SERIES: tuple((name,) if name else () for name in names)}


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


def named_by(paths: Sequence[Path], cited_rows: Collection[int], shared: Shared | None) -> tuple[int, Shared] | None:
    """The cited item whose path, of those given, best first, says what it shares, and that; None if none does.

    A path over other users says something only where nothing else is shared.
    """
    starts = [(path.nodes[0].item_row, path) for path in paths]
    named = [(row, word) for row, path in starts if row in cited_rows and (word := word_of_path(path))]
    with_value = [each for each in named if each[1].value or shared is None]
    return min(with_value, key=lambda each: not each[1].value, default=None)

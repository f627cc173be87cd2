"""What is known of the items: title, year, genres; and finding an item by its title."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.errors import MatineeError
from matinee.vocab import UNKNOWN

_YEAR = re.compile(r"\s*\((\d{4})(?:[–-]\d{0,4})?\)\s*$")
_ARTICLE_LAST = re.compile(r"^(.*), (the|a|an|la|le|les|il|el|die|der|das)$")


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Item row -> title, year and genres.

    titles: [I], as the data has them, the year in brackets; years: [I], 0 where unknown;
    genres: [I], each in the order of the data; tags: [I], what most people called an item first; () where the data
    has none.
    """

    titles: tuple[str, ...]
    years: tuple[int, ...]
    genres: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(
        cls,
        titles: Sequence[str],
        genres: Sequence[Sequence[str]] | None = None,
        tags: Sequence[Sequence[str]] = (),
    ) -> "Catalogue":
        """A catalogue from titles such as `Alien (1979)`, the year read from the brackets."""
        found = (_YEAR.search(title) for title in titles)
        years = tuple(int(match.group(1)) if match else 0 for match in found)
        return cls(
            tuple(titles), years, tuple(map(tuple, genres)) if genres else ((),) * len(titles), tuple(map(tuple, tags))
        )

    def __len__(self) -> int:
        return len(self.titles)

    def take(self, rows: IntArray) -> "Catalogue":
        """The catalogue of some rows."""
        keep = rows.tolist()
        return Catalogue(
            tuple(self.titles[row] for row in keep),
            tuple(self.years[row] for row in keep),
            tuple(self.genres[row] for row in keep),
            tuple(self.tags[row] for row in keep) if self.tags else (),
        )

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """Every genre, in alphabetical order."""
        return tuple(sorted({genre for genres in self.genres for genre in genres}))

    @cached_property
    def genre_matrix(self) -> BoolArray:
        """Which item has which genre. [I, G], columns as in genre_names."""
        column = {genre: place for place, genre in enumerate(self.genre_names)}
        matrix = np.zeros((len(self), len(column)), dtype=bool)
        for row, genres in enumerate(self.genres):
            matrix[row, [column[genre] for genre in genres]] = True
        return matrix

    def row_of_title(self, title: str) -> int:
        """The row of the item that a person means by a title.

        Case, accents, punctuation, a leading or trailing article and a missing year are forgiven;
        of several with the same name the newest is meant.
        Raises MatineeError with the closest titles where nothing matches.
        """
        for key in (_fold(title), _fold(_YEAR.sub("", title))):
            if (row := self._rows_by_key.get(key, UNKNOWN)) != UNKNOWN:
                return row
        close = get_close_matches(_fold(title), self._rows_by_key, n=6, cutoff=0.6)
        names = list(dict.fromkeys(self.titles[self._rows_by_key[key]] for key in close))[:3]
        hint = f"; did you mean {' or '.join(map(repr, names))}?" if names else ""
        raise MatineeError(f"no movie titled {title!r} in the catalogue{hint}")

    @cached_property
    def _rows_by_key(self) -> dict[str, int]:
        rows: dict[str, int] = {}
        for row in sorted(range(len(self)), key=lambda row: self.years[row]):
            rows[_fold(_YEAR.sub("", self.titles[row]))] = row
        return rows | {_fold(title): row for row, title in enumerate(self.titles)}


def _fold(title: str) -> str:
    """A title reduced to what people agree on: lower-case words without accents, the article in front dropped."""
    plain = unicodedata.normalize("NFKD", title.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    year = _YEAR.search(plain)
    name = _YEAR.sub("", plain).strip()
    if moved := _ARTICLE_LAST.match(name):
        name = f"{moved.group(2)} {moved.group(1)}"
    words = re.findall(r"\w+", name)
    words = words[1:] if len(words) > 1 and words[0] in {"the", "a", "an"} else words
    return " ".join([*words, year.group(1)] if year else words)


def join_genres(genres: Iterable[str]) -> str:
    """`Action|Sci-Fi`, the form in which MovieLens writes genres."""
    return "|".join(genres)


def split_genres(text: str | None) -> tuple[str, ...]:
    """The reverse of join_genres; nothing and MovieLens' own `(no genres listed)` are no genre."""
    return tuple(genre for genre in (text or "").split("|") if genre and genre != "(no genres listed)")

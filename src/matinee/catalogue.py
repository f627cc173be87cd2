"""The catalogue: titles, years and genres of the items, and lookup by title."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.errors import MatineeError
from matinee.titles import article_first, split_year, title_key, word_key


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Title, year and genres by item row.

    titles: [I], as in the data, with the year in brackets; years: [I], 0 if unknown; genres: [I], in the order of the
    data; tags: [I], the most frequent first, or () if the data has none; counts: [I], events of each item, which decide
    between items of one title, or None if unknown.
    """

    titles: tuple[str, ...]
    years: tuple[int, ...]
    genres: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str, ...], ...] = ()
    counts: IntArray | None = None

    @classmethod
    def of(
        cls,
        titles: Sequence[str],
        genres: Sequence[Sequence[str]] | None = None,
        tags: Sequence[Sequence[str]] = (),
    ) -> "Catalogue":
        """Build a catalogue from titles such as `Alien (1979)`; the year is read from the brackets."""
        years = tuple(split_year(title)[1] for title in titles)
        return cls(
            tuple(titles), years, tuple(map(tuple, genres)) if genres else ((),) * len(titles), tuple(map(tuple, tags))
        )

    def __len__(self) -> int:
        return len(self.titles)

    def take(self, rows: IntArray) -> "Catalogue":
        """The catalogue of a subset of rows."""
        kept = rows.tolist()
        return Catalogue(
            tuple(self.titles[row] for row in kept),
            tuple(self.years[row] for row in kept),
            tuple(self.genres[row] for row in kept),
            tuple(self.tags[row] for row in kept) if self.tags else (),
            None if self.counts is None else self.counts[rows],
        )

    def with_counts(self, counts: IntArray) -> "Catalogue":
        """A copy with other numbers of events. counts: [I]."""
        return replace(self, counts=counts)

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """All genres, in alphabetical order. [G]."""
        return tuple(sorted({genre for genres in self.genres for genre in genres}))

    @cached_property
    def genre_matrix(self) -> BoolArray:
        """Whether an item has a genre. [I, G], columns as in genre_names."""
        column_of = {genre: column for column, genre in enumerate(self.genre_names)}
        matrix = np.zeros((len(self), len(column_of)), dtype=bool)
        rows = np.repeat(np.arange(len(self)), [len(genres) for genres in self.genres])
        matrix[rows, [column_of[genre] for genres in self.genres for genre in genres]] = True
        return matrix

    def row_of_title(self, title: str) -> int:
        """The first of `rows_of_title`."""
        return self.rows_of_title(title)[0]

    def rows_of_title(self, title: str) -> tuple[int, ...]:
        """Find the rows of all items with a title as a user types it: the newest first, of one year the best known.

        Case, accents, punctuation, a leading or trailing article and a missing year do not matter.
        Raises MatineeError with the closest titles if nothing matches.
        """
        name, year = split_year(title)
        exact, loose = _keys(name)
        for key in ([f"{exact} {year}", f"{loose} {year}"] if year else []) + [exact, loose]:
            if rows := self._rows_by_key.get(key):
                return tuple(rows)
        close = get_close_matches(exact, self._rows_by_key, n=6, cutoff=0.6)
        names = list(dict.fromkeys(self.titles[self._rows_by_key[key][0]] for key in close))[:3]
        hint = f"; did you mean {' or '.join(map(repr, names))}?" if names else ""
        raise MatineeError(f"no movie titled {title!r} in the catalogue{hint}")

    @cached_property
    def _rows_by_key(self) -> dict[str, list[int]]:
        """Item rows by keys with and without the year, in the order of `rows_of_title`. Exact keys hide loose ones."""
        counts = np.zeros(len(self), dtype=np.int64) if self.counts is None else self.counts
        loose_rows: dict[str, list[int]] = {}
        rows: dict[str, list[int]] = {}
        for row in np.lexsort((np.arange(len(self)), counts, np.array(self.years)))[::-1].tolist():
            name, year = split_year(self.titles[row])
            exact, loose = _keys(name)
            for key in (exact, f"{exact} {year}"):
                rows.setdefault(key, []).append(row)
            for key in (loose, f"{loose} {year}"):
                loose_rows.setdefault(key, []).append(row)
        return loose_rows | rows


def _keys(name: str) -> tuple[str, str]:
    """Two keys of a title: its words, and those without spaces, articles and `and`."""
    spoken = article_first(name)
    return word_key(spoken), title_key(spoken)


def join_genres(genres: Iterable[str]) -> str:
    """Join genres as MovieLens writes them: `Action|Sci-Fi`."""
    return "|".join(genres)


def split_genres(text: str | None) -> tuple[str, ...]:
    """Invert join_genres. An empty text and MovieLens's `(no genres listed)` give no genres."""
    return tuple(genre for genre in (text or "").split("|") if genre and genre != "(no genres listed)")

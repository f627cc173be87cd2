"""Which movie of the catalogue a row of another site's table is: by id, or by title and year."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from matinee.arrays import IntArray
from matinee.catalogue import Catalogue
from matinee.serve.transfer.rows import ImportRow
from matinee.titles import split_year, spoken_title, title_key
from matinee.vocab import UNKNOWN, Vocab

YEARS_APART = 1
"""Sites differ by so much in a movie's year: its first release anywhere, or in a country."""
_YEAR = re.compile(r"([0-9]{4})(?:\.0+|[-/.][0-9]{1,2}[-/.][0-9]{1,2})?")
"""A year, also as a spreadsheet writes it, or the date of a release."""


class Match(NamedTuple):
    """The movie of a row. item_row: UNKNOWN if there is none, and reason says why (the key of a text).

    is_better_known: whether another movie has the same title and year, and fewer people know it.
    """

    item_row: int
    reason: str = ""
    is_better_known: bool = False


class MovieMatcher:
    """Finds the movies of rows. The index of titles is built on first use.

    popularity: [I], events of each item; links: item rows by the ids of other sites, such as `imdb:78748` and
    `tmdb:348`, for catalogues that have them (as MovieLens's links.csv has).
    """

    def __init__(
        self, items: Vocab, catalogue: Catalogue, popularity: IntArray, links: Mapping[str, int] | None = None
    ) -> None:
        self._items, self._catalogue, self._popularity = items, catalogue, popularity
        self._links = links or {}

    def find(self, rows: Sequence[ImportRow]) -> list[Match]:
        """The match of each row. Reasons: empty, unknown, year, several."""
        by_id = self._items.rows([row.item_id for row in rows]).tolist()
        found: dict[tuple[object, ...], Match] = {}  # the files of one export name the same movies
        matches: list[Match] = []
        for row, item_row in zip(rows, by_id, strict=True):
            key = row[1:7]  # all that names a movie
            if key not in found:
                found[key] = self._one(row, item_row)
            matches.append(found[key])
        return matches

    def _one(self, row: ImportRow, by_id: int) -> Match:
        if self._links and (linked := self._linked(row)) is not None:
            return Match(linked)
        if not row.title:
            return Match(by_id, "" if by_id != UNKNOWN else "unknown" if row.named else "empty")
        matches = (self._by_name(title, row.year, by_id) for title in (row.title, row.original) if title)
        first = next(matches)
        return first if first.item_row != UNKNOWN else next((m for m in matches if m.item_row != UNKNOWN), first)

    def _linked(self, row: ImportRow) -> int | None:
        keys = (("imdb", row.imdb.removeprefix("tt").lstrip("0")), ("tmdb", row.tmdb))
        return next((self._links[f"{site}:{id}"] for site, id in keys if f"{site}:{id}" in self._links), None)

    def _by_name(self, title: str, year: str, by_id: int) -> Match:
        name, own_year = split_year(title)
        found = self._by_title.get(title_key(name)) or self._by_title.get(title_key(title)) or []
        if by_id in found:
            return Match(by_id)  # without a matching title, the id may be another site's
        return self._in_year(found, year or (str(own_year) if own_year else ""))

    def _in_year(self, found: list[int], year: str) -> Match:
        if found and year:
            read = _YEAR.fullmatch(year)
            if read is None:
                return Match(UNKNOWN, "year")
            apart = [abs(self._catalogue.years[item_row] - int(read[1])) for item_row in found]
            nearest = min(apart)
            if nearest > YEARS_APART:
                return Match(UNKNOWN, "year")
            found = [item_row for item_row, years in zip(found, apart, strict=True) if years == nearest]
        if not found:
            return Match(UNKNOWN, "unknown")
        if not year and len({self._catalogue.years[item_row] for item_row in found}) > 1:
            return Match(UNKNOWN, "several")
        return Match(max(found, key=lambda item_row: self._popularity[item_row]), is_better_known=len(found) > 1)

    @cached_property
    def _by_title(self) -> dict[str, list[int]]:
        """Item rows by each name of a movie."""
        index: defaultdict[str, list[int]] = defaultdict(list)
        for item_row, title in enumerate(self._catalogue.titles):
            spoken = spoken_title(title)
            names = (spoken.name, spoken.other, split_year(title)[0])
            for key in {title_key(name) for name in names if name}:
                index[key].append(item_row)
        return dict(index)

"""Which movie of the catalogue a row of another site's table is: by id, or by title and year."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from matinee.catalogue import Catalogue
from matinee.serve.transfer.read import ImportRow
from matinee.titles import split_year, spoken_title, title_key
from matinee.vocab import UNKNOWN, Vocab

YEARS_APART = 1
"""Sites differ by so much in a movie's year: its first release anywhere, or in a country."""


class MovieMatcher:
    """Finds the movies of rows. The index of titles is built on first use."""

    def __init__(self, items: Vocab, catalogue: Catalogue) -> None:
        self._items, self._catalogue = items, catalogue

    def find(self, rows: Sequence[ImportRow]) -> list[int | str]:
        """For each row its item row, or why there is none: empty, unknown, year, several (keys of texts)."""
        by_id = self._items.rows([row.item_id for row in rows]).tolist()
        return [self._one(row, item_row) for row, item_row in zip(rows, by_id, strict=True)]

    def _one(self, row: ImportRow, by_id: int) -> int | str:
        if not row.title:
            return by_id if by_id != UNKNOWN else "unknown" if row.item_id else "empty"
        name, year = split_year(row.title)
        found = self._by_title.get(title_key(name)) or self._by_title.get(title_key(row.title)) or []
        if by_id in found:
            return by_id  # without a matching title, the id may be another site's
        return self._in_year(found, row.year or (str(year) if year else ""))

    def _in_year(self, found: list[int], year: str) -> int | str:
        if found and year:
            if not (year.isascii() and year.isdigit()):
                return "year"
            apart = {item_row: abs(self._catalogue.years[item_row] - int(year[:9])) for item_row in found}
            nearest = min(apart.values())
            if nearest > YEARS_APART:
                return "year"
            found = [item_row for item_row in found if apart[item_row] == nearest]
        if not found:
            return "unknown"
        return found[0] if len(found) == 1 else "several"

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

"""Reading a table that another site wrote: which column is what, and one row after the other, however odd.

Known are MovieLens (`ratings.csv`: userId, movieId, rating, timestamp), Letterboxd (`ratings.csv`, `watched.csv`,
`diary.csv`: Date, Name, Year, Letterboxd URI, Rating, ..., Watched Date), our own download, and any table with a column
for an id or a title. A row is one line: an open quote then spoils a line and not the rest of the file.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

COLUMNS = {
    "item_id": ("movieid", "itemid", "id"),
    "title": ("title", "name", "movie", "film"),
    "year": ("year", "releaseyear"),
    "rating": ("rating", "value", "stars"),
    "at": ("watcheddate", "timestamp", "at", "date", "time"),
    "kind": ("kind",),
    "record": ("record",),
    "user": ("userid", "user"),
}
"""How the columns may be called, without case, blanks and signs; of several the first counts."""
HEADER_WITHIN = 10
"""The header is one of the first lines."""
SEPARATORS = ",;\t|"
MAX_ROWS = 250_000
_LINE = re.compile(r"\r\n|\n|\r")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class UnreadableError(Exception):
    """A file that is no such table, as a key of the texts: no_table, many_people, too_long."""

    def __init__(self, key: str, n: int = 0) -> None:
        super().__init__(key)
        self.key, self.n = key, n


@dataclass(frozen=True, slots=True)
class Row:
    """One row as the file has it, each cell without blanks around it. line: its number in the file, from 1."""

    line: int
    item_id: str = ""
    title: str = ""
    year: str = ""
    rating: str = ""
    at: str = ""
    kind: str = ""
    record: str = ""
    user: str = ""

    @property
    def shown(self) -> str:
        """The row in a few words, for a report."""
        named = f"{self.title} ({self.year})" if self.title and self.year else self.title or self.item_id
        return " · ".join(part for part in (named, self.rating, self.at) if part)[:200]


def read_rows(raw: bytes) -> list[Row]:
    """The rows of a file in its order. Raises UnreadableError if it is no table, or not one person's."""
    lines = _LINE.split(_decoded(raw))
    start, separator, names = _header(lines)
    rows: list[Row] = []
    for row in _rows(lines, start, separator, names):
        if len(rows) == MAX_ROWS:
            raise UnreadableError("too_long", MAX_ROWS)
        rows.append(row)
    people = {row.user for row in rows if row.user}
    if len(people) > 1:
        raise UnreadableError("many_people", len(people))
    return rows


def _decoded(raw: bytes) -> str:
    """The text of a file: Unicode by its mark, else UTF-8, else what Windows writes in the west."""
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _header(lines: Sequence[str]) -> tuple[int, str, list[str]]:
    """The place of the header, the separator, and what each column is ("" if nothing that we read)."""
    for place, line in enumerate(lines[:HEADER_WITHIN]):
        readings = [(separator, _named(_cells(line, separator))) for separator in SEPARATORS]
        separator, names = max(readings, key=lambda reading: sum(map(bool, reading[1])))
        if "item_id" in names or "title" in names:
            return place, separator, names
    raise UnreadableError("no_table")


def _named(cells: Sequence[str]) -> list[str]:
    plain = [re.sub(r"[\W_]", "", cell).casefold() for cell in cells]
    names = [""] * len(plain)
    for field, calls in COLUMNS.items():
        called = next((call for call in calls if call in plain), None)
        if called is not None:
            names[plain.index(called)] = field
    return names


def _rows(lines: Sequence[str], start: int, separator: str, names: list[str]) -> Iterator[Row]:
    fields = [(name, place) for place, name in enumerate(names) if name]
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip():
            continue
        cells = _cells(line, separator)
        yield Row(number, **{name: cells[place].strip() for name, place in fields if place < len(cells)})


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:  # a cell longer than any title
        return line.split(separator)

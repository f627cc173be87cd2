"""Reading a table of another site: which column is which, and every row, malformed ones too.

Reads MovieLens (`ratings.csv`: userId, movieId, rating, timestamp), Letterboxd (`ratings.csv`, `watched.csv`,
`diary.csv`: Date, Name, Year, Letterboxd URI, Rating, ..., Watched Date), this site's download, and any table with a
column for an id or a title. A row is one line, so that an open quote spoils one line and not the rest of the file.

`reading/delimited.py` refuses a log with a broken line, so that no error passes unnoticed. This reader accepts what it
can, and the import reports the rest.
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
"""Names of the columns, without case, spaces and punctuation; the first of several counts."""
HEADER_WITHIN = 10
"""The header is among so many first lines."""
SEPARATORS = ",;\t|"
MAX_ROWS = 250_000
_LINE = re.compile(r"\r\n|\n|\r")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class UnreadableError(Exception):
    """A file that cannot be imported, as the key of a text: no_table, many_people, too_long."""

    def __init__(self, key: str, n: int = 0) -> None:
        super().__init__(key)
        self.key, self.n = key, n


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One row of a file, its cells stripped. line: its number in the file, from 1."""

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
    def summary(self) -> str:
        """The row in a few words, for the report."""
        named = f"{self.title} ({self.year})" if self.title and self.year else self.title or self.item_id
        return " · ".join(part for part in (named, self.rating, self.at) if part)[:200]


def read_rows(raw: bytes) -> list[ImportRow]:
    """The rows of a file, in its order. Raises UnreadableError for a file without a table, or of several people."""
    lines = _LINE.split(_decoded(raw))
    start, separator, names = _header(lines)
    rows: list[ImportRow] = []
    for row in _rows(lines, start, separator, names):
        if len(rows) == MAX_ROWS:
            raise UnreadableError("too_long", MAX_ROWS)
        rows.append(row)
    people = {row.user for row in rows if row.user}
    if len(people) > 1:
        raise UnreadableError("many_people", len(people))
    return rows


def _decoded(raw: bytes) -> str:
    """The text of a file: Unicode by its byte order mark, else UTF-8, else Windows-1252."""
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _header(lines: Sequence[str]) -> tuple[int, str, list[str]]:
    """The header's line index, the separator, and the field of each column ("" for others)."""
    for index, line in enumerate(lines[:HEADER_WITHIN]):
        readings = [(separator, _fields(_cells(line, separator))) for separator in SEPARATORS]
        separator, names = max(readings, key=lambda reading: sum(map(bool, reading[1])))
        if "item_id" in names or "title" in names:
            return index, separator, names
    raise UnreadableError("no_table")


def _fields(cells: Sequence[str]) -> list[str]:
    plain = [re.sub(r"[\W_]", "", cell).casefold() for cell in cells]
    names = [""] * len(plain)
    for field, known in COLUMNS.items():
        name = next((name for name in known if name in plain), None)
        if name is not None:
            names[plain.index(name)] = field
    return names


def _rows(lines: Sequence[str], start: int, separator: str, names: list[str]) -> Iterator[ImportRow]:
    fields = [(name, column) for column, name in enumerate(names) if name]
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip():
            continue
        cells = _cells(line, separator)
        yield ImportRow(number, **{name: cells[column].strip() for name, column in fields if column < len(cells)})


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:  # a cell longer than any title
        return line.split(separator)

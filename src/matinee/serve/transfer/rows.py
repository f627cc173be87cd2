"""What an upload holds: its files, what was read of each, and their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from matinee.histories import Instant
from matinee.serve.transfer.scale import Scale


class UnreadableError(Exception):
    """A file that cannot be imported, as the key of a text, with the values of that text."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key, self.values = key, values


class ImportRow(NamedTuple):
    """One row of a file, its cells stripped.

    line: its number in the file, from 1 (of a record in JSON); original: the original title; imdb, tmdb: the movie's
    ids there; rating, date: as written; stars: the rating as the site's stars, if it is a rating; at: UTC seconds; both
    None where the cell is empty or cannot be read. excluded: why the row is no rating or watch of a movie, whichever
    movie it is (the key of a text), or empty.
    """

    line: int
    item_id: str = ""
    title: str = ""
    original: str = ""
    year: str = ""
    imdb: str = ""
    tmdb: str = ""
    rating: str = ""
    stars: float | None = None
    date: str = ""
    at: Instant | None = None
    kind: Literal["", "rating", "watched"] = ""
    excluded: str = ""

    @property
    def named(self) -> str:
        """What names the movie: its title, else an id."""
        return self.title or self.item_id or self.imdb or self.tmdb

    @property
    def summary(self) -> str:
        """The row in a few words, for the report."""
        name = f"{self.title} ({self.year})" if self.title and self.year else self.named
        day = self.date.partition("T")[0] if self.date[4:5] == "-" else self.date
        return " · ".join(part for part in (name, self.rating, day) if part)[:200]


@dataclass(frozen=True, slots=True)
class ImportFile:
    """One file of an upload.

    name: for a file of a zip, after the zip's (`export.zip/ratings.csv`); site: whose export it is (`imdb`, ...), or
    `table`; columns: what each used column was read as, by its name; unused: the other columns; scale: of the ratings.
    """

    name: str
    site: str
    rows: Sequence[ImportRow]
    columns: Mapping[str, str] = field(default_factory=dict)
    unused: Sequence[str] = ()
    scale: Scale | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """What was uploaded.

    names: of the uploaded files; files: those read, and read of zips; left_out: the files of zips that were not read,
    each with why (the key of a text).
    """

    names: Sequence[str]
    files: Sequence[ImportFile]
    left_out: Sequence[tuple[str, str]] = ()

    @property
    def n_rows(self) -> int:
        """Rows in all files."""
        return sum(len(file.rows) for file in self.files)

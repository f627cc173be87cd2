"""Reading an upload: tables, JSON and zips of them, each row with what it says, within bounds.

The files are read by `reading/`, tolerantly: a broken line costs that line. Whose export a file is, its columns tell
(`sites.py`); of a zip of Letterboxd, the files that say what was watched are read together.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from matinee.errors import DataError
from matinee.reading.archives import Zip, base
from matinee.reading.compression import TooLargeError, unpack
from matinee.reading.encodings import Encoding, decode
from matinee.reading.json_text import arrays_of, is_json
from matinee.reading.table import WINDOWS, read_table
from matinee.reading.tolerant import Fault
from matinee.serve.transfer.fields import fields_of, is_marked, rows_of
from matinee.serve.transfer.rows import ImportFile, ImportRow, UnreadableError, Upload
from matinee.serve.transfer.sites import Layout, is_catalogue, layout_of

MAX_ROWS = 250_000
"""Rows of an upload, in all its files."""
MAX_BYTES = 32 * 2**20
"""Unpacked size of an uploaded file."""
MAX_TABLES = 50
"""Tables that are read of a zip."""
_ZIP = b"PK\x03\x04"
_BINARY = (b"PAR1", b"ARROW1", b"\xd0\xcf\x11\xe0", b"%PDF", b"SQLite", b"\x89PNG", b"\xff\xd8\xff")
_ENDS = (".csv", ".tsv", ".txt", ".json")
_OF_LETTERBOXD = ("profile.csv", "watched.csv", "diary.csv")
"""One of them makes a zip Letterboxd's."""
_WATCHED = ("ratings.csv", "diary.csv", "watched.csv", "watchlist.csv")
"""Its files that are read. The others repeat them (reviews), or name no movies or no watches (comments, lists)."""
_DELETED = re.compile(r"(?:^|/)(?:deleted|orphaned)/")
"""Where Letterboxd keeps what its owner has deleted."""
_LIST_HEAD = re.compile(rb"Letterboxd list export.*?\n(?=Position,)", re.DOTALL)
"""What stands before the movies in a list of Letterboxd."""

LeftOut = list[tuple[str, str]]


def read_upload(files: Iterable[tuple[str, bytes]]) -> Upload:
    """The files of an upload, by name. Raises UnreadableError for one without movies, of many people, or too long."""
    names: list[str] = []
    read: list[ImportFile] = []
    left_out: LeftOut = []
    for name, raw in files:
        names.append(name)
        read += _zip_files(name, raw, left_out) if raw.startswith(_ZIP) else _files(name, raw)
        if sum(len(file.rows) for file in read) > MAX_ROWS:
            raise UnreadableError("too_long", n=MAX_ROWS)
    return Upload(names, read, left_out)


def _zip_files(name: str, raw: bytes, left_out: LeftOut) -> list[ImportFile]:
    """The tables of movies in a zip; the names of its other files are added to left_out."""
    with _as_refusal(name, "damaged"):
        archive = Zip(Path(name), raw, MAX_BYTES)
        if archive.is_spreadsheet:
            raise UnreadableError("no_text", name=name)
    read: list[ImportFile] = []
    for member in _members(archive.names(), name, left_out):
        inside = f"{name}/{member}"
        try:
            with _as_refusal(inside, "damaged"):
                content = archive.read(member)
            read += _files(inside, content)
        except UnreadableError as error:
            if error.key not in ("no_table", "no_text", "catalogue"):
                raise
            left_out.append((inside, "no_table"))
    if not read:
        raise UnreadableError("nothing_inside", name=name)
    return read


def _members(names: Sequence[str], zip_name: str, left_out: LeftOut) -> list[str]:
    """The files of a zip to read, and why not the others."""
    is_letterboxd = any(base(name) in _OF_LETTERBOXD for name in names)
    depth = min((name.count("/") for name in names if base(name) in (*_OF_LETTERBOXD, *_WATCHED)), default=0)
    chosen: list[str] = []
    for name in names:
        if _DELETED.search(name):
            reason = "deleted"
        elif is_letterboxd and not (base(name) in _WATCHED and name.count("/") == depth):
            reason = "not_needed"
        elif not base(name).endswith(_ENDS):
            reason = "no_table"
        elif len(chosen) == MAX_TABLES:
            reason = "too_many"
        else:
            chosen.append(name)
            continue
        left_out.append((f"{zip_name}/{name}", reason))
    return chosen


def _files(name: str, raw: bytes) -> list[ImportFile]:
    """The table of a file, or the tables in a JSON document. Raises UnreadableError."""
    with _as_refusal(name, "no_table"):
        raw = unpack(raw, name, MAX_BYTES)
        if raw.startswith(_BINARY) or raw is not unpack(raw, name, MAX_BYTES):
            raise UnreadableError("no_text", name=name)
        text = decode(raw, name, Encoding(fallback=WINDOWS))
        if is_json(text):
            return _json_files(name, arrays_of(text, name))
        head = _LIST_HEAD.match(text)
        table = read_table(b"\n" * head[0].count(b"\n") + text[head.end() :] if head else text, name, tolerant=True)
        layout = layout_of(table.frame.columns, name, is_list=head is not None)
        lines = pl.int_range(1, len(table.frame) + 1, eager=True) if table.lines is None else table.lines
        return [_file(name, table.frame, lines, layout, table.faults)]


def _json_files(name: str, arrays: dict[str, pl.DataFrame]) -> list[ImportFile]:
    """The arrays of a JSON document that hold movies: mostly one; Simkl has movies, shows and anime apart."""
    found: list[ImportFile] = []
    for key, frame in arrays.items():
        layout = layout_of(frame.columns, f"{name}/{key}" if key else name)
        if layout.names_movies:
            lines = pl.int_range(1, len(frame) + 1, eager=True)
            found.append(_file(f"{name}/{key}" if len(arrays) > 1 else name, frame, lines, layout))
    if not found:
        raise UnreadableError("no_table", name=name)
    return found


def _file(name: str, frame: pl.DataFrame, lines: pl.Series, layout: Layout, faults: Sequence[Fault] = ()) -> ImportFile:
    if not layout.names_movies:
        raise UnreadableError("no_table", name=name)
    if is_catalogue(frame.columns):
        raise UnreadableError("catalogue", name=name)
    if len(frame) > MAX_ROWS:
        raise UnreadableError("too_long", n=MAX_ROWS)
    fields = fields_of(frame, layout)
    n_people = fields["user"].filter(fields["user"] != "").n_unique()
    if n_people > 1:
        raise UnreadableError("many_people", name=name, n=n_people)
    with _as_refusal(name, "dates"):
        rows, scale = rows_of(fields, lines, layout)
    if faults:
        broken = [ImportRow(fault.line, title=fault.text, excluded="broken") for fault in faults]
        rows = sorted([*rows, *broken], key=lambda row: row.line)
    used = layout.used(is_marked(fields["seen"]))
    unused = [column for column in frame.columns if column not in used]
    return ImportFile(name, layout.site, rows, used, unused, scale)


@contextmanager
def _as_refusal(name: str, key: str) -> Iterator[None]:
    """Translate errors of reading to a refusal of the file with this key of a text."""
    try:
        yield
    except TooLargeError:
        raise UnreadableError("too_large", name=name, n=MAX_BYTES // 2**20) from None
    except DataError:
        raise UnreadableError(key, name=name) from None

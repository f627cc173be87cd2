"""Every generation of MovieLens, known by its files: ratings.csv, ratings.dat, or u.data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from matinee.config import ColumnsConfig
from matinee.data.archives import Archive, open_archive
from matinee.data.columns import NAMES, SNIFFED, plain_name
from matinee.data.delimited import decode
from matinee.data.log import Log, Titles, check_times, check_values, titles_of
from matinee.data.tables import read_frame, read_log
from matinee.errors import DataError
from matinee.histories import Instant
from matinee.vocab import Id

RATINGS = ("ratings.csv", "ratings.dat", "u.data")
"""The file that tells a MovieLens, newest generation first."""
_HEADER = b"userId,movieId,rating,timestamp\n"
_BLOCK = 2**22  # bytes counted at a time, so that counting never holds much memory
_GENRES_100K = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
MAX_TAGS = 8
"""Tags that a data set keeps of a movie."""
_SIDES = {
    "tags": ("tags.csv", "tags.dat"),
    "users": ("users.csv", "users.dat", "u.user"),
    "links": ("links.csv",),
    "genome_scores": ("genome-scores.csv",),
    "genome_tags": ("genome-tags.csv",),
}
_SIDE_COLUMNS = {
    "tags.dat": ("userId", "movieId", "tag", "timestamp"),
    "users.dat": ("userId", "gender", "age", "occupation", "zip"),
    "u.user": ("userId", "age", "gender", "occupation", "zip"),
}


@dataclass(frozen=True, slots=True)
class _Form:
    """One byte between columns; every how-many-th of them counts; the header if there is one."""

    separator: bytes
    step: int
    header: bytes


_FORMS = {
    "ratings.csv": _Form(b",", 1, _HEADER),
    "ratings.dat": _Form(b":", 2, b""),  # `1::2` is 1, nothing, 2 between single colons
    "u.data": _Form(b"\t", 1, b""),
}


def read_movielens(archive: Archive, ratings: str, columns: ColumnsConfig, now: Instant) -> Log:
    """The log of a MovieLens with its movies' titles. ratings: the file's name in the archive. Raises DataError."""
    folder, _, file = ratings.rpartition("/")
    where = archive.where(ratings)
    raw = decode(archive.read(ratings), where, latin1=not file.lower().endswith(".csv"))
    form = _FORMS.get(file.lower())
    log = _read_numbers(raw, where, form, now) if form and columns == SNIFFED else None
    if log is None:  # something in it is no plain number: the patient reader takes it, or says which line
        log = read_log(raw, where, columns, now)
    place = f"{folder}/" if folder else ""
    titles = _movies(archive, place) or log.titles
    return replace(log, titles=titles and replace(titles, tags=_tags(archive, place)))


def side_tables(path: Path) -> dict[str, pl.DataFrame]:
    """What a MovieLens has beside its ratings: movies, tags, users, links, genome_scores, genome_tags, where there.

    movies has id, title, genres (with | between); the others have MovieLens' own column names, integers as such.
    """
    archive = open_archive(path)
    ratings = archive.find(*RATINGS)
    folder = ratings.rpartition("/")[0] + "/" if ratings and "/" in ratings else ""
    found = {name: _side(archive, folder, files) for name, files in _SIDES.items()}
    tables = {name: table for name, table in found.items() if table is not None}
    movies = movie_frame(archive, folder)
    return tables if movies is None else {"movies": movies, **tables}


def movie_frame(archive: Archive, folder: str) -> pl.DataFrame | None:
    """id, title and genres of movies.csv, movies.dat or u.item in a folder of the archive; None without them."""
    readers: dict[str, Callable[[Archive, str, str], pl.DataFrame]] = {
        "movies.csv": _movies_csv,
        "movies.dat": _movies_dat,
        "u.item": _movies_100k,
    }
    names = {name.lower(): name for name in archive.names()}
    for file, reader in readers.items():
        if (name := names.get(folder.lower() + file)) is not None:
            return reader(archive, name, folder)
    return None


def _movies(archive: Archive, folder: str) -> Titles | None:
    frame = movie_frame(archive, folder)
    return None if frame is None else titles_of(frame)


def _tags(archive: Archive, folder: str) -> dict[Id, tuple[str, ...]]:
    """What most people called each movie, at most MAX_TAGS; equal ones in alphabetical order. {} without such a file.

    A file of tags that cannot be read is passed over: nothing is learned from it.
    """
    try:
        frame = _side(archive, folder, _SIDES["tags"])
    except DataError:
        return {}
    if frame is None or not {"userId", "movieId", "tag"} <= set(frame.columns):
        return {}
    said = frame.select("userId", "movieId", tag=pl.col("tag").cast(pl.String).str.strip_chars().str.to_lowercase())
    said = said.filter(pl.col("tag") != "").unique()
    counts = said.group_by("movieId", "tag").len().sort("movieId", "len", "tag", descending=[False, True, False])
    best = counts.group_by("movieId", maintain_order=True).agg(pl.col("tag").head(MAX_TAGS))
    return {id: tuple(tags) for id, tags in best.rows()}


def _read_numbers(raw: bytes, where: str, form: _Form, now: Instant) -> Log | None:
    """The log in a file of nothing but numbers, at full speed; None where anything in it asks for a second look."""
    if not raw.startswith(form.header):
        return None
    width = 3 * form.step + 1
    names = [f"column {place}" for place in range(width)]
    kept = list(range(0, width, form.step))
    kinds: list[type[pl.DataType]] = [pl.Int32] * width  # what is larger goes to the patient reader
    kinds[kept[2]] = pl.Float32
    try:
        frame = pl.read_csv(
            raw,
            has_header=False,
            skip_rows=1 if form.header else 0,
            separator=form.separator.decode(),
            quote_char=None,
            columns=kept,
            schema=dict(zip(names, kinds, strict=True)),
        )
    except pl.exceptions.PolarsError:
        return None
    # polars passes over what follows the last kept column and what stands between `::`, so separators are counted
    n_separators, n_doubled = _count(raw, len(form.header), form.separator[0])
    n_events = len(frame)
    exact = n_separators == n_events * (width - 1) and n_doubled == n_events * 3 * (form.step - 1)
    if not exact or any(column.null_count() for column in frame):
        return None
    users, items, rating, at = frame.get_columns()
    values, times = rating.to_numpy(), at.to_numpy()
    first_line = 2 if form.header else 1
    check_values(where, values, lambda row: f"line {row + first_line}")
    check_times(where, times, now, lambda row: f"line {row + first_line}")
    return Log(where, users, items, values, times)


def _count(raw: bytes, begin: int, separator: int) -> tuple[int, int]:
    """How often a byte stands in the text from some place on, and how often two of them side by side."""
    letters = np.frombuffer(raw, dtype=np.uint8, offset=begin) if len(raw) > begin else np.empty(0, dtype=np.uint8)
    n_found = n_doubled = 0
    for start in range(0, len(letters), _BLOCK):
        found = letters[start : start + _BLOCK + 1] == separator  # one over, for a pair across the border
        n_found += int(np.count_nonzero(found[:_BLOCK]))
        n_doubled += int(np.count_nonzero(found[1:] & found[:-1]))
    return n_found, n_doubled


def _movies_csv(archive: Archive, name: str, folder: str) -> pl.DataFrame:
    where = archive.where(name)
    frame, _, _ = read_frame(archive.read(name), where)
    columns = {plain_name(column): column for column in reversed(frame.columns)}
    id_name = next((columns[known] for known in (*NAMES["item"], "id") if known in columns), None)
    if id_name is None or "title" not in columns:
        raise DataError(f"{where}: no columns movieId and title among {', '.join(map(repr, frame.columns))}")
    genres = pl.col(columns["genres"]).cast(pl.String) if "genres" in columns else pl.lit(None, pl.String)
    return _typed(frame.select(id=id_name, title=columns["title"], genres=genres), where)


def _movies_dat(archive: Archive, name: str, folder: str) -> pl.DataFrame:
    frame = _cut(archive, name, "::", ("id", "title", "genres"))
    return _typed(frame, archive.where(name))


def _movies_100k(archive: Archive, name: str, folder: str) -> pl.DataFrame:
    names = {known.lower(): known for known in archive.names()}
    genres = _GENRES_100K.split("|")
    if (listed := names.get(folder.lower() + "u.genre")) is not None:
        rows = decode(archive.read(listed), archive.where(listed), latin1=True).decode().split()
        genres = [row.rpartition("|")[0] for row in rows if "|" in row] or genres
    frame = _cut(archive, name, "|", ("id", "title", "released", "video", "url", *genres))
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in genres if genre != "unknown"]
    return _typed(
        frame.select("id", "title", genres=pl.concat_str(flags, separator="|", ignore_nulls=True)), archive.where(name)
    )


def _cut(archive: Archive, name: str, separator: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """A table without header or quotes. Raises DataError for a line with too few fields."""
    where = archive.where(name)
    text = decode(archive.read(name), where, latin1=True).decode()
    lines = pl.Series("line", text.split("\n"), dtype=pl.String)
    parts = lines.str.splitn(separator, len(columns)).struct.rename_fields(list(columns))
    frame = parts.struct.unnest().filter(lines != "")
    short = frame[columns[-1]].is_null()
    if short.any():
        place = int(short.arg_max() or 0)
        raise DataError(f"{where}, line {place + 1}: fewer than the {len(columns)} fields that {separator} should cut")
    return frame


def _typed(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Movies with integer ids where all of them are. Raises DataError for a movie without an id."""
    if frame["id"].null_count():
        raise DataError(f"{where}: {frame['id'].null_count():,} movies have no id; fill it in or drop the line")
    ids = frame["id"].cast(pl.String).str.strip_chars().cast(pl.Int64, strict=False)
    return frame if ids.null_count() else frame.with_columns(id=ids)


def _side(archive: Archive, folder: str, files: tuple[str, ...]) -> pl.DataFrame | None:
    names = {name.lower(): name for name in archive.names()}
    for file in files:
        name = names.get(folder.lower() + file)
        if name is None:
            continue
        if file in _SIDE_COLUMNS:
            frame = _cut(archive, name, "|" if file == "u.user" else "::", _SIDE_COLUMNS[file])
        else:
            frame, _, _ = read_frame(archive.read(name), archive.where(name))
        return frame.with_columns(_integers(column) for column in frame if column.dtype == pl.String)
    return None


def _integers(column: pl.Series) -> pl.Series:
    """Text as Int64 where every cell is a whole number without a leading zero."""
    plain = column.drop_nulls().str.contains(r"^(0|-?[1-9]\d{0,17})$").all()
    return column.cast(pl.Int64) if plain and column.len() > column.null_count() else column

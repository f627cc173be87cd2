"""Every generation of MovieLens, recognised by its files: ratings.csv, ratings.dat or u.data."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from matinee.config import ColumnsConfig
from matinee.data.log import MOVIELENS, Log, Titles, titles_of
from matinee.data.movielens_links import read_links
from matinee.data.tables import encoding_of, read_log
from matinee.errors import DataError
from matinee.histories import Instant
from matinee.reading.archives import Archive
from matinee.reading.cells import check_times, check_values, read_ids
from matinee.reading.columns import NAMES, listed, plain_name
from matinee.reading.compression import unpack
from matinee.reading.encodings import UTF_8, Encoding, decode
from matinee.reading.table import Read, read_table
from matinee.vocab import Id

RATINGS = ("ratings.csv", "ratings.dat", "u.data")
"""The files of ratings, newest generation first."""
_HEADER = b"userId,movieId,rating,timestamp\n"
_BLOCK = 2**22  # bytes counted at a time, to bound memory
_GENRES_100K = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
LATIN = "latin-1"
"""The encoding of the older generations, where a file is not UTF-8."""
_MOST_STARS = 5
MAX_TAGS = 8
"""Maximum number of tags kept per movie."""


@dataclass(frozen=True, slots=True)
class _Format:
    """separator: a single byte; step: only every step-th field counts; header: empty if there is none."""

    separator: bytes
    step: int
    header: bytes


_FORMATS = {
    "ratings.csv": _Format(b",", 1, _HEADER),
    "ratings.dat": _Format(b":", 2, b""),  # split at single colons, `1::2` has an empty field in the middle
    "u.data": _Format(b"\t", 1, b""),
}


def read_movielens(
    archive: Archive, ratings: str, columns: ColumnsConfig, now: Instant, streamed: Log | None = None
) -> Log:
    """Read a MovieLens log with titles and tags. ratings: the file's name in the archive. Raises DataError.

    streamed: the log of that file, where it was read in pieces.
    """
    folder, _, file = ratings.rpartition("/")
    encoding = encoding_of(columns)
    format = None if columns.named or columns.kind or columns.kinds else _FORMATS.get(file.lower())
    if streamed is None:
        log = _read_ratings(archive, ratings, columns, now, format)
    else:
        read = streamed.read and replace(streamed.read, format="MovieLens" if format else streamed.read.format)
        log = replace(streamed, read=read)
    prefix = f"{folder}/" if folder else ""
    titles = read_titles(archive, prefix, encoding) or log.titles
    log = replace(log, titles=titles and replace(titles, tags=_tags(archive, prefix, encoding)))
    return replace(log, source=MOVIELENS, table=read_links(archive, prefix)) if _is_original(log) else log


def _read_ratings(archive: Archive, ratings: str, columns: ColumnsConfig, now: Instant, format: _Format | None) -> Log:
    """Read the file of ratings as a whole: one of plain numbers in a known format, or any other."""
    where = archive.where(ratings)
    fallback = None if ratings.lower().endswith(".csv") else LATIN
    raw = decode(unpack(archive.read(ratings), where), where, replace(encoding_of(columns), fallback=fallback))
    log = _read_numbers(raw, where, format, now) if format else None
    if log is None:  # not all plain numbers: the general reader accepts it or names the line
        log = read_log(raw, where, columns.model_copy(update={"encoding": None}), now)  # raw is UTF-8
    return log


def _is_original(log: Log) -> bool:
    """Whether a log in a file of MovieLens's names has its columns and stars too; MovieTweetings has 10 of them."""
    roles = log.read.roles if log.read else {}
    named = [roles.get(role) for role in ("user", "item", "value", "at")]
    has_columns = named in (_HEADER.decode().strip().split(","), ["1", "2", "3", "4"])
    return has_columns and log.values is not None and float(log.values.max(initial=0)) <= _MOST_STARS


def read_titles(archive: Archive, folder: str, encoding: Encoding = UTF_8) -> Titles | None:
    """The titles of a folder's table of movies; None without one. Raises DataError."""
    readers: dict[str, Callable[[Archive, str, str, Encoding], pl.DataFrame]] = {
        "movies.csv": _movies_csv,
        "movies.dat": _movies_dat,
        "u.item": _movies_100k,
        "movie_titles.csv": _movies_netflix,
        "movie_titles.txt": _movies_netflix,
    }
    names = {name.lower(): name for name in archive.names()}
    for file, reader in readers.items():
        if (name := names.get(folder.lower() + file)) is not None:
            return titles_of(reader(archive, name, folder, encoding), archive.where(name))
    return None


def _tags(archive: Archive, folder: str, encoding: Encoding) -> dict[Id, tuple[str, ...]]:
    """The most frequent tags of each movie, at most MAX_TAGS, ties in alphabetical order.

    Empty if tags.csv or tags.dat is missing or unreadable, because tags are only displayed.
    """
    try:
        frame = _tag_frame(archive, folder, encoding)
    except DataError:
        return {}
    if frame is None or not {"userId", "movieId", "tag"} <= set(frame.columns):
        return {}
    given = frame.select("userId", "movieId", tag=pl.col("tag").cast(pl.String).str.strip_chars().str.to_lowercase())
    given = given.filter(pl.col("tag") != "").unique()
    counts = given.group_by("movieId", "tag").len().sort("movieId", "len", "tag", descending=[False, True, False])
    best = counts.group_by("movieId", maintain_order=True).agg(pl.col("tag").head(MAX_TAGS))
    return {id: tuple(tags) for id, tags in best.rows()}


def _read_numbers(raw: bytes, where: str, format: _Format, now: Instant) -> Log | None:
    """Read a file of plain numbers at full speed; None if it contains anything else."""
    if not raw.startswith(format.header):
        return None
    width = 3 * format.step + 1
    names = [f"column {number}" for number in range(width)]
    kept = list(range(0, width, format.step))
    dtypes: list[type[pl.DataType]] = [pl.Int32] * width  # larger numbers are left to the general reader
    dtypes[kept[2]] = pl.Float32
    try:
        frame = pl.read_csv(
            raw,
            has_header=False,
            skip_rows=1 if format.header else 0,
            separator=format.separator.decode(),
            quote_char=None,
            columns=kept,
            schema=dict(zip(names, dtypes, strict=True)),
        )
    except pl.exceptions.PolarsError:
        return None
    # polars ignores anything after the last kept column and between the colons of `::`, so count the separators
    n_separators, n_doubled = _count(raw, len(format.header), format.separator[0])
    n_events = len(frame)
    exact = n_separators == n_events * (width - 1) and n_doubled == n_events * 3 * (format.step - 1)
    if not exact or any(column.null_count() for column in frame):
        return None
    users, items, rating, at = frame.get_columns()
    values, times = rating.to_numpy(), at.to_numpy()
    first_line = 2 if format.header else 1
    check_values(where, values, lambda row: f"line {row + first_line}")
    check_times(where, times, now, lambda row: f"line {row + first_line}")
    header = format.header.decode().strip().split(",") if format.header else ["1", "2", "3", "4"]
    roles = dict(zip(("user", "item", "value", "at"), header, strict=True))
    return Log(where, users, items, values, times, read=Read(where, "MovieLens", roles))


def _count(raw: bytes, start: int, separator: int) -> tuple[int, int]:
    """Count the separators from an offset on, and the pairs of adjacent ones."""
    letters = np.frombuffer(raw, dtype=np.uint8, offset=start) if len(raw) > start else np.empty(0, dtype=np.uint8)
    n_single = n_doubled = 0
    for first in range(0, len(letters), _BLOCK):
        found = letters[first : first + _BLOCK + 1] == separator  # one byte more, for a pair across the boundary
        n_single += int(np.count_nonzero(found[:_BLOCK]))
        n_doubled += int(np.count_nonzero(found[1:] & found[:-1]))
    return n_single, n_doubled


def _movies_csv(archive: Archive, name: str, folder: str, encoding: Encoding) -> pl.DataFrame:
    where = archive.where(name)
    frame = read_table(archive.read(name), where, encoding=encoding).frame
    columns = {plain_name(column): column for column in reversed(frame.columns)}
    id_names = (*(known for known in NAMES["item"] if known not in NAMES["title"]), "id")
    id_name = next((columns[known] for known in id_names if known in columns), None)
    if id_name is None or "title" not in columns:
        raise DataError(f"{where}: no columns movieId and title among {listed(frame.columns)}")
    genres = pl.col(columns["genres"]).cast(pl.String) if "genres" in columns else pl.lit(None, pl.String)
    return _typed(frame.select(id=id_name, title=columns["title"], genres=genres), where)


def _movies_dat(archive: Archive, name: str, folder: str, encoding: Encoding) -> pl.DataFrame:
    frame = _fields(archive, name, "::", ("id", "title", "genres"), encoding)
    return _typed(frame, archive.where(name))


def _movies_netflix(archive: Archive, name: str, folder: str, encoding: Encoding) -> pl.DataFrame:
    frame = _fields(archive, name, ",", ("id", "year", "title"), encoding)  # titles have commas
    dated = pl.when(pl.col("year").str.contains(r"^\d{4}$")).then(pl.format("{} ({})", "title", "year"))
    frame = frame.select("id", title=dated.otherwise("title"), genres=pl.lit(None, pl.String))
    return _typed(frame, archive.where(name))


def _movies_100k(archive: Archive, name: str, folder: str, encoding: Encoding) -> pl.DataFrame:
    names = {known.lower(): known for known in archive.names()}
    genres = _GENRES_100K.split("|")
    if (listed := names.get(folder.lower() + "u.genre")) is not None:
        rows = decode(archive.read(listed), archive.where(listed), replace(encoding, fallback=LATIN)).decode().split()
        genres = [row.rpartition("|")[0] for row in rows if "|" in row] or genres
    frame = _fields(archive, name, "|", ("id", "title", "released", "video", "url", *genres), encoding)
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in genres if genre != "unknown"]
    return _typed(
        frame.select("id", "title", genres=pl.concat_str(flags, separator="|", ignore_nulls=True)), archive.where(name)
    )


def _fields(archive: Archive, name: str, separator: str, columns: tuple[str, ...], encoding: Encoding) -> pl.DataFrame:
    """Read a table without header or quotes. Raises DataError for a line with too few fields."""
    where = archive.where(name)
    text = decode(archive.read(name), where, replace(encoding, fallback=LATIN)).decode()
    lines = pl.Series("line", text.split("\n"), dtype=pl.String)
    parts = lines.str.splitn(separator, len(columns)).struct.rename_fields(list(columns))
    frame = parts.struct.unnest().filter(lines != "")
    short = frame[columns[-1]].is_null()
    if short.any():
        line = int(short.arg_max() or 0) + 1
        raise DataError(f"{where}, line {line}: fewer than {len(columns)} fields separated by {separator}")
    return frame


def _typed(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Cast the ids to integers if all of them are. Raises DataError for a movie without an id."""
    if frame["id"].null_count():
        raise DataError(f"{where}: {frame['id'].null_count():,} movies have no id; fill it in or drop the line")
    ids, _ = read_ids(frame["id"], "movie", where, lambda row: f"movie {row + 1}")
    return frame.with_columns(id=ids)


def _tag_frame(archive: Archive, folder: str, encoding: Encoding) -> pl.DataFrame | None:
    names = {name.lower(): name for name in archive.names()}
    if (name := names.get(folder.lower() + "tags.csv")) is not None:
        frame = read_table(archive.read(name), archive.where(name), encoding=encoding).frame
    elif (name := names.get(folder.lower() + "tags.dat")) is not None:
        frame = _fields(archive, name, "::", ("userId", "movieId", "tag", "timestamp"), encoding)
    else:
        return None
    return frame.with_columns(_integers(column) for column in frame if column.dtype == pl.String)


def _integers(column: pl.Series) -> pl.Series:
    """Cast text to Int64 if every cell is an integer without leading zeros."""
    plain = column.drop_nulls().str.contains(r"^(0|-?[1-9]\d{0,17})$").all()
    return column.cast(pl.Int64) if plain and column.len() > column.null_count() else column

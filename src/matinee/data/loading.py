"""Loading of data sets and splits by name or path."""

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from matinee.config import ColumnsConfig
from matinee.data.labels import TEST, TRAIN, Labels
from matinee.data.log import MOVIELENS, Log, Repeats, assemble, assemble_parts, check_scale, titles_of
from matinee.data.lookup import BUNDLED, find, is_table, stem
from matinee.data.lookup import available as available
from matinee.data.movielens import RATINGS, read_movielens, read_titles
from matinee.data.part_files import find_parts, has_parts, note_shared
from matinee.data.pieces import is_one_table, with_folder_columns
from matinee.data.streaming import stream_log
from matinee.data.tables import encoding_of, log_of
from matinee.data.tables import events_from_frame as events_from_frame
from matinee.dataset import Dataset
from matinee.errors import DataError
from matinee.histories import Instant
from matinee.reading.archives import Archive, base, open_archive, open_source, read_bytes
from matinee.reading.columns import SNIFFED
from matinee.reading.needs import excess_of_reading, require_reading
from matinee.reading.netflix import NAMES as NETFLIX
from matinee.reading.table import concatenated, holds_adjacency_text, read_table

_LOGS = ("ratings", "events", "interactions", "log", "clicks", "views", "plays", "purchases", "reviews")
"""File names that identify the log among the tables of a folder."""


def load(
    data: str | Path, columns: ColumnsConfig = SNIFFED, *, repeats: Repeats = "last", now: Instant | None = None
) -> Dataset:
    """Load a data set: `bundled`, a path, or a name looked up in MATINEE_DATA, data, ../shared/data and the cache.

    columns: for a table that is not MovieLens; repeats: of a user's events with the same item keep the last, or all
    that differ in time; now: times more than a day later are an error, by default the current time.
    The data set's notes say what reading changed. Raises DataError: one line with the problem, its place and the fix.
    """
    now = int(time.time()) if now is None else now
    if data == BUNDLED:
        _require_no_columns(columns)
        return assemble(check_scale(_read_bundled(now), columns.scale), BUNDLED, repeats=repeats)
    path = find(data)
    log = _read(path, columns.model_copy(update={"scale": None}), now)
    return assemble(check_scale(log, columns.scale), stem(path), repeats=repeats)


def _require_no_columns(columns: ColumnsConfig) -> None:
    """Raises DataError if something is set that a file of the user's own would need; the bundled log is known."""
    given = [name for name in ("user", "item", "value", "at", "kind", "kinds", "encoding") if getattr(columns, name)]
    if given:
        raise DataError(
            f"{BUNDLED} has known columns, so {', '.join(given)} would do nothing; leave that out, or give the path of "
            "a log of your own"
        )


def load_parts(
    path: str | Path, columns: ColumnsConfig = SNIFFED, *, now: Instant | None = None
) -> tuple[Dataset, Labels]:
    """Load a split from files: one data set over all parts, and each event's label. [N] int8.

    The folder or zip has train, test and optionally valid, as tables or adjacency text, named as part_files.WORDS says.
    Within a part, the last of repeated events is kept. A user and item may occur in two parts, which a note counts, but
    not at the same time.
    Raises DataError.
    """
    now = int(time.time()) if now is None else now
    archive = open_archive(find(path))
    names, notes = find_parts(archive)
    named = columns.model_copy(update={"scale": None})
    adjacency = any(holds_adjacency_text(archive.read(name), archive.where(name)) for name in names.values())
    logs = [_read_table(archive, name, named, now, beside=adjacency) for name in names.values()]
    logs = [check_scale(log, columns.scale) for log in logs]
    for label, log in zip(names, logs, strict=True):
        if label in (TRAIN, TEST) and not len(log):
            raise DataError(f"{log.where} has no events; a split needs some to train on and some to test on")
    if (titles := read_titles(archive, "", encoding_of(columns))) is not None:
        logs[0] = replace(logs[0], titles=titles)
    data, parts = assemble_parts(logs, stem(archive.path))
    data = replace(data, notes=(*data.notes, *notes))
    labels = np.array(list(names), dtype=np.int8)[parts]
    return note_shared(data, labels, archive.path), labels


def _read(path: Path, columns: ColumnsConfig, now: Instant) -> Log:
    archive, single = open_source(path)
    if single is None:
        return _read_archive(archive, columns, now)
    return _read_table(archive, single, columns, now)


def _read_archive(archive: Archive, columns: ColumnsConfig, now: Instant) -> Log:
    """Read the log of a folder or zip: MovieLens ratings, else a table named like a log, else the only table."""
    if (ratings := archive.find(*RATINGS)) is not None:
        return _read_ratings(archive, ratings, columns, now)
    tables = [name for name in archive.names() if is_table(name)]
    named_like_logs = [name for name in tables if base(name).partition(".")[0] in _LOGS]
    delimited = [name for name in tables if not base(name).endswith((".json", ".xlsx"))]
    chosen = named_like_logs[:1] or next((one for one in (tables, delimited) if len(one) == 1), [])
    if chosen:
        log = _read_table(archive, chosen[0], columns, now)
        return log if log.titles else replace(log, titles=read_titles(archive, "", encoding_of(columns)))
    if blocks := [name for name in archive.names() if NETFLIX.match(base(name))]:
        require_reading(archive, blocks, str(archive.path))
        blocks_of = [read_table(archive.read(name), archive.where(name)) for name in blocks]
        log = log_of(concatenated(blocks_of, str(archive.path)), columns, now)
        return replace(log, titles=read_titles(archive, "", encoding_of(columns)))
    if has_parts(archive.names()):
        raise DataError(f"{archive.path} contains the parts of a split; use it with --split files:{archive.path}")
    if is_one_table(tables):
        log = _read_pieces(archive, tables, columns, now)
        return log if log.titles else replace(log, titles=read_titles(archive, "", encoding_of(columns)))
    contents = ", ".join(tables[:5] or archive.names()[:5]) or "nothing"
    raise DataError(
        f"{archive.path} has no ratings: none of {', '.join(RATINGS)} and not exactly one table, but {contents}; "
        "give the path of the table itself"
    )


def _read_ratings(archive: Archive, name: str, columns: ColumnsConfig, now: Instant) -> Log:
    """Read a log in a file of MovieLens's names, with the files beside it."""
    streamed = _streamed(archive, [name], archive.where(name), columns, now, numbers=True)
    if streamed is None:
        require_reading(archive, [name], archive.where(name), numbers=True)
    return read_movielens(archive, name, columns, now, streamed)


def _streamed(
    archive: Archive, names: Sequence[str], where: str, columns: ColumnsConfig, now: Instant, *, numbers: bool = False
) -> Log | None:
    """A log that does not fit into memory as a whole, read piece by piece; None if it fits, or cannot be read so.

    numbers: as in `require_reading`.
    """
    excess = excess_of_reading(archive, names, numbers=numbers)
    log = None if excess is None else stream_log(archive, names, where, columns, now)
    return None if log is None else replace(log, notes=(f"read piece by piece: {excess}", *log.notes))


def _read_pieces(archive: Archive, names: Sequence[str], columns: ColumnsConfig, now: Instant) -> Log:
    """Read a table that was written in pieces, as Spark, BigQuery and others do; empty pieces are counted."""
    first, last = base(names[0]), base(names[-1])
    note = f"read {len(names):,} files as the pieces of one table, {first} to {last}"
    if (streamed := _streamed(archive, names, str(archive.path), columns, now)) is not None:
        return replace(streamed, notes=(note, *streamed.notes))
    require_reading(archive, names, str(archive.path))
    pieces = []
    for name in names:
        if raw := archive.read(name):
            piece = read_table(raw, archive.where(name), columns, encoding=encoding_of(columns))
            pieces.append(with_folder_columns(piece, name))
    if not pieces:
        raise DataError(f"{archive.path} has {len(names):,} pieces of a table, and all are empty; write them again")
    log = log_of(concatenated(pieces, str(archive.path)), columns, now)
    empty = f", {len(names) - len(pieces):,} of them empty" if len(pieces) < len(names) else ""
    return replace(log, notes=(f"{note}{empty}", *log.notes))


def _read_table(archive: Archive, name: str, columns: ColumnsConfig, now: Instant, *, beside: bool = False) -> Log:
    if base(name) in RATINGS:
        return _read_ratings(archive, name, columns, now)
    if (log := _streamed(archive, [name], archive.where(name), columns, now)) is not None:
        return log
    require_reading(archive, [name], archive.where(name))
    raw, where = archive.read(name), archive.where(name)
    return log_of(read_table(raw, where, columns, encoding=encoding_of(columns), beside=beside), columns, now)


def _read_bundled(now: Instant) -> Log:
    with as_file(files("matinee.data") / "bundled") as folder:
        ratings = read_table(read_bytes(folder / "ratings.parquet"), "bundled ratings")
        movies = read_table(read_bytes(folder / "movies.parquet"), "bundled movies")
    log = log_of(ratings, SNIFFED, now)
    titles = titles_of(movies.frame.rename({"movieId": "id"}))
    return replace(log, read=None, titles=titles, source=MOVIELENS)

"""Loading of data sets and splits by name or path."""

import time
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from matinee.config import ColumnsConfig
from matinee.data.labels import TEST, TRAIN, VALID, Labels
from matinee.data.log import Log, Repeats, assemble, assemble_parts, check_scale, titles_of
from matinee.data.lookup import BUNDLED, find, is_table, stem
from matinee.data.lookup import available as available
from matinee.data.movielens import RATINGS, read_movielens, read_titles
from matinee.data.tables import events_from_frame as events_from_frame
from matinee.data.tables import log_of
from matinee.dataset import Dataset
from matinee.errors import DataError
from matinee.histories import Instant
from matinee.reading.archives import Archive, base, open_archive, open_source, read_bytes
from matinee.reading.columns import SNIFFED
from matinee.reading.netflix import NAMES as NETFLIX
from matinee.reading.table import concatenated, holds_adjacency_text, read_table

_LOGS = ("ratings", "events", "interactions", "log", "clicks", "views", "plays", "purchases", "reviews")
"""File names that identify the log among the tables of a folder."""
_PARTS = {
    TRAIN: ("train", "training"),
    VALID: ("valid", "val", "validation", "dev"),
    TEST: ("test", "testing"),
}


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
        return assemble(check_scale(_read_bundled(now), columns.scale), BUNDLED, repeats=repeats)
    path = find(data)
    log = _read(path, columns.model_copy(update={"scale": None}), now)
    return assemble(check_scale(log, columns.scale), stem(path), repeats=repeats)


def load_parts(
    path: str | Path, columns: ColumnsConfig = SNIFFED, *, now: Instant | None = None
) -> tuple[Dataset, Labels]:
    """Load a split from files: one data set over all parts, and each event's label. [N] int8.

    The folder or zip has train, test and optionally valid, as tables or adjacency text. Within a part, the last of
    repeated events is kept. A user and item may occur in two parts, which a note counts, but not at the same time.
    Raises DataError.
    """
    now = int(time.time()) if now is None else now
    archive = open_archive(find(path))
    names = _part_names(archive)
    named = columns.model_copy(update={"scale": None})
    adjacency = any(holds_adjacency_text(archive.read(name), archive.where(name)) for name in names.values())
    logs = [_read_table(archive, name, named, now, beside=adjacency) for name in names.values()]
    logs = [check_scale(log, columns.scale) for log in logs]
    if (titles := read_titles(archive, "")) is not None:
        logs[0] = replace(logs[0], titles=titles)
    data, parts = assemble_parts(logs, stem(archive.path))
    labels = np.array(list(names), dtype=np.int8)[parts]
    return _note_shared(data, labels, archive.path), labels


def _read(path: Path, columns: ColumnsConfig, now: Instant) -> Log:
    archive, single = open_source(path)
    if single is None:
        return _read_archive(archive, columns, now)
    return _read_table(archive, single, columns, now)


def _read_archive(archive: Archive, columns: ColumnsConfig, now: Instant) -> Log:
    """Read the log of a folder or zip: MovieLens ratings, else a table named like a log, else the only table."""
    if (ratings := archive.find(*RATINGS)) is not None:
        return read_movielens(archive, ratings, columns, now)
    tables = [name for name in archive.names() if is_table(name)]
    named_like_logs = [name for name in tables if base(name).partition(".")[0] in _LOGS]
    delimited = [name for name in tables if not base(name).endswith((".json", ".xlsx"))]
    chosen = named_like_logs[:1] or next((one for one in (tables, delimited) if len(one) == 1), [])
    if chosen:
        log = _read_table(archive, chosen[0], columns, now)
        return log if log.titles else replace(log, titles=read_titles(archive, ""))
    if blocks := [name for name in archive.names() if NETFLIX.match(base(name))]:
        blocks_of = [read_table(archive.read(name), archive.where(name)) for name in blocks]
        log = log_of(concatenated(blocks_of, str(archive.path)), columns, now)
        return replace(log, titles=read_titles(archive, ""))
    stems = {base(name).partition(".")[0] for name in tables}
    if stems & set(_PARTS[TRAIN]) and stems & set(_PARTS[TEST]):
        raise DataError(f"{archive.path} contains the parts of a split; use it with --split files:{archive.path}")
    contents = ", ".join(tables[:5] or archive.names()[:5]) or "nothing"
    raise DataError(
        f"{archive.path} has no ratings: none of {', '.join(RATINGS)} and not exactly one table, but {contents}; "
        "give the path of the table itself"
    )


def _read_table(archive: Archive, name: str, columns: ColumnsConfig, now: Instant, *, beside: bool = False) -> Log:
    if base(name) in RATINGS:
        return read_movielens(archive, name, columns, now)
    return log_of(read_table(archive.read(name), archive.where(name), columns, beside=beside), columns, now)


def _part_names(archive: Archive) -> dict[int, str]:
    """The file of each part by label, in the order train, valid, test. Raises DataError without train or test."""
    tables = [name for name in archive.names() if is_table(name)]
    found: dict[int, str] = {}
    for label, stems in _PARTS.items():
        matching = [name for name in tables if base(name).partition(".")[0] in stems]
        if len(matching) > 1:
            raise DataError(f"{archive.path} has {matching[0]} and {matching[1]} for the same part; keep one of them")
        if matching:
            found[label] = matching[0]
    for label, word in ((TRAIN, "train"), (TEST, "test")):
        if label not in found:
            contents = ", ".join(archive.names()[:5]) or "nothing"
            raise DataError(
                f"{archive.path} has no {word}.csv, .tsv, .parquet or .txt, but {contents}; rename the file of {word}"
            )
    return found


def _note_shared(data: Dataset, labels: Labels, path: Path) -> Dataset:
    """Add a note that counts users' items in more than one part. Raises DataError if the times are equal too."""
    events = data.events
    keys = events.user_rows.astype(np.int64) * len(data.items) + events.item_rows
    order = np.argsort(keys, kind="stable")
    later = order[1:][np.diff(keys[order]) == 0]
    if len(later) == 0:
        return data
    earlier = order[:-1][np.diff(keys[order]) == 0]
    same = events.times[later] == events.times[earlier]
    if data.timed and same.any():
        first = later[same][0]
        user, item = data.users.id(int(events.user_rows[first])), data.items.id(int(events.item_rows[first]))
        raise DataError(
            f"{path}: {int(same.sum()):,} events are in two parts, the first: user {user}, item {item}; "
            "a model would be fitted on its targets: drop them from one part"
        )
    note = f"{len(later):,} targets are items that their user also has in an earlier part: masked, so never hit"
    return replace(data, notes=(*data.notes, note))


def _read_bundled(now: Instant) -> Log:
    with as_file(files("matinee.data") / "bundled") as folder:
        ratings = read_table(read_bytes(folder / "ratings.parquet"), "bundled ratings")
        movies = read_table(read_bytes(folder / "movies.parquet"), "bundled movies")
    log = log_of(ratings, SNIFFED, now)
    return replace(log, read=None, titles=titles_of(movies.frame.rename({"movieId": "id"})))

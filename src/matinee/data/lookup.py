"""Lookup of data sets by name: bundled, in MATINEE_DATA, beside the project, in the download cache."""

import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from matinee.data.fetch import SETS
from matinee.errors import DataError, did_you_mean
from matinee.folders import cache_folder
from matinee.reading.archives import STDIN, base

BUNDLED = "bundled"
TABLES, PACKED, ARCHIVES = (
    words.split("|")
    for words in (
        "csv|tsv|txt|dat|data|parquet|pq|arrow|feather|inter|rating|json|jsonl|ndjson|xlsx",
        "gz|bz2|xz|zst",
        "zip|tar|tgz|tbz2|txz",
    )
)
"""Endings of tables, of what compresses them, and of archives."""
_SUFFIX = re.compile(
    rf"\.({'|'.join([*TABLES, *ARCHIVES])})(\.({'|'.join(PACKED)}))?$|\.({'|'.join(PACKED)})$", re.IGNORECASE
)
_NOT_A_LOG = re.compile(
    r"(movies|movie_titles|items|users|tags|links|genome.*|readme.*|license.*|u\..*|.*_list|.*\.md)$"
)


def available() -> list[tuple[str, str, Path]]:
    """The data sets that `load` knows by name, in lookup order: (name, where, path)."""
    known = {BUNDLED: (BUNDLED, "bundled", Path(str(files("matinee.data") / "bundled")))}
    for where, root in _roots():
        for entry in sorted(root.iterdir()) if root.is_dir() else ():
            if _is_data(entry):
                known.setdefault(stem(entry), (stem(entry), where, entry))
    return list(known.values())


def find(data: str | Path) -> Path:
    """Resolve a path or name. Raises DataError with the closest name and how to fetch it."""
    if data == "":
        raise DataError("the data has no name; give a path, or a name of `matinee data list`")
    path = _expanded(Path(data))
    if str(data) in STDIN or path.exists():
        return path
    name = str(data)
    known = {known_name: entry for known_name, _, entry in available()}
    if name in known and name != BUNDLED:
        return known[name]
    if name in SETS:
        raise DataError(f"data set {name} is not downloaded yet; run: matinee data fetch {name}")
    if len(path.parts) > 1 or _SUFFIX.search(name):
        raise DataError(f"no file or folder {name}; give a path that exists, or a name of `matinee data list`")
    hint = did_you_mean(name, {*known, *SETS})
    raise DataError(f"no data set {name!r}{hint} (to download one: matinee data fetch NAME)")


def _expanded(path: Path) -> Path:
    """A path with `~` replaced by the home folder, if there is one of that name."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _roots() -> Iterator[tuple[str, Path]]:
    if folder := os.environ.get("MATINEE_DATA"):
        yield "MATINEE_DATA", Path(folder)
    yield "data", Path("data")
    yield "../shared/data", Path("../shared/data")
    yield "cache", cache_folder()


def _is_data(entry: Path) -> bool:
    if entry.name.startswith("."):
        return False
    return entry.is_dir() or is_table(entry.name) or _is_archive(entry.name)


def is_table(name: str) -> bool:
    """Whether a file name can be that of a log. KONECT's begin with `out.`."""
    file = base(name)
    suffix = _SUFFIX.search(file)
    is_log = suffix is not None and (suffix.group(1) or "").lower() in TABLES and suffix.start() > 0
    return (is_log or file.startswith("out.")) and not _NOT_A_LOG.match(file.partition(".")[0])


def stem(path: Path) -> str:
    """The name of a data set: the folder's, or the file's without extensions."""
    if str(path) in STDIN:
        return "stdin"
    if path.is_fifo():
        return "pipe"
    path = path.resolve()
    return path.name if path.is_dir() else _SUFFIX.sub("", path.name)


def _is_archive(name: str) -> bool:
    suffix = _SUFFIX.search(name)
    return suffix is not None and (suffix.group(1) or "").lower() in ARCHIVES

"""Download of the official MovieLens archives into a cache, with progress, resume and checksum."""

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from matinee.errors import DataError, did_you_mean
from matinee.folders import cache_folder
from matinee.writing import sync_file, sync_folder

OFFICIAL = "https://files.grouplens.org/datasets/movielens"
SETS: Mapping[str, str] = {
    "ml-latest-small": "100 thousand ratings, updated from time to time, 1 MB",
    "ml-1m": "1 million ratings of 2000 to 2003, 6 MB",
    "ml-10m": "10 million ratings to 2009, 63 MB",
    "ml-20m": "20 million ratings to 2015, 190 MB",
    "ml-25m": "25 million ratings to 2019, 250 MB",
    "ml-32m": "32 million ratings to 2023, 240 MB",
}
"""Data sets by name, with a description. The archive is NAME.zip, its checksum NAME.zip.md5."""
OnProgress = Callable[[int, int | None], None]
"""Called with the bytes so far and the total, None if unknown."""
_CHUNK, _TIMEOUT, _TRIES = 2**18, 30, 4


class _BrokenError(Exception):
    """The transfer ended early; the part that arrived is kept."""


def fetch(
    name: str, *, cache: Path | None = None, base_url: str | None = None, on_progress: OnProgress | None = None
) -> Path:
    """The zip of a data set, from the cache or downloaded into it.

    base_url: the URL of the archives' folder, by default MATINEE_DATASETS_URL, then GroupLens's. A broken transfer is
    resumed, at once or by the next call. The archive must match the MD5 on the server or, if there is none, pass the
    zip's own checksums. Raises DataError with the URL and how to fix it.
    """
    if name not in SETS:
        raise DataError(f"no data set {name!r} to fetch{did_you_mean(name, SETS)}")
    folder = cache or cache_folder()
    target = folder / f"{name}.zip"
    if target.is_file():
        return target
    if target.exists():
        raise DataError(f"{target} is where the archive goes, and is no file; move it away")
    base = (base_url or os.environ.get("MATINEE_DATASETS_URL") or OFFICIAL).rstrip("/")
    url = f"{base}/{name}.zip"
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url} is not an http or https URL; fix MATINEE_DATASETS_URL")
    part = folder / f"{name}.zip.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(url, part, on_progress or (lambda done, total: None))
        _verify(part, url, _checksum(f"{url}.md5"))
        sync_file(part)
        part.replace(target)
        sync_folder(folder)
    except (URLError, HTTPException, TimeoutError, ConnectionError, _BrokenError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{url} cannot be downloaded ({reason}); run it again to resume, or save the file by hand as {target}"
        ) from None
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}; set XDG_CACHE_HOME") from None
    return target


def _download(url: str, part: Path, on_progress: OnProgress) -> None:
    """Complete a partial file. A failed attempt is retried if it made progress."""
    for attempt in range(1, _TRIES + 1):
        before = part.stat().st_size if part.exists() else 0
        try:
            _transfer(url, part, before, on_progress)
            return
        except (_BrokenError, TimeoutError, ConnectionError, HTTPException):
            progressed = part.exists() and part.stat().st_size > before
            if attempt == _TRIES or not progressed:
                raise


def _transfer(url: str, part: Path, done: int, on_progress: OnProgress) -> None:
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = _open(request)
    except HTTPError as error:
        if error.code != 416:
            raise
        if _total_size(error.headers.get("Content-Range")) == done:
            return  # the part was complete already
        part.unlink()
        raise _BrokenError("the partial download does not match the file and was deleted") from None
    with response:
        resumed = response.status == 206
        if resumed and not str(response.headers.get("Content-Range")).startswith(f"bytes {done}-"):
            raise _BrokenError("the server sent another range than requested")
        done = done if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, done, total, on_progress)


def _open(request: Request) -> HTTPResponse:
    try:
        response: HTTPResponse = urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        error.close()  # otherwise the socket stays open as long as the error
        raise
    return response


def _total_size(content_range: str | None) -> int:
    """The size of the whole file in a header such as `bytes */5917549`; -1 if unknown."""
    _, _, size = (content_range or "").rpartition("/")
    return int(size) if size.isdigit() else -1


def _copy(response: HTTPResponse, file: BinaryIO, done: int, total: int | None, on_progress: OnProgress) -> None:
    on_progress(done, total)
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        done += len(chunk)
        on_progress(done, total)
    if total is not None and done < total:
        raise _BrokenError(f"interrupted after {done:,} of {total:,} bytes")


def _checksum(url: str) -> str | None:
    """The MD5 in a file such as `MD5 (ml-1m.zip) = c4d9...`; None if the server has no such file."""
    try:
        with _open(Request(url)) as response:
            text = response.read(4096).decode("ascii", errors="replace")
    except HTTPError as error:
        if error.code in (403, 404, 410):
            return None
        raise
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    return found.group().lower() if found else None


def _verify(part: Path, url: str, expected: str | None) -> None:
    """Delete the file and raise DataError if it is not the server's archive."""
    digest = hashlib.md5(usedforsecurity=False)
    with part.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    if expected is not None and digest.hexdigest() != expected:
        part.unlink()
        raise DataError(
            f"{url} arrived with checksum {digest.hexdigest()} instead of {expected} and was deleted; download it again"
        )
    try:
        with zipfile.ZipFile(part) as archive:
            broken = None if expected is not None else archive.testzip()
    except zipfile.BadZipFile:
        broken = "the whole file"
    if broken:
        part.unlink()
        raise DataError(f"{url} is a damaged zip ({broken} is unreadable) and was deleted; download it again")

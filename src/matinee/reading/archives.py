"""Folders, zips and tars behind one interface: file names and their bytes; and single files, read once."""

import io
import os
import stat
import sys
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from matinee.errors import DataError, first_line
from matinee.reading.compression import MAX_BYTES, MAX_RATIO, TooLargeError, peek, unpack

STDIN = ("-", "/dev/stdin")
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_TAR, _TAR_AT, _TAR_HEAD = b"ustar", 257, 512
_OFFICE = ("[Content_Types].xml", "mimetype")
"""What a spreadsheet, which is a zip too, has at its top."""
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """The first bytes of a file, unpacked, and about how many there are in all."""

    head: bytes
    n_bytes: int


class Archive(ABC):
    """Files by their path inside the folder or archive, separated by `/`."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """All files except hidden ones, in alphabetical order."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a file. Raises DataError if it is damaged."""

    def where(self, name: str) -> str:
        """The name of a file in messages."""
        return f"{self.path}/{name}"

    def on_disk(self, name: str) -> Path | None:
        """The path of a file that lies on disk by itself."""
        return None

    def sample(self, name: str, n_bytes: int) -> Sample | None:
        """The first bytes of a file that is not in memory yet; None if it is. Raises DataError."""
        return None

    def find(self, *wanted: str) -> str | None:
        """The file with one of these lower-case names; prefers the shallowest, then the first wanted."""
        found = [name for name in self.names() if base(name) in wanted]
        return min(found, key=lambda name: (name.count("/"), wanted.index(base(name)), name), default=None)


class Folder(Archive):
    """A folder and its subfolders up to a depth."""

    def __init__(self, path: Path, depth: int = 2) -> None:
        self.path = path
        patterns = ("*", "*/*", "*/*/*")[:depth]
        found = (inner.relative_to(path) for pattern in patterns for inner in path.glob(pattern))
        visible = (name for name in found if not _is_hidden(name) and (path / name).is_file())
        self._names = sorted(name.as_posix() for name in visible)

    def names(self) -> list[str]:
        """See Archive."""
        return self._names

    def read(self, name: str) -> bytes:
        """See Archive."""
        return read_bytes(self.path / name)

    def on_disk(self, name: str) -> Path | None:
        """See Archive."""
        return self.path / name

    def sample(self, name: str, n_bytes: int) -> Sample | None:
        """See Archive. Of a packed file the rest is taken to be packed as the head is."""
        with _opened(self.path / name) as file:
            packed = os.fstat(file.fileno()).st_size
            head = peek(file, n_bytes)
            return Sample(head, int(len(head) * packed / max(1, file.tell())))


class Held(Archive):
    """A single file whose bytes are in memory, such as one from a pipe."""

    def __init__(self, path: Path, raw: bytes) -> None:
        self.path, self._raw = path, raw

    def names(self) -> list[str]:
        """See Archive."""
        return [self.path.name]

    def read(self, name: str) -> bytes:
        """See Archive."""
        return self._raw

    def where(self, name: str) -> str:
        """See Archive."""
        return "standard input" if str(self.path) in STDIN else str(self.path)


class Zip(Archive):
    """A zip that is read in place, without unpacking to disk.

    raw: its bytes, where it is not a file on disk; limit: of what it unpacks to, in bytes. Raises TooLargeError beyond.
    """

    def __init__(self, path: Path, raw: bytes | None = None, limit: int | None = None) -> None:
        self.path, self._raw = path, raw
        with self._opened() as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            _check_name(path, member.filename)
            _check_ratio(path, member)
        _check_total(path, sum(member.file_size for member in members), limit or MAX_BYTES)
        self._names = sorted(m.filename for m in members if not _is_hidden(PurePosixPath(m.filename)))

    def names(self) -> list[str]:
        """See Archive."""
        return self._names

    def read(self, name: str) -> bytes:
        """See Archive."""
        with self._opened() as archive:
            return archive.read(name)

    def sample(self, name: str, n_bytes: int) -> Sample | None:
        """See Archive."""
        if self._raw is not None:
            return None
        with self._opened() as archive, archive.open(name) as file:
            return Sample(file.read(n_bytes), archive.getinfo(name).file_size)

    @property
    def is_spreadsheet(self) -> bool:
        """Whether the zip is a workbook, such as xlsx."""
        return any(name in self._names for name in _OFFICE)

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        """The zip, with the errors of its library translated to DataError."""
        try:
            with zipfile.ZipFile(self.path if self._raw is None else io.BytesIO(self._raw)) as archive:
                yield archive
        except (RuntimeError, NotImplementedError) as error:
            raise DataError(
                f"{self.path} cannot be unpacked ({first_line(error)}); unpack it and give the folder"
            ) from None
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, LookupError) as error:
            raise DataError(
                f"{self.path} is damaged or cut short ({first_line(error)}); download or copy it again"
            ) from None


class Tar(Archive):
    """A tar, unpacked from its compression in memory. Links and devices in it are not files and are passed over."""

    def __init__(self, path: Path, raw: bytes) -> None:
        self.path, self._raw = path, raw
        with self._opened() as archive:
            members = [member for member in archive if member.isfile() and not member.issparse()]
        for member in members:
            _check_name(path, member.name)
        _check_total(path, sum(member.size for member in members), MAX_BYTES)
        self._members = {member.name.removeprefix("./"): member for member in members}
        self._names = sorted(name for name in self._members if not _is_hidden(PurePosixPath(name)))

    def names(self) -> list[str]:
        """See Archive."""
        return self._names

    def read(self, name: str) -> bytes:
        """See Archive."""
        with self._opened() as archive:
            file = archive.extractfile(self._members[name])
            return b"" if file is None else file.read()

    @contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        try:
            with tarfile.open(fileobj=io.BytesIO(self._raw), mode="r:") as archive:
                yield archive
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise DataError(
                f"{self.path} is damaged or cut short ({first_line(error)}); download or copy it again"
            ) from None


def open_source(path: Path) -> tuple[Archive, str | None]:
    """Open what a path names: its files, and the name of the single one where it is no folder and no archive.

    The files beside a single one on disk are open too. A pipe, or `-` for standard input, is read once.
    Raises DataError.
    """
    if path.is_dir():
        return Folder(path), None
    if not _is_on_disk(path):
        raw = read_bytes(path)
        archive = as_archive(raw, path)
        return (archive, None) if archive else (Held(path, raw), path.name)
    with _opened(path) as file:
        head = peek(file, _TAR_HEAD)
        file.seek(0)
        is_zip = file.read(4) in (_ZIP, _EMPTY_ZIP) or path.suffix.lower() == ".zip"
    if is_zip and not (archive := Zip(path)).is_spreadsheet:
        return archive, None
    if _is_tar(head):
        return Tar(path, unpack(read_bytes(path), str(path))), None
    return Folder(path.parent, depth=1), path.name


def open_archive(path: Path) -> Archive:
    """Open a folder, a zip or a tar. Raises DataError for a single file."""
    archive, single = open_source(path)
    if single is not None:
        raise DataError(f"{path} is a single file; give a folder, a zip or a tar")
    return archive


def as_archive(raw: bytes, path: Path) -> Archive | None:
    """The zip or tar that bytes are; None if they are a single file. Raises DataError if it is damaged."""
    if raw[:4] in (_ZIP, _EMPTY_ZIP):
        archive = Zip(path, raw)
        return None if archive.is_spreadsheet else archive
    return Tar(path, unpack(raw, str(path))) if _is_tar(peek(io.BytesIO(raw), _TAR_HEAD)) else None


def read_bytes(path: Path) -> bytes:
    """Read a file, or `-` for standard input. Raises DataError if the system refuses, or if it does not end."""
    with _opened(path) as file:
        chunks, size = [], 0
        if str(path) not in STDIN and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file.read()
        while chunk := file.read(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BYTES:
                raise DataError(f"{path} gives more than {MAX_BYTES // 2**30} GiB; save it as a file first")
        return b"".join(chunks)


def base(name: str) -> str:
    """The last part of a path inside an archive, in lower case."""
    return name.rsplit("/", 1)[-1].lower()


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file on disk, a pipe or standard input, with the system's errors translated to DataError."""
    try:
        if str(path) in STDIN:
            if sys.stdin is None or sys.stdin.isatty():
                raise DataError("nothing comes from standard input; pipe a table into it, as in: cat log.csv | ... -")
            yield sys.stdin.buffer
            return
        with path.open("rb") as file:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path} is a device, not a file; give a table")
            yield file
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _is_on_disk(path: Path) -> bool:
    return str(path) not in STDIN and path.is_file()


def _is_tar(head: bytes) -> bool:
    return head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR


def _check_name(path: Path, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise DataError(f"{path} contains {name!r}, a path outside the folder; do not trust this archive")


def _check_ratio(path: Path, member: zipfile.ZipInfo) -> None:
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > 2**20 and ratio > MAX_RATIO:
        raise TooLargeError(
            f"{path} contains {member.filename!r}, which unpacks to {ratio:,.0f} times its size; "
            "unpack it by hand if you trust it"
        )


def _check_total(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise TooLargeError(f"{path} unpacks to more than {limit // 2**20:,} MiB; unpack it by hand if you trust it")


def _is_hidden(name: PurePosixPath | Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)

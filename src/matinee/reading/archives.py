"""Folders and zips behind one interface: file names and their bytes."""

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from matinee.errors import DataError

MAX_BYTES = 8 * 2**30
"""Maximum unpacked size of a zip; the largest MovieLens unpacks to 1.2 GB."""
MAX_RATIO = 200
"""Maximum compression ratio of a file in a zip; logs stay below 20."""


class Archive(ABC):
    """Files by their path inside the folder or zip, separated by `/`."""

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


class Zip(Archive):
    """A zip that is read in place, without unpacking to disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._readable(), zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            _check(path, member)
        if sum(member.file_size for member in members) > MAX_BYTES:
            raise DataError(f"{path} unpacks to more than {MAX_BYTES // 2**30} GiB; unpack it by hand if you trust it")
        self._names = sorted(m.filename for m in members if not _is_hidden(PurePosixPath(m.filename)))

    def names(self) -> list[str]:
        """See Archive."""
        return self._names

    def read(self, name: str) -> bytes:
        """See Archive."""
        with self._readable(), zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Translate errors of the zip library to DataError."""
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{self.path} is damaged or cut short ({error}); download or copy it again") from None
        except (RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self.path} cannot be unpacked ({error}); unpack it and give the folder") from None
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from None


def open_archive(path: Path) -> Archive:
    """Open a folder or a zip."""
    return Folder(path) if path.is_dir() else Zip(path)


def read_bytes(path: Path) -> bytes:
    """Read a file. Raises DataError if the system refuses."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def base(name: str) -> str:
    """The last part of a path inside an archive, in lower case."""
    return name.rsplit("/", 1)[-1].lower()


def _check(path: Path, member: zipfile.ZipInfo) -> None:
    parts = member.filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise DataError(f"{path} contains {member.filename!r}, a path outside the folder; do not trust this zip")
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > 2**20 and ratio > MAX_RATIO:
        raise DataError(
            f"{path} contains {member.filename!r}, which unpacks to {ratio:,.0f} times its size; "
            "unpack it by hand if you trust it"
        )


def _is_hidden(name: PurePosixPath | Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)

"""A folder or a zip, read alike: names of files and their bytes."""

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from matinee.errors import DataError

MOST_BYTES = 8 * 2**30
"""A zip that unpacks to more than this is refused; the largest MovieLens unpacks to 1.2 GB."""
MOST_GAIN = 200
"""A file of a zip that unpacks to more than this many times its size is refused; logs stay under 20."""


class Archive(ABC):
    """Files by their path inside, `/` between folders."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """Every file, in alphabetical order; hidden ones are left out."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's bytes. Raises DataError where it is damaged."""

    def where(self, name: str) -> str:
        """A file's name for messages."""
        return f"{self.path}/{name}"

    def find(self, *wanted: str) -> str | None:
        """The file of one of these names (lower case) that lies least deep; of several the first wanted."""
        found = [name for name in self.names() if base(name) in wanted]
        return min(found, key=lambda name: (name.count("/"), wanted.index(base(name)), name), default=None)


class Folder(Archive):
    """A folder and the folders in it, to some depth."""

    def __init__(self, path: Path, depth: int = 2) -> None:
        self.path = path
        patterns = ("*", "*/*", "*/*/*")[:depth]
        found = (inner.relative_to(path) for pattern in patterns for inner in path.glob(pattern))
        shown = (name for name in found if not _hidden(name) and (path / name).is_file())
        self._names = sorted(name.as_posix() for name in shown)

    def names(self) -> list[str]:
        """See Archive."""
        return self._names

    def read(self, name: str) -> bytes:
        """See Archive."""
        return read_bytes(self.path / name)


class Zip(Archive):
    """A zip, read in place; nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._damage(), zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            _check(path, member)
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise DataError(f"{path} unpacks to more than {MOST_BYTES // 2**30} GiB; unpack it by hand if you trust it")
        self._names = sorted(m.filename for m in members if not _hidden(PurePosixPath(m.filename)))

    def names(self) -> list[str]:
        """See Archive."""
        return self._names

    def read(self, name: str) -> bytes:
        """See Archive."""
        with self._damage(), zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{self.path} is damaged or cut short ({error}); download or copy it again") from None
        except (RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self.path} cannot be unpacked ({error}); unpack it and give the folder") from None
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from None


def open_archive(path: Path) -> Archive:
    """A folder, or the zip that a file is."""
    return Folder(path) if path.is_dir() else Zip(path)


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises DataError where the system refuses."""
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
        raise DataError(f"{path} holds {member.filename!r}, a path that leads out of the folder; do not trust this zip")
    gain = member.file_size / max(member.compress_size, 1)
    if member.file_size > 2**20 and gain > MOST_GAIN:
        raise DataError(
            f"{path} holds {member.filename!r}, which unpacks to {gain:,.0f} times its size; "
            "unpack it by hand if you trust it"
        )


def _hidden(name: PurePosixPath | Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)

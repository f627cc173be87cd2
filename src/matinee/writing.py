"""Files and folders that are whole or not there: written aside, synced, and put in place in one step.

What is written stands first in a staging folder `.NAME.XXXXXXXX.part` beside its place, which this process holds a
lock on. Its files and folders are synced before the step and the folder above after it, so a kill or a power cut leaves
the old or the new. A folder is exchanged with the old one by `renameat2`; without it, by two renames, between which
the place is empty for a moment: `recover` finishes such a pair. A staging folder that nobody holds a lock on belongs to
a process that died, and the next write to the same place removes it.
"""

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from matinee.errors import MatineeError

STAGING_LENGTH = len(b".") + len(b".XXXXXXXX.part")
"""Bytes that the name of a staging folder adds to the name of what is written."""
_NEW, _OLD = "new", "old"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
_HALF_WRITTEN = re.compile(r"\.tmp\w+|\..+\.[0-9a-f]{8}\.part")
"""Names that the safetensors library and `new_file` write to before they rename."""


@contextmanager
def new_file(path: Path, what: str, *, private: bool = False) -> Iterator[Path]:
    """Yield a path to write to; after the block, that file stands at `path`, in place of an older one.

    The folder above is created. what: names the file in an error, such as "figure"; private: only its owner may read
    it. If the block or a step after it fails, `path` is as it was. Raises MatineeError if it cannot be written.
    """
    with _reported(what, path):
        path = Path(os.path.realpath(path))
        make_folder(path.parent)
        with _staging(path, frozenset()) as staging:
            part = staging / path.name
            yield part
            sync_file(part, 0o600 if private else staging.stat().st_mode & 0o666)
            part.replace(path)
            sync_folder(path.parent)


@contextmanager
def new_folder(path: Path, what: str, names: frozenset[str]) -> Iterator[Path]:
    """Yield an empty folder to fill; after the block, it stands at `path`, in place of an older one.

    names: all files that may be in either folder; the caller has checked that the older one has no others. Raises
    MatineeError if it cannot be written, and if a file that is not in `names` came into the older folder meanwhile:
    that one is kept, and the message says where.
    """
    with _reported(what, path):
        path = Path(os.path.realpath(path))
        make_folder(path.parent)
        with _staging(path, names) as staging:
            part = staging / _NEW
            part.mkdir()
            yield part
            for file in part.iterdir():
                sync_file(file, staging.stat().st_mode & 0o666)
            for folder in (part, staging, path.parent):
                sync_folder(folder)
            aside = _put_in_place(part, path)
            for folder in (path.parent, staging):
                sync_folder(folder)
            if aside is not None and (strangers := _strangers(aside, names)):
                raise MatineeError(f"{what} {path} is saved, but {strangers[0]} came into the old one: see {aside}")


def recover(path: Path) -> None:
    """Finish the exchange of a folder whose process died between two renames; nothing to do otherwise."""
    if os.path.lexists(path):
        return
    for staging in _staging_folders(path):
        if (staging / _OLD).is_dir() and (lock := _locked(staging)) is not None:
            try:
                # the old one is set aside only once the new one is whole
                (staging / _NEW if (staging / _NEW).is_dir() else staging / _OLD).rename(path)
                sync_folder(path.parent)
            except OSError:
                continue  # a read-only disk, or another process was faster
            finally:
                os.close(lock)
            return


def try_staging(path: Path) -> None:
    """Create and remove a staging folder for a path. Raises OSError if nothing can be written there."""
    folder, lock = _new_staging(path)
    os.close(lock)
    folder.rmdir()


def make_folder(folder: Path) -> None:
    """Create a folder and those above it that are missing, so that they survive a power cut."""
    if not folder.is_dir():
        if folder.exists():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where its file system can."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(number)


def _put_in_place(part: Path, path: Path) -> Path | None:
    """Put a folder at a path, and return where an older one went; None if there was none."""
    try:
        part.rename(path)  # where nothing stands, or an empty folder
        return None
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if exchange(part, path):
        return part
    aside = part.with_name(_OLD)
    path.rename(aside)
    part.rename(path)
    return aside


def exchange(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; False if the system or the file system cannot. Raises OSError if it fails."""
    try:
        renameat2: Callable[..., int] = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number))


@contextmanager
def _staging(path: Path, names: frozenset[str]) -> Iterator[Path]:
    """A new staging folder for a path, locked, and removed at the end with the old folder set aside in it."""
    _sweep(path, names)
    folder, lock = _new_staging(path)
    try:
        yield folder
    finally:
        _remove(folder, names)
        os.close(lock)


def _new_staging(path: Path) -> tuple[Path, int]:
    """A new staging folder, and the open file that holds its lock, where the file system has locks."""
    while True:
        folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        folder.mkdir()
        number = os.open(folder, os.O_RDONLY)
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        if folder.exists() and os.path.samestat(os.fstat(number), folder.stat()):
            return folder, number
        os.close(number)  # swept by another process before it was locked


def _staging_folders(path: Path) -> list[Path]:
    """The staging folders for a path, in use or not."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.part")
    try:
        found = [path.with_name(each) for each in os.listdir(path.parent) if name.fullmatch(each)]
    except OSError:
        return []
    return [folder for folder in found if folder.is_dir() and not folder.is_symlink()]


def _locked(folder: Path) -> int | None:
    """An open file that holds the lock of a left staging folder; None if a process holds it, or locks are missing."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return None
    return number


def _sweep(path: Path, names: frozenset[str]) -> None:
    """Remove the staging folders that processes which died left behind for a path."""
    recover(path)
    for folder in _staging_folders(path):
        if (lock := _locked(folder)) is not None:
            _remove(folder, names)
            os.close(lock)


def _remove(folder: Path, names: frozenset[str]) -> None:
    """Remove a staging folder, unless a file is in it that Matinee did not write."""
    inner = [folder / name for name in (_NEW, _OLD)]
    if not any(_strangers(each, names) for each in inner if names and each.is_dir()):
        shutil.rmtree(folder, ignore_errors=True)


def _strangers(folder: Path, names: frozenset[str]) -> list[str]:
    """The names in a folder that are not ours, in alphabetical order."""
    return sorted(name for name in os.listdir(folder) if name not in names and not _HALF_WRITTEN.fullmatch(name))


def sync_file(file: Path, mode: int | None = None) -> None:
    """Make the content of a file survive a power cut. mode: set too, for libraries make files as they please."""
    number = os.open(file, os.O_RDONLY)
    try:
        if mode is not None:
            os.fchmod(number, mode)
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _reported(what: str, path: Path) -> Iterator[None]:
    """Turn an error of the system into one line."""
    try:
        yield
    except OSError as error:
        raise MatineeError(f"{what} {path} cannot be written: {error.strerror or error}") from None

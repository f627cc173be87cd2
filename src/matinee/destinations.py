"""Whether a path can be written to, checked before the work whose result goes there."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from matinee.errors import MatineeError
from matinee.writing import STAGING_LENGTH, try_staging

MIN_FREE = 2**22
"""Bytes that a disk must have free before a work begins whose result has an unknown size."""
NAME_MAX, PATH_MAX = 255, 4096
"""Bytes of a name and of a path on the systems that this runs on."""
LONGEST_SUFFIX = max(STAGING_LENGTH, len(b".checkpoint"))
MARK = b"Written by Matinee"
"""A file that may be written over has this near its beginning or its end."""
MARKED_BYTES = 2**16


def require_folder(path: Path, option: str, n_bytes: int = MIN_FREE) -> None:
    """Raises MatineeError unless a folder of n_bytes can be put at a path; what stands there is not looked at."""
    _require_place(path, option)
    if path.is_symlink() and not path.exists():
        raise MatineeError(f"{path} is a link that leads nowhere; choose another {option}")
    real = Path(os.path.realpath(path))
    if Path.cwd().is_relative_to(real):
        raise MatineeError(
            f"{option} {path} is the folder you work in, or one above it; name a folder of its own, "
            f"such as {path / 'artefact'}"
        )
    if os.path.ismount(real):
        raise MatineeError(f"{path} is a mount point and cannot be replaced; name a folder in it")
    _require_writable(real, option, n_bytes)


def require_file(
    path: Path, option: str, suffixes: Sequence[str] = (), *, any_file: bool = False, n_bytes: int = MIN_FREE
) -> None:
    """Raises MatineeError unless a file of n_bytes can be written at a path, over none or over one that Matinee wrote.

    suffixes: the formats that can be written, all if empty; any_file: another file may be written over.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        known = ", ".join(suffix.removeprefix(".") for suffix in suffixes)
        raise MatineeError(f"{option} {path} has no format that can be written; end its name in one of: {known}")
    _require_place(path, option)
    if path.is_symlink() and not path.exists():
        raise MatineeError(f"{path} is a link that leads nowhere; choose another {option}")
    if path.is_dir():
        raise MatineeError(f"{path} is a folder; name a file in it: {option} {path / 'NAME'}")
    if path.exists() and not path.is_file():
        raise MatineeError(f"{path} is not a regular file; choose another {option}")
    if path.exists() and not any_file and not is_marked(path):
        raise MatineeError(f"{path} exists and was not written by Matinee; delete it, or choose another {option}")
    _require_writable(Path(os.path.realpath(path)), option, n_bytes)


def is_marked(path: Path) -> bool:
    """Whether Matinee wrote a file, or nothing is in it."""
    with path.open("rb") as file:
        head = file.read(MARKED_BYTES)
        file.seek(max(0, path.stat().st_size - MARKED_BYTES))
        return not head or MARK in head or MARK in file.read()


def require_room(folder: Path, n_bytes: int, what: str) -> None:
    """Raises MatineeError unless the disk of a folder, or of the first above it that exists, has n_bytes free."""
    free = shutil.disk_usage(_existing(folder)).free
    if free < n_bytes:
        raise MatineeError(
            f"{what} needs {n_bytes / 1e6:,.1f} MB and {folder} has {free / 1e6:,.1f} MB free: no space left; "
            "free some, or choose another folder"
        )


def _require_place(path: Path, option: str) -> None:
    """Raises MatineeError unless a path has a name that a file can have."""
    if "\0" in str(path):
        raise MatineeError(f"{option} has a character that no name can have")
    whole = os.path.abspath(path)
    names = [os.fsencode(name) for name in Path(whole).parts]
    longest = max(names, key=len)
    if len(names[-1]) + LONGEST_SUFFIX > NAME_MAX or len(longest) > NAME_MAX or len(os.fsencode(whole)) > PATH_MAX // 2:
        raise MatineeError(
            f"{option} has a name that is too long: {os.fsdecode(longest[:40])}...; choose a shorter one"
        )


def _require_writable(path: Path, option: str, n_bytes: int) -> None:
    """Raises MatineeError unless a path can be created in its folder, or in the first above it that exists."""
    existing = _existing(path.parent)
    if not existing.is_dir():
        raise MatineeError(f"{existing} is a file, not a folder; choose another {option}")
    try:
        try_staging(existing / path.name)
    except OSError as error:
        raise MatineeError(f"nothing can be written in {existing}: {error.strerror}; choose another {option}") from None
    require_room(existing, n_bytes, f"{option} {path}")


def _existing(folder: Path) -> Path:
    """The first of a folder and those above it that exists."""
    folder = Path(os.path.abspath(folder))
    return next(each for each in (folder, *folder.parents) if os.path.lexists(each))

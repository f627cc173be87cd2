"""A registry: a folder of numbered versions, and one file that names the version that serves.

serving.json          the number of the current version, and of the one before it; replaced in one step
00001/                a version: the artefacts of one or more models, fitted on the same data
    version.json      written last: a numbered folder without it is no version
    ease/             an artefact
.lock                 held by the process that adds, promotes or removes

Versions never change. Adding and promoting take turns, in any number of processes; reading needs no lock.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from matinee.errors import MatineeError
from matinee.store.artefact import Artefact, load, save
from matinee.store.compatible import require_compatible, require_same_items
from matinee.store.manifest import FILES, read_text
from matinee.store.versions.self_test import require_self_test, self_test_of
from matinee.writing import make_folder, new_file, sync_folder

POINTER, ABOUT, LOCK = "serving.json", "version.json", ".lock"
LOG_PART = "log.parquet"
"""The events of the site's log that a version learned from."""
KEEP = 5
"""Versions that are kept by default."""
DIGITS = 5
Number = Annotated[StrictInt, Field(ge=1)]


class _PointerFile(BaseModel):
    model_config = ConfigDict(extra="ignore")
    current: Number
    previous: Number | None = None


class _VersionFile(BaseModel):
    """What version.json holds. Keys that are not named here are ignored."""

    model_config = ConfigDict(extra="ignore")
    created: StrictInt
    note: StrictStr = ""
    models: Annotated[dict[StrictStr, StrictStr], Field(min_length=1)]
    self_tests: dict[StrictStr, list[dict[StrictStr, Any]]]
    log: dict[StrictStr, Any] = {}


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version serves, and which one did before it, if any."""

    current: int
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A version without its arrays.

    created: UTC seconds; note: how it was made; models: the version of the artefact of each model, as lists name it, in
    the order of the site; log: how far into the site's log it learned, empty if it learned nothing from it.
    """

    number: int
    created: int
    note: str
    models: Mapping[str, str]
    self_tests: Mapping[str, list[dict[str, Any]]] = field(repr=False)
    log: Mapping[str, Any] = field(default_factory=dict)


class Registry:
    """A registry in a folder.

    Raises MatineeError, one line, if the folder is no registry, something in it is damaged, or nothing can be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self._numbered() and not (self.path / POINTER).exists():
            raise MatineeError(_no_registry(self.path))

    @classmethod
    def create(cls, path: str | Path) -> "Registry":
        """The registry at a path, made in a folder that is missing or empty."""
        path = Path(path).expanduser()
        registry = object.__new__(cls)
        registry.path = path
        if registry._numbered() or (path / POINTER).exists():
            return registry
        if path.exists() and not path.is_dir():
            raise MatineeError(_no_registry(path))
        if path.is_dir() and set(os.listdir(path)) - {LOCK}:
            raise MatineeError(_no_registry(path))
        try:
            make_folder(path)
        except OSError as error:
            raise MatineeError(f"registry {path} cannot be made: {error.strerror or error}") from None
        return registry

    def numbers(self) -> list[int]:
        """The numbers of all versions, damaged ones too, ascending."""
        return [number for number in self._numbered() if (self.folder(number) / ABOUT).exists()]

    def folder(self, number: int) -> Path:
        """The folder of a version."""
        return self.path / f"{number:0{DIGITS}}"

    def pointer(self) -> Pointer:
        """Which version serves."""
        path = self.path / POINTER
        try:
            found = _PointerFile.model_validate(json.loads(read_text(path)))
        except (OSError, ValueError, RecursionError) as error:
            what = "is missing" if not path.exists() else f"is damaged ({_in_words(error)})"
            raise MatineeError(
                f"{path}, which names the version that serves, {what}; "
                f"write it again: matinee models promote NUMBER --registry {self.path}"
            ) from None
        return Pointer(found.current, found.previous)

    def version(self, number: int) -> Version:
        """What is known of a version."""
        path = self.folder(number) / ABOUT
        if not path.exists():
            there = ", ".join(map(str, self.numbers())) or "none"
            half = " but for a part" if self.folder(number).exists() else ""
            raise MatineeError(f"registry {self.path} has no version {number}{half}; there are: {there}")
        try:
            found = _VersionFile.model_validate(json.loads(read_text(path)))
        except (OSError, ValueError, RecursionError) as error:
            raise MatineeError(f"version {number} is damaged: {path} ({_in_words(error)}); promote another") from None
        return Version(number, found.created, found.note, found.models, found.self_tests, found.log)

    def load(self, number: int) -> list[Artefact]:
        """The artefacts of a version, checked: whole, fitted on the same items, and listing what they listed before."""
        version = self.version(number)
        artefacts = []
        for name, expected in version.models.items():
            artefact = load(self.folder(number) / name)
            if (artefact.name, artefact.version) != (name, expected):
                raise MatineeError(
                    f"artefact {artefact.path} is not the one that version {number} was made with ({name} {expected}, "
                    f"and it is {artefact.name} {artefact.version}); make the version again"
                )
            require_self_test(artefact, version.self_tests.get(name, []))
            artefacts.append(artefact)
        require_same_items(artefacts)
        return artefacts

    def add(self, artefacts: Sequence[Artefact], note: str = "", log: Mapping[str, Any] | None = None) -> Version:
        """Save artefacts as a new version, which does not serve yet. The first of them makes the site's default list.

        log: as of Version, ready for JSON. Raises MatineeError if the artefacts were not fitted on the same items.
        """
        require_same_items(artefacts)
        with self.locked():
            self._sweep()
            number = max(self._numbered(), default=0) + 1
            folder = self.folder(number)
            try:
                folder.mkdir()
                for artefact in artefacts:
                    save(artefact, folder / artefact.name)
                about = {
                    "created": int(time.time()),
                    "note": note,
                    "models": {artefact.name: artefact.version for artefact in artefacts},
                    "self_tests": {artefact.name: self_test_of(artefact) for artefact in artefacts},
                    "log": dict(log or {}),
                }
                with new_file(folder / ABOUT, "version") as part:
                    part.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")
                sync_folder(self.path)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise MatineeError(f"version {number} cannot be written: {error.strerror or error}") from None
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return self.version(number)

    def promote(self, number: int, over: int | None = None) -> Pointer:
        """Let a version serve, once it is loaded and checked against the one that serves.

        over: promote only if this version serves. Raises MatineeError, and changes nothing, if the version is missing,
        damaged or of another catalogue, or another one was promoted meanwhile.
        """
        with self.locked():
            before = self._pointer_if_any()
            if over is not None and (before is None or before.current != over):
                now = "none" if before is None else str(before.current)
                raise MatineeError(f"version {now} serves now, not {over}, so {number} is not promoted; try again")
            artefacts = self.load(number)
            if before is None:
                return self._point(Pointer(number))
            if before.current == number:
                return before
            current = self._loaded_if_sound(before.current)
            if current is not None:
                require_compatible(artefacts[0], current, number, before.current)
            return self._point(Pointer(number, before.current))

    def rollback(self) -> Pointer:
        """Let the version serve that did before; a second rollback undoes the first."""
        with self.locked():
            before = self.pointer()
            if before.previous is None:
                raise MatineeError(f"version {before.current} is the first that serves: there is none to go back to")
            self.load(before.previous)
            return self._point(Pointer(before.previous, before.current))

    @contextmanager
    def held(self, number: int) -> Iterator[None]:
        """Nobody removes a version meanwhile, in any process: a shared lock on its file, which ends with the process.

        Raises MatineeError if the version is not there.
        """
        about = self.folder(number) / ABOUT
        try:
            file = os.open(about, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.version(number)  # says what there is instead
            raise MatineeError(f"{about} cannot be read") from None
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.version(number)  # it may have been removed before the lock was there
            yield
        finally:
            os.close(file)

    def prune(self, keep: int = KEEP) -> list[int]:
        """Remove all but the newest versions; never the current one, the one before it, or one that is held.

        Returns what is removed.
        """
        with self.locked():
            self._sweep()
            pointer = self._pointer_if_any()
            if pointer is None:
                return []  # nobody knows which one serves
            spared = {*self.numbers()[-keep:], pointer.current, pointer.previous}
            return [number for number in self.numbers() if number not in spared and self._remove_unless_held(number)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else adds, promotes or removes meanwhile."""
        try:
            number = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise MatineeError(f"registry {self.path} cannot be written: {error.strerror or error}") from None
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)

    def _numbered(self) -> list[int]:
        """The numbers of all folders of versions, unfinished ones too, ascending."""
        try:
            names = os.listdir(self.path)
        except OSError:
            return []
        return sorted(
            int(name)
            for name in names
            if len(name) >= DIGITS and name.isascii() and name.isdigit() and int(name) and (self.path / name).is_dir()
        )

    def _pointer_if_any(self) -> Pointer | None:
        """The pointer; None if it is missing or damaged, which a promotion fixes."""
        try:
            return self.pointer()
        except MatineeError:
            return None

    def _loaded_if_sound(self, number: int) -> Artefact | None:
        try:
            return self.load(number)[0]
        except MatineeError:
            return None

    def _point(self, pointer: Pointer) -> Pointer:
        with new_file(self.path / POINTER, "registry") as part:
            part.write_text(json.dumps(asdict(pointer)) + "\n", "utf-8")
        return pointer

    def _sweep(self) -> None:
        """Remove what a process that died left unfinished; the caller has the lock, so nobody is writing it."""
        for number in self._numbered():
            if not (self.folder(number) / ABOUT).exists():
                self._remove(self.folder(number))

    def _remove_unless_held(self, number: int) -> bool:
        """Remove a version, unless a running site has it as an arm. Returns whether it is removed."""
        try:
            file = os.open(self.folder(number) / ABOUT, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._remove(self.folder(number))
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    def _remove(self, folder: Path) -> None:
        """Remove a version, unless something stands in it that Matinee did not write."""
        (folder / ABOUT).unlink(missing_ok=True)  # first, so that it is no version from now on
        names = {file.name for file in folder.rglob("*") if file.is_file() or file.is_symlink()}
        if names <= FILES | {LOG_PART}:
            shutil.rmtree(folder, ignore_errors=True)


def _no_registry(path: Path) -> str:
    make = f"make one: matinee models add ARTEFACT... --registry {path}"
    if not path.exists():
        return f"there is no registry at {path}; {make}"
    if not path.is_dir():
        return f"{path} is a file, not a registry; name another folder"
    names = sorted(os.listdir(path))
    if not names or names == [LOCK]:
        return f"the registry {path} is empty; {make}"
    if "manifest.json" in names:
        return f"{path} is an artefact, not a registry; name another folder"
    return f"{path} is not a registry: it holds {names[0]!r}, and no {POINTER}; name another folder"


def _in_words(error: object) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, problem['loc']))[:60]}: {problem['msg']}"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON (line {error.lineno})"
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:160]

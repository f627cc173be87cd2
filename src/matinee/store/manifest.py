"""The manifest of an artefact: its schema, its files, and whether a folder is one that may be replaced."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, StrictFloat, StrictInt, StrictStr, ValidationError

from matinee.destinations import MIN_FREE, require_folder
from matinee.errors import MatineeError
from matinee.writing import recover

FORMAT = 2
READS = (1, 2)
MANIFEST = "manifest.json"
ARRAYS, HISTORIES = "arrays.safetensors", "histories.safetensors"
ITEMS, USERS = "items.parquet", "users.parquet"
CURVES, CURVES_PICTURE = "curves.json", "curves.png"
EMBEDDINGS = "embeddings.safetensors"
REQUIRED = (ARRAYS, HISTORIES, ITEMS, USERS)
FILES = frozenset({MANIFEST, *REQUIRED, CURVES, CURVES_PICTURE, EMBEDDINGS})
"""Every file that Matinee writes into an artefact."""
MAX_BYTES = 2**26
"""Of a manifest: 64 MiB, far more than any that Matinee writes."""
PIECES, PIECE_BYTES = 64, 2**16
"""What a fingerprint reads of a file: all of it up to 4 MiB, else that many pieces, at even distances."""

Number = StrictInt | StrictFloat
Size = Annotated[NonNegativeInt, Field(strict=True, lt=2**62)]


class _Part(BaseModel):
    """A part of the manifest: more keys are fine."""

    model_config = ConfigDict(extra="allow", defer_build=True, protected_namespaces=())


class _Data(_Part):
    """What `Dataset.describe` gives."""

    name: StrictStr
    users: Size
    items: Size
    events: Size
    fingerprint: StrictStr


class _Value(_Part):
    """A metric with its interval; null where there is none."""

    mean: Number | None = None
    low: Number | None = None
    high: Number | None = None


class _MeasuredSplit(_Part):
    method: StrictStr = ""


class _Measured(_Part):
    """What the metrics were measured on."""

    on: StrictStr = ""
    users: Size = 0
    split: _MeasuredSplit | None = None


class _PredictedValues(_Part):
    """Whether a model's predictions beat averages at a number of ratings."""

    ratings: Size
    rmse: Number
    better: bool


class _AgainstBestPart(_Part):
    """A model over others beside its best part."""

    part: StrictStr
    users: Size
    scores: dict[StrictStr, Number]
    is_better: bool


class _Noun(BaseModel):
    """What an item is called."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    singular: StrictStr
    plural: StrictStr
    korean: StrictStr = ""


class _EventKind(BaseModel):
    """Events of a kind in the log."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    events: Size
    value: Number | None = None


class Manifest(_Part):
    """What every reader of a manifest relies on. Keys that are not named here are kept as they are."""

    format: StrictInt
    matinee: StrictStr = ""
    model: StrictStr
    model_source: dict[StrictStr, StrictStr | None] | None = None
    config: dict[StrictStr, Any]
    data: _Data
    kind: StrictStr = "rating"
    noun: _Noun | None = None
    source: StrictStr = ""
    event_kinds: dict[StrictStr, _EventKind] = {}
    seed: StrictInt | None = None
    fit_seconds: Number | None = None
    split: dict[StrictStr, Any] | None = None
    experiment: dict[StrictStr, Any] = {}
    metrics: dict[StrictStr, _Value] = {}
    measured: _Measured = _Measured()
    baselines: dict[StrictStr, dict[StrictStr, _Value]] = {}
    predicted_values: list[_PredictedValues] = []
    against_best_part: _AgainstBestPart | None = None
    sparse: dict[StrictStr, tuple[Size, Size]]
    values: dict[StrictStr, StrictInt | StrictFloat | StrictStr | bool]
    files: dict[StrictStr, StrictStr] = {}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artefact, checked against the schema.

    Raises MatineeError if it is missing, damaged, or of a format that this version does not read.
    """
    path = folder / MANIFEST
    try:
        text = read_text(path)
        found = json.loads(text)
        if not isinstance(found, dict) or "format" not in found:
            raise ValueError("it has no format")
        if found["format"] not in READS:
            raise MatineeError(
                f"artefact {folder} has format {str(found['format'])[:20]}, but this version of Matinee reads "
                f"{' and '.join(map(str, READS))}; train again"
            )
        Manifest.model_validate(found)
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(folder, MANIFEST, error) from None
    return found


def read_text(path: Path) -> str:
    """The text of a file of an artefact. Raises OSError or ValueError if it is no regular file, or far too large."""
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    require_regular(path)
    return path.read_text("utf-8")


def require_regular(path: Path) -> None:
    """Raises ValueError if a path is missing or no regular file: a pipe would be waited for without end."""
    if not path.exists():
        raise ValueError("it is missing")
    if not path.is_file():
        raise ValueError("it is not a regular file")


def damaged(folder: Path, name: str, error: object) -> MatineeError:
    """The error of an artefact one of whose files cannot be used: one line that names the file."""
    return MatineeError(f"artefact {folder} is damaged: {name}: {_in_words(error)}; train again")


def fingerprint(path: Path) -> str:
    """Hash of a file's size and content, 32 hex digits: of all of it up to 4 MiB, else of pieces of it."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        if size <= PIECES * PIECE_BYTES:
            digest.update(file.read())
        else:
            for piece in range(PIECES):
                file.seek(piece * (size - PIECE_BYTES) // (PIECES - 1))
                digest.update(file.read(PIECE_BYTES))
    return digest.hexdigest()


def require_fingerprints(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises MatineeError, naming the file, if one is not that which the manifest was written with."""
    for name, expected in manifest.get("files", {}).items():
        if name in REQUIRED and fingerprint(folder / name) != expected:
            raise damaged(folder, name, "its fingerprint is not the one in manifest.json")


def require_destination(path: Path, option: str = "--out", n_bytes: int = MIN_FREE) -> None:
    """Raises MatineeError unless an artefact of n_bytes can be saved at a path: a check before the work."""
    require_folder(path, option, n_bytes)
    recover(path)
    require_replaceable(path, option)


def require_replaceable(path: Path, option: str = "--out") -> None:
    """Raises MatineeError unless nothing stands at a path, or an empty folder, or an artefact and nothing else."""
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise MatineeError(f"{path} is a file, not a folder; choose another {option}")
    names = sorted(os.listdir(path))
    if not names:
        return
    if MANIFEST not in names:
        raise MatineeError(f"{path} exists and is not an artefact: it holds {_some(names)}; choose another {option}")
    try:
        found = json.loads(read_text(path / MANIFEST))
        Manifest.model_validate(found)
    except (OSError, ValueError, RecursionError):
        raise MatineeError(
            f"{path} exists and its manifest.json is not one that Matinee wrote; "
            f"move the folder away, or choose another {option}"
        ) from None
    strangers = [name for name in names if name not in FILES or not _is_plain(path / name)]
    if strangers:
        raise MatineeError(
            f"{path} is an artefact, but also holds {_some(strangers)}, which Matinee did not write; "
            f"move that away, or choose another {option}"
        )


def _is_plain(path: Path) -> bool:
    """Whether a path is a regular file itself, not a link to one."""
    return stat.S_ISREG(path.lstat().st_mode)


def _some(names: Iterable[str]) -> str:
    first, *others = names
    return f"{first!r}" + (f" and {len(others)} more" if others else "")


def _in_words(error: object) -> str:
    """An error as one short line."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, problem['loc']))[:60]}: {problem['msg']}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON (line {error.lineno})"
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(text.split())[:160]

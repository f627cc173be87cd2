"""Checkpoints: an interrupted training as one safetensors file, with the rest as JSON in its header. No pickle."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from matinee.errors import MatineeError


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training stood after an epoch.

    about: model, settings, data and seed it belongs to; state: the trainer's arrays; chance: the state of numpy's
    generator; curves: one dict an epoch; best: what was learned by the best epoch on valid, None without one.
    """

    about: dict[str, Any]
    state: Mapping[str, NDArray[Any]]
    chance: dict[str, Any]
    curves: list[dict[str, float]]
    best: dict[str, Any] | None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all. Raises MatineeError if it cannot be written."""
    best = checkpoint.best or {}
    arrays = {f"state.{name}": value for name, value in checkpoint.state.items()}
    arrays |= {f"best.{name}": value for name, value in best.items() if isinstance(value, np.ndarray)}
    rest = {
        "about": checkpoint.about,
        "chance": checkpoint.chance,
        "curves": checkpoint.curves,
        "has_best": checkpoint.best is not None,
        "best": {name: value for name, value in best.items() if not isinstance(value, np.ndarray)},
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: np.array(value, order="C") for name, value in arrays.items()}, part, {"json": json.dumps(rest)}
        )
        part.replace(path)
    except OSError as error:
        raise MatineeError(f"checkpoint {path} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def read_checkpoint(path: Path, about: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint in a file. Raises MatineeError if it is damaged, or not about the same, naming the difference."""
    try:
        with safe_open(path, framework="numpy") as file:
            rest = json.loads(file.metadata()["json"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise MatineeError(f"checkpoint {path} is damaged ({error}); remove it to begin anew") from None
    different = _difference(rest["about"], about)
    if different:
        raise MatineeError(f"checkpoint {path} is of another run ({different}); remove it, or train without --resume")
    parts: dict[str, dict[str, Any]] = {"state": {}, "best": dict(rest["best"])}
    for name, value in arrays.items():
        part, _, own = name.partition(".")
        parts[part][own] = value
    return Checkpoint(
        rest["about"], parts["state"], rest["chance"], rest["curves"], parts["best"] if rest["has_best"] else None
    )


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """In what a checkpoint differs from a run, for people; empty if in nothing."""
    if theirs["model"] != ours["model"]:
        return f"its model is {theirs['model']}, here it is {ours['model']}"
    settings, wanted = theirs["settings"], ours["settings"]
    for name in sorted(settings.keys() | wanted.keys()):
        if settings.get(name) != wanted.get(name):
            return f"its {name} is {settings.get(name)}, here it is {wanted.get(name)}"
    if theirs["data"] != ours["data"]:
        return f"its data have the fingerprint {theirs['data']}, here it is {ours['data']}"
    return "" if theirs["seed"] == ours["seed"] else "its seed is another"

"""Checkpoints: an interrupted training in one safetensors file, with a JSON header for all but arrays. No pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from matinee.destinations import require_file
from matinee.errors import MatineeError
from matinee.tensors import write_arrays
from matinee.writing import new_file


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of training after an epoch.

    about: the model, settings, data and seed it belongs to; state: the trainer's arrays; rng_state: numpy's generator;
    curves: one dict per epoch; best: the learned attributes of the best epoch on valid, None before any.
    """

    about: dict[str, Any]
    state: Mapping[str, NDArray[Any]]
    rng_state: dict[str, Any]
    curves: list[dict[str, float]]
    best: dict[str, Any] | None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically. Raises MatineeError if it cannot be written."""
    best = checkpoint.best or {}
    arrays = {f"state.{name}": value for name, value in checkpoint.state.items()}
    arrays |= {f"best.{name}": value for name, value in best.items() if isinstance(value, np.ndarray)}
    header = {
        "about": checkpoint.about,
        "rng_state": checkpoint.rng_state,
        "curves": checkpoint.curves,
        "has_best": checkpoint.best is not None,
        "best": {name: value for name, value in best.items() if not isinstance(value, np.ndarray)},
    }
    with new_file(path, "checkpoint") as part:
        write_arrays(part, arrays, {"json": json.dumps(header)})


def require_replaceable(path: Path) -> None:
    """Raises MatineeError unless a checkpoint can be written at a path, over none or an older one."""
    require_file(path, "--out", any_file=True)
    if path.exists() and not is_checkpoint(path):
        raise MatineeError(
            f"checkpoints go to {path}, but Matinee did not write the one there; move it away, or choose another --out"
        )


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint, of any run."""
    try:
        with safe_open(path, framework="numpy") as file:
            return "about" in json.loads((file.metadata() or {})["json"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError):
        return False


def read_checkpoint(path: Path, about: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint in a file. Raises MatineeError if it is damaged, or of another run, naming the difference."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["json"])
            rng_state = header["rng_state"]
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise MatineeError(f"checkpoint {path} is damaged ({error}); remove it to start again") from None
    if difference := _difference(header["about"], about):
        raise MatineeError(
            f"checkpoint {path} belongs to another run ({difference}); remove it, or train without --resume"
        )
    groups: dict[str, dict[str, Any]] = {"state": {}, "best": dict(header["best"])}
    for key, value in arrays.items():
        group, _, name = key.partition(".")
        groups[group][name] = value
    best = groups["best"] if header["has_best"] else None
    return Checkpoint(header["about"], groups["state"], rng_state, header["curves"], best)


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The first difference between a checkpoint and this run, in words; empty if there is none."""
    if theirs["model"] != ours["model"]:
        return f"its model is {theirs['model']}, this run's is {ours['model']}"
    settings, wanted = theirs["settings"], ours["settings"]
    for name in sorted(settings.keys() | wanted.keys()):
        if settings.get(name) != wanted.get(name):
            return f"its {name} is {settings.get(name)}, this run's is {wanted.get(name)}"
    if theirs["data"] != ours["data"]:
        return f"its data has fingerprint {theirs['data']}, this run's has {ours['data']}"
    return "" if theirs["seed"] == ours["seed"] else "its seed differs"

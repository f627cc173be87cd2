"""Counts of the models that serve, kept in a registry so that new events update them: .counts/VERSION.safetensors."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from numpy.typing import NDArray
from scipy.sparse import csr_array

from matinee.models.base import Counts
from matinee.store.manifest import fingerprint
from matinee.tensors import read_arrays, write_arrays

FOLDER = ".counts"
PARTS = ("data", "indices", "indptr")


class CountsFolder:
    """Counts by the version of an artefact. Whatever is missing or damaged can be counted again, so nothing raises."""

    def __init__(self, registry: Path) -> None:
        self.path = registry / FOLDER

    def read(self, version: str) -> Counts | None:
        """The counts of an artefact; None if they are not there, or not as they were written."""
        for path in self.path.glob(f"{version}.*.safetensors"):
            try:
                if path.name != _name(version, path):
                    return None
                arrays = read_arrays(path)
                if "dense" in arrays:
                    return arrays["dense"]
                return csr_array(tuple(arrays[part] for part in PARTS), shape=(len(arrays["indptr"]) - 1,) * 2)
            except (OSError, ValueError, KeyError):
                return None
        return None

    def replace(self, counts: Mapping[str, Counts]) -> None:
        """Keep these counts only. A full disk keeps none."""
        fresh = self.path.with_name(f"{FOLDER}-{uuid4().hex[:8]}")
        try:
            fresh.mkdir()
            for version, one in counts.items():
                part = fresh / version
                write_arrays(part, _arrays(one))
                part.rename(fresh / _name(version, part))
            shutil.rmtree(self.path, ignore_errors=True)
            fresh.rename(self.path)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
        for left in self.path.parent.glob(f"{FOLDER}-*"):  # of a process that died
            shutil.rmtree(left, ignore_errors=True)


def _arrays(counts: Counts) -> dict[str, NDArray[Any]]:
    if isinstance(counts, csr_array):
        return {part: getattr(counts, part) for part in PARTS}
    return {"dense": counts}


def _name(version: str, path: Path) -> str:
    return f"{version}.{fingerprint(path)}.safetensors"

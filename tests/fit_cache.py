"""Fits that several tests, workers and runs share: kept as artefacts under a key of all that decides about them.

The key covers the model's name and settings, the seed, the training data, the source of every module that the model
imports from this package (the imports inside functions too), and the versions of the libraries that compute. A change
of any of these makes another key, so that no changed model hides behind an old fit.
"""

import ast
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from matinee.dataset import Dataset
from matinee.histories import TrainingData
from matinee.models import create, model_class
from matinee.models.base import Recommender
from matinee.store.artefact import Artefact, load, save
from matinee.training.run import Run

PACKAGE = "matinee"
HEX = "[0-9a-f]"
LIBRARIES = ("numpy", "scipy", "torch")
FOLDER = Path(__file__).parents[1] / ".pytest_cache" / "matinee-fits"
KEPT = 3
"""Fits of a model that are kept, those used last: all models of one version of the code take some 500 MB."""


class FitCache:
    """Fits a model once for everybody. folder: where the artefacts are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fit(self, name: str, data: Dataset, train: TrainingData, seed: int = 1, **settings: Any) -> Recommender[Any]:
        """The model create(name, **settings), fitted to `train`, a part of `data`, and read back from the cache."""
        path = self.folder / f"{name}-{fit_key(name, train, seed, settings)}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            if not (path / "manifest.json").is_file():
                model = create(name, **settings).fit(train, Run.seeded(seed))
                save(Artefact.of(model, data, train), path)
                (path / "curves.json").write_text(json.dumps(list(model.curves)), "utf-8")
                self._delete_old(name)
            os.utime(path)
        model = load(path).model
        model.curves = json.loads((path / "curves.json").read_text("utf-8"))
        return model

    def _delete_old(self, name: str) -> None:
        """Delete the fits of a model but the KEPT last used."""
        found = sorted(self.folder.glob(f"{name}-{HEX * 16}"), key=lambda path: path.stat().st_mtime)
        for path in found[:-KEPT]:
            shutil.rmtree(path, ignore_errors=True)
            path.with_suffix(".lock").unlink(missing_ok=True)


def fit_key(name: str, train: TrainingData, seed: int, settings: dict[str, Any]) -> str:
    """16 hex digits that a change of the model, its data, its settings or its libraries changes."""
    digest = hashlib.blake2b(digest_size=8)
    facts = [name, seed, settings, sys.version_info[:2], [(library, version(library)) for library in LIBRARIES]]
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    histories = train.histories
    for column in (
        histories.starts,
        histories.items,
        histories.values,
        histories.weights,
        histories.times,
        histories.user_rows,
    ):
        digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(str(train.n_items).encode())
    for module in sorted(dependencies_of_model(name, settings)):
        digest.update(module.encode())
        digest.update(source_of(module).read_bytes())
    return digest.hexdigest()


def dependencies_of_model(name: str, settings: dict[str, Any]) -> frozenset[str]:
    """The dependencies of a model, and of the models that it is made of: its first stage, its parts."""
    found = dependencies(model_class(name).__module__)
    fields = model_class(name).Config.model_fields
    inner = [settings.get("first_stage", fields["first_stage"].default)] if "first_stage" in fields else []
    inner += settings.get("parts", fields["parts"].default) if "parts" in fields else []
    return found.union(*(dependencies_of_model(each, {}) for each in inner))


@cache
def dependencies(module: str) -> frozenset[str]:
    """The module and every module of this package that it imports, directly or through others."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imported_by(name)
    return frozenset(found)


@cache
def imported_by(module: str) -> tuple[str, ...]:
    """The modules of this package that a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source_of(module).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{module} has a relative import, which this does not follow")
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    packages = {PACKAGE, module.partition(".")[0]}  # of a model from outside the package also its own
    inside = (name for name in names if "." in name and name.partition(".")[0] in packages)
    return tuple(sorted(name for name in inside if source_of(name).is_file()))


@cache
def source_of(module: str) -> Path:
    """The file of a module; one that does not exist for a name that is no module."""
    package, *inner = module.split(".")
    root = find_spec(package)
    if root is None or root.origin is None:
        raise ModuleNotFoundError(package)
    if root.submodule_search_locations is None:
        return Path(root.origin)
    path = Path(root.submodule_search_locations[0], *inner)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock: the second process waits. The lock of a process that dies ends with it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

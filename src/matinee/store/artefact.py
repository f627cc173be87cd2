"""Artefacts: a fitted model as a folder that loads without the data set and never executes code.

manifest.json         format, versions, model and its config, data and split it was fitted on, metrics
arrays.safetensors    the model's learned arrays, memory-mapped on reading
histories.safetensors the training events of the known users
items.parquet         id, title, year, genres and number of events of each item; tags if the data has them
users.parquet         id of each known user

This is format 2. Format 1 has the same files but older names of settings and arrays; `matinee.renamed` maps them.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.sparse import csr_array

from matinee import renamed
from matinee.arrays import IntArray
from matinee.catalogue import Catalogue, join_genres, split_genres
from matinee.dataset import Dataset, Events
from matinee.errors import MatineeError
from matinee.histories import EventSource, TrainingData
from matinee.models import model_class, model_names, source_of
from matinee.models.base import Recommender
from matinee.version import __version__
from matinee.vocab import Vocab

FORMAT = 2
READS = (1, 2)
DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Artefact:
    """A fitted model with everything needed to use it without its data set.

    popularity: [I], training events of each item; known: the histories of the users it was fitted on;
    manifest: the content of manifest.json; path: the folder it was read from or saved to, None before that.
    """

    model: Recommender[Any]
    items: Vocab
    users: Vocab
    catalogue: Catalogue
    popularity: IntArray
    known: EventSource
    manifest: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @classmethod
    def of(
        cls, model: Recommender[Any], data: Dataset, train: TrainingData, about: Mapping[str, Any] | None = None
    ) -> "Artefact":
        """Wrap a model fitted on `train`, a part of `data`. about: more keys of the manifest (split, metrics, ...)."""
        model.require_fitted()
        histories = train.histories
        user_rows = np.repeat(histories.user_rows, np.diff(histories.starts))
        known = Events(user_rows, histories.items, histories.weights, histories.times)
        manifest = {
            "format": FORMAT,
            "matinee": __version__,
            "model": model.name,
            "config": model.config.model_dump(mode="json"),
            "data": data.describe(),
            "kind": data.kind,
            **(about or {}),
        }
        if (source := source_of(type(model))) is not None:
            manifest["model_source"] = source
        histories_source = EventSource(known, data.users)
        catalogue = data.catalogue.with_counts(train.popularity)
        return cls(model, data.items, data.users, catalogue, train.popularity, histories_source, manifest)

    @property
    def name(self) -> str:
        """The model's name in the registry."""
        return self.model.name

    @property
    def version(self) -> str:
        """Hash that identifies this fit by its data, settings, seed and fit time: 12 hex digits."""
        keys = ("matinee", "model", "config", "data", "split", "seed", "fit_seconds")
        text = json.dumps({key: self.manifest.get(key) for key in keys}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def with_manifest(self, about: Mapping[str, Any]) -> "Artefact":
        """A copy with more keys in the manifest."""
        return replace(self, manifest=self.manifest | dict(about))


def save(artefact: Artefact, path: Path) -> Artefact:
    """Write an artefact to a folder atomically, replacing an existing artefact.

    Raises MatineeError if the path is something else or cannot be written.
    """
    if path.exists() and not (path / "manifest.json").is_file() and (path.is_file() or any(path.iterdir())):
        raise MatineeError(f"{path} exists and is not an artefact; choose another --out")
    arrays, learned = _learned_state(artefact.model)
    manifest = artefact.manifest | learned
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        save_file(arrays, part / "arrays.safetensors")
        _write_tables(artefact, part)
        (part / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    except OSError as error:
        raise MatineeError(f"artefact {path} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return replace(artefact, path=path)


def load(path: Path) -> Artefact:
    """Load an artefact; arrays are memory-mapped. Raises MatineeError if it is missing, damaged or too new."""
    if not (path / "manifest.json").is_file():
        raise MatineeError(
            f"no artefact at {path}: it has no manifest.json; make one with `matinee train MODEL --out {path}`"
        )
    try:
        manifest = json.loads((path / "manifest.json").read_text("utf-8"))
        if manifest["format"] not in READS:
            raise MatineeError(
                f"artefact {path} has format {manifest['format']}, but this version of Matinee reads "
                f"{' and '.join(map(str, READS))}; train again"
            )
        arrays: Arrays = read_arrays(path / "arrays.safetensors")
        if manifest["format"] == 1:
            manifest, arrays = _of_format_1(manifest, arrays)
        model = _class_of(manifest, path)(**manifest["config"])
        _restore_state(model, arrays, manifest)
        items = pl.read_parquet(path / "items.parquet")
        users = Vocab(_ids(pl.read_parquet(path / "users.parquet")["id"]))
        known = read_arrays(path / "histories.safetensors")
    except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
        raise MatineeError(f"artefact {path} is damaged ({type(error).__name__}: {error}); train again") from None
    return Artefact(
        model,
        Vocab(_ids(items["id"])),
        users,
        Catalogue(
            tuple(items["title"]),
            tuple(items["year"]),
            tuple(map(split_genres, items["genres"])),
            tuple(map(tuple, items["tags"])) if "tags" in items.columns else (),
            items["events"].to_numpy(),
        ),
        items["events"].to_numpy(),
        EventSource(Events(known["user_rows"], known["items"], known["weights"], known["times"]), users),
        manifest,
        path,
    )


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Memory-map the arrays of a safetensors file, read-only. Raises ValueError if it is damaged.

    The numpy reader of the safetensors library would copy them.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise ValueError(f"{path.name} is truncated")
        header = json.loads(file.read(length))
    arrays: dict[str, NDArray[Any]] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])
        if last - first != dtype.itemsize * int(np.prod(shape, dtype=np.int64)) or 8 + length + last > size:
            raise ValueError(f"{path.name} is truncated")
        arrays[name] = (
            np.memmap(path, dtype, "r", offset=8 + length + first, shape=shape)
            if last > first
            else np.empty(shape, dtype)
        )
    return arrays


def _of_format_1(manifest: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """Convert the manifest and arrays of a format-1 artefact to the names of format 2."""
    names = renamed.ARRAYS.get(manifest["model"], {})

    def new_name(name: str) -> str:
        first, dot, part = name.partition(".")  # a sparse array is saved as NAME.data, NAME.indices and NAME.indptr
        return names.get(first, first) + dot + part

    config = {}
    for old, value in manifest["config"].items():
        key = renamed.SETTINGS.get(old, old)
        config[key] = renamed.VALUES.get((key, value), value) if isinstance(value, str) else value
    tables = {key: {new_name(name): value for name, value in manifest[key].items()} for key in ("sparse", "values")}
    manifest = {renamed.MANIFEST.get(key, key): value for key, value in manifest.items()}
    return manifest | {"format": FORMAT, "config": config} | tables, {new_name(k): v for k, v in arrays.items()}


def _class_of(manifest: Mapping[str, Any], path: Path) -> type[Recommender[Any]]:
    """The class of the saved model. Raises MatineeError with its package if that is not installed."""
    name, source = manifest["model"], manifest.get("model_source")
    if name in model_names() or not source:
        return model_class(name)
    where = f"artefact {path} contains model {name!r} ({source['class']})"
    if source["package"]:
        raise MatineeError(f"{where} of package {source['package']}, which is not installed; install it")
    raise MatineeError(f"{where}, which is not registered; import it and call matinee.register on the class first")


def _write_tables(artefact: Artefact, folder: Path) -> None:
    events = artefact.known.events
    columns = {
        "user_rows": events.user_rows,
        "items": events.item_rows,
        "weights": events.values,
        "times": events.times,
    }
    save_file(
        {name: np.ascontiguousarray(column) for name, column in columns.items()}, folder / "histories.safetensors"
    )
    pl.DataFrame({"id": artefact.users.ids.tolist()}).write_parquet(folder / "users.parquet")
    table: dict[str, Any] = {
        "id": artefact.items.ids.tolist(),
        "title": artefact.catalogue.titles,
        "year": artefact.catalogue.years,
        "genres": list(map(join_genres, artefact.catalogue.genres)),
        "events": artefact.popularity,
    }
    if artefact.catalogue.tags:
        table["tags"] = pl.Series(list(map(list, artefact.catalogue.tags)), dtype=pl.List(pl.String))
    pl.DataFrame(table).write_parquet(folder / "items.parquet")


def _ids(column: pl.Series) -> NDArray[Any]:
    if column.dtype.is_integer():
        return column.to_numpy()
    return np.array(column.to_list(), dtype=np.dtypes.StringDType())


def _learned_state(model: Recommender[Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The learned attributes as dense arrays, and the manifest's entries for sparse shapes and plain values."""
    arrays: dict[str, NDArray[Any]] = {}
    manifest: dict[str, Any] = {"sparse": {}, "values": {}}
    for name in model.learned:
        value = getattr(model, name)
        if isinstance(value, csr_array):
            manifest["sparse"][name] = list(value.shape)
            for part in ("data", "indices", "indptr"):
                arrays[f"{name}.{part}"] = np.ascontiguousarray(getattr(value, part))
        elif isinstance(value, np.ndarray):
            arrays[name] = np.ascontiguousarray(value)
        else:
            manifest["values"][name] = value
    return arrays, manifest


def _restore_state(model: Recommender[Any], arrays: Arrays, manifest: Mapping[str, Any]) -> None:
    for name in model.learned:
        if name in manifest["values"]:
            value = manifest["values"][name]
        elif name in manifest["sparse"]:
            parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
            value = csr_array(parts, shape=tuple(manifest["sparse"][name]))
        else:
            value = arrays[name]
        setattr(model, name, value)

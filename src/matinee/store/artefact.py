"""Artefacts: a fitted model as a folder that loads without the data set and never executes code.

manifest.json         format, versions, model and its config, data and split it was fitted on, metrics
arrays.safetensors    the model's learned arrays, memory-mapped on reading
histories.safetensors the training events of the known users
items.parquet         id, title, year, genres and number of events of each item; tags and the columns of a table of
                      items if the data has them (`store.item_columns`)
users.parquet         id of each known user

This is format 2. Format 1 has the same files but older names of settings and arrays; `matinee.renamed` maps them.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from matinee import elsewhere, renamed
from matinee.arrays import IntArray
from matinee.catalogue import Catalogue, join_genres
from matinee.dataset import Dataset, EventKind, Events
from matinee.errors import MatineeError
from matinee.histories import EventSource, TrainingData
from matinee.item_table import ItemTable
from matinee.mapped import repeated
from matinee.models import model_class, model_names, source_of
from matinee.models.base import Recommender
from matinee.nouns import MOVIE, Noun
from matinee.shown import Overview, Plotted, Shown
from matinee.store.item_columns import columns_of
from matinee.store.log_tables import arrays_of, read_log_tables, read_part
from matinee.store.manifest import (
    ARRAYS,
    CURVES,
    CURVES_PICTURE,
    FILES,
    FORMAT,
    HISTORIES,
    ITEMS,
    MANIFEST,
    REQUIRED,
    USERS,
    damaged,
    fingerprint,
    read_manifest,
    require_destination,
    require_fingerprints,
    require_regular,
    require_replaceable,
)
from matinee.store.soundness import (
    UnsoundError,
    rehearse,
    require_finite,
    require_learned,
    sparse_array,
)
from matinee.tensors import Arrays, read_arrays, write_arrays
from matinee.values import UNARY, ValueMap
from matinee.values import read as read_value_map
from matinee.version import __version__
from matinee.vocab import Vocab
from matinee.writing import new_folder, recover

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
class Artefact(Shown, Plotted):
    """A fitted model with everything needed to use it without its data set.

    popularity: [I], training events of each item; known: the histories of the users it was fitted on;
    manifest: the content of manifest.json; path: the folder it was read from or saved to, None before that; table: what
    the data set knew of its items beyond the catalogue, None if nothing.
    """

    other_names = elsewhere.ARTEFACT

    model: Recommender[Any]
    items: Vocab
    users: Vocab
    catalogue: Catalogue
    popularity: IntArray
    known: EventSource
    manifest: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    table: ItemTable | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or another process gets: the fields, without the engine that was made for lists."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of(
        cls, model: Recommender[Any], data: Dataset, train: TrainingData, about: Mapping[str, Any] | None = None
    ) -> "Artefact":
        """Wrap a model fitted on `train`, a part of `data`. about: more keys of the manifest (split, metrics, ...)."""
        model.require_fitted()
        histories = train.histories
        user_rows = repeated(histories.user_rows, histories.starts)
        known = Events(user_rows, histories.items, histories.values, histories.times)
        manifest = {
            "format": FORMAT,
            "matinee": __version__,
            "model": model.name,
            "config": model.config.model_dump(mode="json"),
            "data": data.describe(),
            "kind": data.kind,
            "value_map": model.value_map.to_json(),
            "noun": data.noun.to_json(),
            "source": data.source,
            "event_kinds": {name: asdict(kind) for name, kind in data.event_kinds.items()},
            **(about or {}),
        }
        if (source := source_of(type(model))) is not None:
            manifest["model_source"] = source
        histories_source = EventSource(known, data.users)
        catalogue = data.catalogue.with_counts(train.popularity)
        known_users = data.users
        return cls(
            model, data.items, known_users, catalogue, train.popularity, histories_source, manifest, table=data.table
        )

    def overview(self) -> Overview:
        """See Shown."""
        data, seconds = self.manifest.get("data", {}), self.manifest.get("fit_seconds")
        took = "" if seconds is None else f", in {seconds:.2f} s"
        headline = (
            f"{self.name} fitted on {data.get('name', 'a log')}{took}: {len(self.users):,} users, "
            f"{len(self.items):,} items, {len(self.known.events):,} events"
        )
        settings = self.model.config.model_dump(exclude_unset=True)
        notes = [", ".join(f"{name} = {value}" for name, value in settings.items()) or "settings: the defaults"]
        next_call = f'mt.recommend(model, liked=["{self.catalogue.titles[0]}"])' if len(self.items) else ""
        return Overview(headline, notes=notes, next=next_call)

    def _call_for(self, name: str) -> str | None:
        model = vars(self).get("model")  # none while it is unpickled
        if model is not None and name not in self.other_names:
            if name in type(model.config).model_fields:
                return f"model.model.config.{name}"
            if name in self.manifest:
                return f'model.manifest["{name}"]'
            if hasattr(model, name):
                return f"model.model.{name}"
        return super()._call_for(name)

    def curves_to_frame(self) -> pl.DataFrame:
        """The training curves: one row an epoch, a column for each metric; empty for a model without epochs."""
        return pl.DataFrame(self.model.curves)

    @cached_property
    def item_table(self) -> ItemTable:
        """All that is known of the items, by item row: titles, years, lists, texts, numbers, links and pictures."""
        return ItemTable.of_items_with(self.items, self.catalogue, self.table)

    @property
    def noun(self) -> Noun:
        """What an item is called; a movie in an artefact from before there were other words."""
        return Noun(**self.manifest["noun"]) if "noun" in self.manifest else MOVIE

    @property
    def source(self) -> str:
        """`MovieLens` if the model was fitted on GroupLens's data, which asks for credit; otherwise empty."""
        if "source" in self.manifest:
            return str(self.manifest["source"])
        name = str(self.manifest.get("data", {}).get("name", ""))
        return "MovieLens" if name == "bundled" or name.startswith(("ml-", "movielens")) else ""

    @property
    def event_kinds(self) -> dict[str, EventKind]:
        """The kinds of events of the log by name, the most frequent first; empty if it does not name kinds."""
        return {name: EventKind(**kind) for name, kind in self.manifest.get("event_kinds", {}).items()}

    @property
    def name(self) -> str:
        """The model's name in the registry."""
        return self.model.name

    @property
    def version(self) -> str:
        """Hash that identifies this fit by its data, settings, seed and fit time: 12 hex digits."""
        keys = ("matinee", "model", "config", "data", "split", "seed", "fit_seconds")
        about = {key: self.manifest.get(key) for key in keys}
        value_map = self.manifest.get("value_map", {})
        if value_map.get("map", "unary") != "unary":
            about["value_map"] = value_map  # left out where unary, so that older artefacts keep their version
        text = json.dumps(about, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def with_manifest(self, about: Mapping[str, Any]) -> "Artefact":
        """A copy with more keys in the manifest."""
        return replace(self, manifest=self.manifest | dict(about))


def save(artefact: Artefact, path: str | Path, draw: Callable[[Path], None] | None = None) -> Artefact:
    """Write an artefact to a folder in one step, in place of an older artefact.

    draw: draws the training curves of a model that has them, to a path. Raises MatineeError if the path is something
    else, if it cannot be written, or if what the model learned is not finite; then the path is as it was.
    """
    if not isinstance(artefact, Artefact):
        raise MatineeError("save_artefact takes the fitted model first; write mt.save_artefact(model, folder)")
    path = Path(path).expanduser()
    arrays, learned = _learned_state(artefact.model)
    require_destination(path, n_bytes=sum(array.nbytes for array in arrays.values()))
    try:
        require_finite(arrays)
    except UnsoundError as error:
        raise MatineeError(f"{artefact.name} is not saved: {error}; change its settings and train again") from None
    with new_folder(path, "artefact", FILES) as folder:
        write_arrays(folder / ARRAYS, arrays)
        _write_tables(artefact, folder)
        if curves := artefact.model.curves:
            (folder / CURVES).write_text(json.dumps(list(curves)) + "\n", "utf-8")
            if draw is not None:
                draw(folder / CURVES_PICTURE)
        files = {name: fingerprint(folder / name) for name in REQUIRED}
        manifest = artefact.manifest | learned | {"files": files}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
        require_replaceable(path)  # again: training took a while
    return replace(artefact, manifest=manifest, path=path)


def load(path: str | Path) -> Artefact:
    """Load an artefact; arrays are memory-mapped.

    Raises MatineeError, one line that names the file, if it is missing, damaged, too new, or does not fit together.
    """
    if not isinstance(path, str | Path):
        raise MatineeError(f"load_artefact takes the folder of an artefact, not a {type(path).__name__}")
    path = Path(path).expanduser()
    recover(path)
    if not (path / MANIFEST).exists():
        raise MatineeError(
            f"no artefact at {path}: it has no manifest.json; make one with `matinee train MODEL --out {path}`"
        )
    manifest = read_manifest(path)
    for name in REQUIRED:
        read_part(path, name, require_regular)
    require_fingerprints(path, manifest)
    arrays: Arrays = read_part(path, ARRAYS, read_arrays)
    if manifest["format"] == 1:
        manifest, arrays = _of_format_1(manifest, arrays)
    known, items = read_log_tables(path, manifest)
    model = _new_model(manifest, path)
    arrays = {**{name: np.zeros(0, dtype=np.float32) for name in model.learned_since}, **arrays}
    model.value_map = _value_map(path, manifest)

    def restore(file: Path) -> None:
        require_learned(model, arrays, manifest)
        _restore_state(model, arrays, manifest)
        rehearse(model, known.events, len(known.users), len(items.vocab))

    read_part(path, ARRAYS, restore)
    return Artefact(
        model, items.vocab, known.users, items.catalogue, items.popularity, known, manifest, path, items.table
    )


def _value_map(folder: Path, manifest: Mapping[str, Any]) -> ValueMap:
    """The saved value map; unary for an artefact from before there were any."""
    if "value_map" not in manifest:
        return UNARY
    try:
        return read_value_map(manifest["value_map"])
    except ValueError as error:
        raise damaged(folder, MANIFEST, error) from None


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


def _new_model(manifest: Mapping[str, Any], path: Path) -> Recommender[Any]:
    """The saved model with its settings, not yet fitted. Raises MatineeError if it is unknown or they are wrong."""
    model = _class_of(manifest, path)
    try:
        return model(**manifest["config"])
    except (MatineeError, TypeError) as error:  # a setting that is called self
        raise damaged(path, MANIFEST, error) from None


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
    write_arrays(folder / HISTORIES, arrays_of(artefact.known.events))
    _write_table(pl.DataFrame({"id": artefact.users.ids.tolist()}), folder / USERS)
    table: dict[str, Any] = {
        "id": artefact.items.ids.tolist(),
        "title": artefact.catalogue.titles,
        "year": artefact.catalogue.years,
        "genres": list(map(join_genres, artefact.catalogue.genres)),
        "events": artefact.popularity,
    }
    if artefact.catalogue.tags:
        table["tags"] = pl.Series(list(map(list, artefact.catalogue.tags)), dtype=pl.List(pl.String))
    if artefact.table is not None:
        table |= columns_of(artefact.item_table)
    _write_table(pl.DataFrame(table), folder / ITEMS)


def _write_table(table: pl.DataFrame, path: Path) -> None:
    """Write through memory: the system's own error, such as a full disk, then reaches the caller."""
    buffer = BytesIO()
    table.write_parquet(buffer)
    path.write_bytes(buffer.getbuffer())


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
            value = sparse_array(arrays, name, tuple(manifest["sparse"][name]))
        else:
            value = arrays[name]
        setattr(model, name, value)

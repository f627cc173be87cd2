"""What an artefact holds of its log: events, users and items, in memory once for all artefacts of the log."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
import polars as pl

from matinee.arrays import IntArray
from matinee.catalogue import Catalogue
from matinee.dataset import Events
from matinee.histories import EventSource
from matinee.item_table import ItemTable
from matinee.store.item_columns import catalogue_of, table_of
from matinee.store.manifest import HISTORIES, ITEMS, USERS, damaged
from matinee.store.soundness import events_of, require_items, vocab_of
from matinee.tensors import Arrays, read_arrays
from matinee.vocab import Vocab

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class LogItems:
    """The items of a log. popularity: [I], training events; table: see Artefact."""

    vocab: Vocab
    catalogue: Catalogue
    popularity: IntArray
    table: ItemTable | None


_sources: WeakValueDictionary[tuple[str, ...], EventSource] = WeakValueDictionary()
"""The events and users of the artefacts in memory, by what is known of their files."""
_items: WeakKeyDictionary[EventSource, LogItems] = WeakKeyDictionary()
"""The items that belong to them."""
_lock = Lock()


def read_log_tables(folder: Path, manifest: Mapping[str, Any]) -> tuple[EventSource, LogItems]:
    """The events, users and items of an artefact: those of another one in memory if they are the same.

    Files of users and items are the same if all of their content has one hash, events if they are equal byte for byte.
    Raises MatineeError, naming the file, if one is damaged.
    """
    arrays: Arrays = read_part(folder, HISTORIES, read_arrays)
    hashes = [read_part(folder, name, _whole_hash) for name in (USERS, ITEMS)]
    key = (manifest.get("files", {}).get(HISTORIES, ""), *hashes)
    with _lock:
        source = _sources.get(key)
        items = None if source is None else _items.get(source)
    if source is not None and items is not None and _are_equal(arrays, source.events):
        return source, items
    items, users = read_part(folder, ITEMS, _read_items), read_part(folder, USERS, _read_vocab)
    events = read_part(folder, HISTORIES, lambda _: events_of(arrays, len(users), len(items.vocab)))
    source = EventSource(events, users)
    with _lock:
        _sources[key], _items[source] = source, items
    return source, items


def read_part(folder: Path, name: str, read: Callable[[Path], T]) -> T:
    """What a reader finds in a file of an artefact. Raises MatineeError, naming the file, if it cannot be used."""
    try:
        return read(folder / name)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise damaged(folder, name, error) from None


def arrays_of(events: Events) -> Arrays:
    """Events as the arrays of their file, by name; `events_of` reads them."""
    return {
        "user_rows": events.user_rows,
        "items": events.item_rows,
        "weights": events.values,
        "times": events.times,
    }


def _whole_hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()


def _are_equal(arrays: Arrays, events: Events) -> bool:
    """Whether the arrays of a file of events are those in memory, byte for byte."""
    columns = arrays_of(events)
    return arrays.keys() == columns.keys() and all(
        array.dtype == column.dtype and np.array_equal(array.view(np.int32), column.view(np.int32))  # NaN too
        for array, column in ((arrays[name], column) for name, column in columns.items())
    )


def _read_vocab(file: Path) -> Vocab:
    return vocab_of(pl.read_parquet(file, glob=False))


def _read_items(file: Path) -> LogItems:
    table = pl.read_parquet(file, glob=False)  # a folder may have brackets in its name
    vocab = vocab_of(table)
    require_items(table)
    catalogue = catalogue_of(table)
    return LogItems(vocab, catalogue, table["events"].to_numpy(), table_of(table, vocab, catalogue))

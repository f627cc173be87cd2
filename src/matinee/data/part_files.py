"""The files of a split: which of a folder's tables are train, valid and test, and what their parts have in common."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from matinee.data.labels import TEST, TRAIN, VALID, Labels
from matinee.data.lookup import is_table
from matinee.data.statistics import count_of
from matinee.dataset import Dataset
from matinee.errors import DataError
from matinee.reading.archives import Archive, base

WORDS = {
    TRAIN: ("train", "training", "base"),
    VALID: ("valid", "validation", "val", "dev"),
    TEST: ("test", "testing"),
}
"""What a file's name calls its part: `train.csv`, `ml-1m.train.rating`, `test_mine.tsv`, `u1.base`."""
_NAMES = {TRAIN: "train", VALID: "valid", TEST: "test"}
_SAMPLED = ("negative", "negatives", "neg")
"""Files of sampled candidates, such as NCF's `ml-1m.test.negative`: they are no part, but what `--candidates` reads."""
_NOT_TABLES = re.compile(
    r"\.(md|rst|html?|pdf|png|jpe?g|gif|svg|py|ipynb|sh|r|toml|ya?ml|ini|cfg|log|np[yz]|pkl|pickle|pth?|ckpt|h5|mat"
    r"|bak|old|orig|tmp|part|swp)$|~$"
)
"""Endings of files that may lie beside the parts: documents, code, arrays, copies of editors."""
_FEW = 10
"""Of fewer items only all show something."""


def has_parts(names: Iterable[str]) -> bool:
    """Whether these files include a train and a test part."""
    found = {label for name in names if (label := _part_of(name)) is not None}
    return {TRAIN, TEST} <= found


def find_parts(archive: Archive) -> tuple[dict[int, str], tuple[str, ...]]:
    """The file of each part by label, in the order train, valid, test, and notes on them.

    Raises DataError if train or test is missing, or two files could be the same part.
    """
    found: dict[int, str] = {}
    unused: list[str] = []
    for label in WORDS:
        matching = [name for name in archive.names() if _part_of(name) == label]
        exact = [name for name in matching if base(name).partition(".")[0] in WORDS[label]]
        chosen = exact or matching
        if len(chosen) > 1:
            raise DataError(
                f"{archive.path} has {chosen[0]} and {chosen[1]} for the same part, {_NAMES[label]}; keep one of them"
            )
        if chosen:
            found[label] = chosen[0]
            unused += [name for name in matching if name != chosen[0]]
        elif label != VALID:
            contents = ", ".join(archive.names()[:5]) or "nothing"
            raise DataError(
                f"{archive.path} has no {_NAMES[label]}.csv, .tsv, .parquet or .txt, but {contents}; "
                f"rename the file of {_NAMES[label]}"
            )
    return found, _notes(found, unused)


def note_shared(data: Dataset, labels: Labels, path: Path) -> Dataset:
    """Add notes on users' items in more than one part, and on parts without an item of train.

    Raises DataError if an event is in two parts at the same time.
    """
    events = data.events
    keys = events.user_rows.astype(np.int64) * len(data.items) + events.item_rows
    order = np.argsort(keys, kind="stable")
    later = order[1:][np.diff(keys[order]) == 0]
    earlier = order[:-1][np.diff(keys[order]) == 0]
    same = events.times[later] == events.times[earlier]
    if data.timed and same.any():
        first = later[same][0]
        user, item = data.users.id(int(events.user_rows[first])), data.items.id(int(events.item_rows[first]))
        raise DataError(
            f"{path}: {int(same.sum()):,} events are in two parts, the first: user {user}, item {item}; "
            "a model would be fitted on its targets: drop them from one part"
        )
    notes = [*data.notes, *_cold_notes(data, labels)]
    if len(later):
        notes.append(
            f"{len(later):,} targets are items that their user also has in an earlier part: masked, so never hit"
        )
    return replace(data, notes=tuple(notes))


def _part_of(name: str) -> int | None:
    """The part that a file's own name calls, or else its folder's; None if neither is clear."""
    if _NOT_TABLES.search(base(name)) or set(_words(base(name))) & set(_SAMPLED):
        return None
    called = _called(base(name)) or (_called(name.lower().split("/")[-2]) if "/" in name and is_table(name) else set())
    return called.pop() if len(called) == 1 else None


def _called(name: str) -> set[int]:
    return {label for label, words in WORDS.items() if set(_words(name)) & set(words)}


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name)


def _notes(found: dict[int, str], unused: Sequence[str]) -> tuple[str, ...]:
    """A sentence on parts whose files are not simply called train, valid and test, and on a missing valid."""
    plain = all(base(name).partition(".")[0] in WORDS[label] for label, name in found.items())
    files = ", ".join(f"{_NAMES[label]}={name}" for label, name in found.items())
    sentences = [] if plain and not unused else [f"parts: {files}"]
    sentences += [f"not used: {', '.join(unused[:5])}"] if unused else []
    sentences += [] if VALID in found else ["no valid table: nothing to choose settings or to stop training on"]
    return ("; ".join(sentences),) if sentences else ()


def _cold_notes(data: Dataset, labels: Labels) -> Iterable[str]:
    """A sentence for each part of whose items half or more are not in train, with an item of each as it is written."""
    trained = np.unique(data.events.item_rows[labels == TRAIN])
    for label in (VALID, TEST):
        items = np.unique(data.events.item_rows[labels == label])
        cold = np.setdiff1d(items, trained)
        if 2 * len(cold) >= len(items) >= _FEW or len(cold) == len(items) > 1:
            example, known = data.items.id(int(cold[0])), data.items.id(int(trained[0]))
            yield (
                f"{_NAMES[label]}: {count_of(len(cold), len(items))} items are not in train: ids such as {example!r}, "
                f"in train {known!r}"
            )

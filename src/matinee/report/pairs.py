"""The most similar pairs of movies in a model's eyes, and how many people stand behind each."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.models.base import HasItemVectors, HasSimilarity, Recommender
from matinee.models.vectors import cosines
from matinee.store.artefact import Artefact
from matinee.vocab import Id

BLOCK_VALUES = 2**22
"""Similarities held at once."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two movies: how alike they are to the model, how many people have each, and how many have both."""

    one_id: Id
    one: str
    other_id: Id
    other: str
    similarity: float
    one_events: int
    other_events: int
    shared_users: int

    def to_json(self) -> dict[str, Any]:
        """In plain Python types."""
        return asdict(self)


def closest_pairs(artefact: Artefact, k: int = 10, min_events: int = 10) -> list[Pair]:
    """The k most similar pairs of movies with at least so many events each, most similar first.

    By the model's own similarity, else by cosine of its vectors; of a similarity with two directions the larger one.
    Raises MatineeError for a model that has neither, and where fewer than two movies have so many events.
    """
    counts = artefact.popularity
    known = counts >= max(min_events, 1)
    if np.count_nonzero(known) < 2:
        raise MatineeError(
            f"fewer than two movies have {min_events} events in {artefact.name}; "
            f"use --min-item-events {int(np.sort(counts)[-2:][0])} or less"
        )
    ones, others, values = _best(_similarities(artefact.model), known, k)
    shared = _shared(artefact, ones, others)
    ids, titles = artefact.items, artefact.catalogue.titles
    return [
        Pair(ids.id(a), titles[a], ids.id(b), titles[b], value, int(counts[a]), int(counts[b]), n)
        for a, b, value, n in zip(ones.tolist(), others.tolist(), values.tolist(), shared.tolist(), strict=True)
    ]


def _similarities(model: Recommender[Any]) -> Callable[[IntArray], FloatArray]:
    """From item rows [n] to a new array of their similarity to every item [n, I]."""
    if isinstance(model, HasSimilarity):
        return model.similarity
    if not isinstance(model, HasItemVectors):
        raise MatineeError(f"model {model.name} does not say how alike movies are; use one that does, such as item-knn")
    vectors = model.item_vectors()
    return lambda rows: cosines(vectors, rows)


def _best(
    similarities: Callable[[IntArray], FloatArray], known: BoolArray, k: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """The k pairs of known items with the highest similarity, equal ones by rows. known [I] -> three of [k]."""
    n_items, rows = len(known), np.flatnonzero(known)
    keys, values = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    size = max(1, BLOCK_VALUES // n_items)
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        found = similarities(block)  # [b, I]
        found[:, ~known] = -np.inf
        found[np.arange(len(block)), block] = -np.inf
        # a pair may be seen from both sides, so twice as many are kept
        kept = np.argpartition(found, -min(2 * k, found.size), axis=None)[-min(2 * k, found.size) :]
        ones, others = block[kept // n_items], kept % n_items
        fresh = found.ravel()[kept]
        keys = np.concatenate([keys, np.minimum(ones, others) * n_items + np.maximum(ones, others)])
        values = np.concatenate([values, fresh])
        order = np.lexsort((keys, -values))
        _, firsts = np.unique(keys[order], return_index=True)
        order = order[np.sort(firsts)][:k]
        keys, values = keys[order], values[order]
    finite = np.isfinite(values)
    return keys[finite] // n_items, keys[finite] % n_items, values[finite]


def _shared(artefact: Artefact, ones: IntArray, others: IntArray) -> IntArray:
    """How many of the users that the model was fitted on have both items of each pair. [k], [k] -> [k]."""
    events = artefact.known.events
    marks = np.ones(len(events.item_rows), dtype=np.float32)
    shape = (len(artefact.items), len(artefact.users))
    by_item = csr_array((marks, (events.item_rows, events.user_rows)), shape=shape)
    by_item.sum_duplicates()
    by_item.data[:] = 1
    both = by_item[ones].multiply(by_item[others])
    return np.asarray(both.sum(axis=1)).ravel().astype(np.int64)

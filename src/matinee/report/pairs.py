"""The most similar pairs of movies by a model, and their support."""

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
"""Maximum number of similarities in memory."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two movies: their similarity by the model, the events of each, and the number of users with both."""

    one_id: Id
    one: str
    other_id: Id
    other: str
    similarity: float
    one_events: int
    other_events: int
    shared_users: int

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dict."""
        return asdict(self)


def closest_pairs(artefact: Artefact, k: int = 10, min_events: int = 10) -> list[Pair]:
    """The k most similar pairs among movies with at least min_events events, most similar first.

    Similarity is the model's own, otherwise the cosine of its item vectors; the larger one if it is asymmetric.
    Raises MatineeError if the model has neither, or fewer than two movies have min_events events.
    """
    counts = artefact.popularity
    known = counts >= max(min_events, 1)
    if np.count_nonzero(known) < 2:
        raise MatineeError(
            f"fewer than two movies have {min_events} events in {artefact.name}; "
            f"use --min-item-events {int(np.sort(counts)[-2:][0])} or less"
        )
    ones, others, values = _best(_similarities(artefact.model), known, k)
    shared = _shared_users(artefact, ones, others)
    ids, titles = artefact.items, artefact.catalogue.titles
    return [
        Pair(ids.id(a), titles[a], ids.id(b), titles[b], value, int(counts[a]), int(counts[b]), n)
        for a, b, value, n in zip(ones.tolist(), others.tolist(), values.tolist(), shared.tolist(), strict=True)
    ]


def _similarities(model: Recommender[Any]) -> Callable[[IntArray], FloatArray]:
    """A function from item rows [n] to a new array of their similarities to all items [n, I]."""
    if isinstance(model, HasSimilarity):
        return model.similarity
    if not isinstance(model, HasItemVectors):
        raise MatineeError(f"model {model.name} has no similarities between movies; use one that has, such as item-knn")
    vectors = model.item_vectors()
    return lambda rows: cosines(vectors, rows)


def _best(
    similarities: Callable[[IntArray], FloatArray], known: BoolArray, k: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """The k most similar pairs of known items, ties by row: (rows, rows, similarities), each [k]. known: [I]."""
    n_items, rows = len(known), np.flatnonzero(known)
    keys, values = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    size = max(1, BLOCK_VALUES // n_items)
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        found = similarities(block)  # [b, I]
        found[:, ~known] = -np.inf
        found[np.arange(len(block)), block] = -np.inf
        # keep twice as many, because a pair may occur in both orders
        kept = np.argpartition(found, -min(2 * k, found.size), axis=None)[-min(2 * k, found.size) :]
        ones, others = block[kept // n_items], kept % n_items
        kept_values = found.ravel()[kept]
        keys = np.concatenate([keys, np.minimum(ones, others) * n_items + np.maximum(ones, others)])
        values = np.concatenate([values, kept_values])
        order = np.lexsort((keys, -values))
        _, firsts = np.unique(keys[order], return_index=True)
        order = order[np.sort(firsts)][:k]
        keys, values = keys[order], values[order]
    finite = np.isfinite(values)
    return keys[finite] // n_items, keys[finite] % n_items, values[finite]


def _shared_users(artefact: Artefact, ones: IntArray, others: IntArray) -> IntArray:
    """Number of training users with both items of each pair. [k], [k] -> [k]."""
    events = artefact.known.events
    ones_of_events = np.ones(len(events.item_rows), dtype=np.float32)
    shape = (len(artefact.items), len(artefact.users))
    by_item = csr_array((ones_of_events, (events.item_rows, events.user_rows)), shape=shape)
    by_item.sum_duplicates()
    by_item.data[:] = 1
    both = by_item[ones].multiply(by_item[others])
    return np.asarray(both.sum(axis=1)).ravel().astype(np.int64)

"""An approximate index of item vectors: the items of the largest products with a user's vector, by faiss."""

import hashlib
import math
from copy import copy
from typing import Any, Self

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, top_k
from matinee.extras import imported
from matinee.models.vectors import unit
from matinee.vocab import UNKNOWN

CELLS_PER_ROOT = 4
"""Cells are 4 times the root of the items, as faiss's guidelines have it."""
POINTS_PER_CELL, ROUNDS = 64, 8
"""Of the k-means: vectors of a cell that it is trained on, at most, and rounds."""
APART_SHARE = 0.01
"""Share of the items that are in no cell, but scored with every search: those of the longest vectors."""
LOOKED_AT = 20
"""Items in the cells of a search for each that is asked for, at least."""
DEEPEST = 200
"""A search may ask for a 200th of the items, at most, where all are allowed: from there on all scores are as quick."""
PURPOSE = "an approximate index of items is made by faiss"


class ItemIndex:
    """Vectors of items in the cells of a spherical k-means (inverted lists), but for the longest, which lie apart.

    A search scores the items of the `probes` cells whose directions are nearest to a user's vector, and those apart.
    Directions say nothing of lengths, and items of long vectors, the popular ones, are in many lists.

    Raises MatineeError without faiss. vectors: [I, D] float32; seed: of the k-means.
    """

    def __init__(self, vectors: FloatArray, seed: int = 42) -> None:
        faiss: Any = imported("faiss", PURPOSE)
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1)
        n_apart = math.ceil(APART_SHARE * len(vectors))
        apart = np.sort(np.argsort(-lengths, kind="stable")[:n_apart])
        inside = np.setdiff1d(np.arange(len(vectors)), apart)
        self.n_items, dim = len(vectors), vectors.shape[1]
        self.n_cells = max(1, min(round(CELLS_PER_ROOT * math.sqrt(len(inside))), len(inside) // 4))
        self.probes = 1
        self._vectors = vectors
        self._apart_rows, self._apart = apart, vectors[apart]
        self._moved: BoolArray | None = None  # items whose vectors in the cells are out of date
        self._cells = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, self.n_cells, faiss.METRIC_INNER_PRODUCT)
        self._cells.cp.niter, self._cells.cp.seed = ROUNDS, seed
        self._cells.cp.max_points_per_centroid, self._cells.cp.spherical = POINTS_PER_CELL, True
        self._cells.cp.min_points_per_centroid = 1
        self._cells.train(unit(vectors[inside]))
        self._cells.add_with_ids(vectors[inside], inside.astype(np.int64))

    def __getstate__(self) -> dict[str, Any]:
        faiss: Any = imported("faiss", PURPOSE)
        return vars(self) | {"_cells": faiss.serialize_index(self._cells)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        faiss: Any = imported("faiss", PURPOSE)
        vars(self).update(state | {"_cells": faiss.deserialize_index(state["_cells"])})

    def with_vectors(self, vectors: FloatArray) -> "ItemIndex | None":
        """The index with other vectors of some items, and with more items: those are scored with every search.

        None where they are so many that another index should be made. vectors: [I or more, D].
        """
        n = self.n_items
        moved = (vectors[:n] != self._vectors).any(axis=1)
        rows = np.union1d(np.union1d(self._apart_rows, np.flatnonzero(moved)), np.arange(n, len(vectors)))
        if len(rows) > 2 * APART_SHARE * n + len(self._apart_rows):
            return None
        grown = copy(self)
        grown.n_items, grown._moved = len(vectors), moved if moved.any() else None
        grown._apart_rows, grown._apart = rows, np.ascontiguousarray(vectors[rows], dtype=np.float32)
        return grown

    def probing(self, probes: int) -> Self:
        """The same index with other `probes`: cells that a search looks into, more where it asks for many items."""
        found = copy(self)
        found.probes = min(probes, self.n_cells)
        return found

    def most(self, allowed: BoolArray | None) -> int:
        """How many items a search may ask for at most. allowed: [I]."""
        n_allowed = self.n_items if allowed is None else np.count_nonzero(allowed)
        return math.floor(float(n_allowed) ** 2 / self.n_items / DEEPEST)

    def search(self, users: FloatArray, k: int, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """Items and scores of about the k largest products of each user's vector, best first; ties by item row.

        users: [B, D]; allowed: [I], whether an item may be found -> [B, k] each, UNKNOWN and -inf where fewer were
        found.
        """
        faiss: Any = imported("faiss", PURPOSE)
        users = np.ascontiguousarray(users, dtype=np.float32)
        scores = users @ self._apart.T  # [B, A]
        if allowed is not None:
            scores[:, ~allowed[self._apart_rows]] = -np.inf
        columns, apart_scores = top_k(scores, min(k, scores.shape[1]))
        selected = self._selected(allowed)
        options = {} if selected is None else {"sel": faiss.IDSelectorBitmap(np.packbits(selected, bitorder="little"))}
        parameters = faiss.SearchParametersIVF(nprobe=self._probes_for(k, allowed), **options)
        cell_scores, rows = self._cells.search(users, k, params=parameters)
        items = np.concatenate([self._apart_rows[columns], rows], axis=1)
        found = np.concatenate([apart_scores, cell_scores], axis=1)
        found[items < 0] = -np.inf
        by_row = np.argsort(items, axis=1, kind="stable")
        items, found = (np.take_along_axis(each, by_row, axis=1) for each in (items, found))
        order = np.argsort(-found, axis=1, kind="stable")[:, :k]
        items, found = (np.take_along_axis(each, order, axis=1) for each in (items, found))
        return np.where(np.isneginf(found), UNKNOWN, items).astype(np.int32), found

    def describe(self) -> dict[str, Any]:
        """What decides about the items that a search finds, ready for JSON."""
        centres = self._cells.quantizer.reconstruct_n(0, self.n_cells)
        digest = hashlib.sha256(centres.tobytes()).hexdigest()[:16]
        return {"items": self.n_items, "cells": self.n_cells, "probes": self.probes, "centres": digest}

    def _selected(self, allowed: BoolArray | None) -> BoolArray | None:
        """The items of cells that may be found, None for all. [I of the cells]."""
        if self._moved is None:
            return allowed
        return ~self._moved if allowed is None else allowed[: len(self._moved)] & ~self._moved

    def _probes_for(self, k: int, allowed: BoolArray | None) -> int:
        """Cells to look into, so that they hold several times the items that are asked for."""
        share = 1.0 if allowed is None else max(float(np.mean(allowed)), 1 / self.n_items)
        wanted = LOOKED_AT * k / share * self.n_cells / self.n_items
        return min(self.n_cells, max(self.probes, math.ceil(wanted)))

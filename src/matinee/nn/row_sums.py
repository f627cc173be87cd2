"""Weighted sums of rows of a matrix, which the product of sparse rows with it is: each in one order."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.extras import is_installed

if TYPE_CHECKING:
    from torch import Tensor

STRIP_BYTES, STRIP_COLUMNS = 2 * 2**20, 16
"""Of dense columns that rows are multiplied with at once: so many bytes, and a multiple of so many columns, which fill
registers."""
MANY_ROWS = 32
"""From so many rows on, a product is arranged for the cache."""
MOST_LEVELS = 16
"""Different weights of a row up to which it is summed weight by weight."""
MANY_PRODUCTS = 5e10
"""Multiplications for which torch is loaded: that takes a second, and its kernel saves four."""


@dataclass(frozen=True, slots=True, eq=False)
class RowSums:
    """Sparse rows [B, F] as what a matrix is multiplied with: each sum in one order, whatever the other rows are.

    Rows of few different weights, such as those of ratings, are summed weight by weight, each sum times its weight:
    half the rounding. Sums without weights have the same bits by scipy and by torch, whose kernel keeps them in
    registers, 3 times as fast. It is taken for many rows in a process that has loaded torch, see `load_torch_for`.

    sums: [G, F], of ones where a row has one of its weights, or a row of many weights as it is; weights: [B, G], that
    weight, or 1; None where sums are the rows. bags: the sums for torch's kernel, columns, starts and weights.
    """

    sums: csr_array
    weights: csr_array | None
    bags: "tuple[Tensor, Tensor, Tensor | None] | None"

    @classmethod
    def of(cls, rows: csr_array, *, by_level: bool = True, of_ones: bool = False) -> Self:
        """by_level: False for rows that have many different weights anyway.

        of_ones: whether the matrix holds but ones and zeros, with which any weights have the same bits by both kernels.
        """
        sums, weights = _by_level(rows) if by_level and not of_ones and not _is_ones(rows) else (rows, None)
        is_fast = sums.shape[0] >= MANY_ROWS and has_torch() and (of_ones or _is_ones(sums))
        return cls(sums, weights, _bags(sums) if is_fast else None)

    def dense(self, matrix: FloatArray) -> FloatArray:
        """The product with a dense matrix: [F, C] -> [B, C] float32."""
        sums: FloatArray = self.sums @ matrix if self.bags is None else _sums_of_bags(matrix, *self.bags)
        return sums if self.weights is None else self.weights @ sums

    def sparse(self, matrix: csr_array) -> csr_array:
        """The product with a sparse matrix: [F, C] -> [B, C]."""
        sums: csr_array = self.sums @ matrix
        return sums if self.weights is None else self.weights @ sums


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The different weights of one row, as RowSums has them of many: a quicker way for a list of one visitor.

    order: entries of the row, level by level [n]; starts: of each among them [K + 1]; weights: ascending [K].
    """

    order: IntArray
    starts: IntArray
    weights: FloatArray

    @classmethod
    def of(cls, weights: FloatArray) -> Self | None:
        """Weights [n]; None of ones, and of so many different ones that the row is summed as it is."""
        if (weights == 1).all():
            return None
        order = np.argsort(weights, kind="stable")
        ordered = weights[order]
        cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        if len(cuts) >= MOST_LEVELS:
            return None
        starts = np.concatenate([[0], cuts, [len(weights)]])
        return cls(order, starts, ordered[starts[:-1]])

    def ones(self, columns: IntArray, n_columns: int) -> csr_array:
        """1 for each entry of each level. columns: of the row [n] -> [K, F]."""
        shape = len(self.weights), n_columns
        return csr_array((np.ones(len(columns), np.float32), columns[self.order], self.starts), shape=shape)

    def total(self, sums: FloatArray) -> FloatArray:
        """The sum of the row, from those of its levels. [K, C] -> [C]."""
        total: FloatArray = self.weights[0] * sums[0]
        for weight, each in zip(self.weights[1:], sums[1:], strict=True):
            total += weight * each
        return total


def strips(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Ranges of columns of a matrix of so many rows that stay in a core's cache."""
    width = max(STRIP_COLUMNS, STRIP_BYTES // (4 * max(1, n_rows)) // STRIP_COLUMNS * STRIP_COLUMNS)
    for start in range(0, n_columns, width):
        yield slice(start, start + width)


def _by_level(rows: csr_array) -> tuple[csr_array, csr_array | None]:
    """See RowSums: sums and weights."""
    n_rows, pairs = rows.shape[0], _LevelPairs.of(rows)
    has_many = np.bincount(pairs.owners, minlength=n_rows) > MOST_LEVELS
    if not has_many.any():
        return pairs.ones(rows), _weights(pairs.levels, pairs.owners, n_rows)
    if has_many.all():
        return rows, None
    few, many = np.flatnonzero(~has_many), np.flatnonzero(has_many)
    pairs = _LevelPairs.of(rows[few])
    levels = np.concatenate([pairs.levels, np.ones(len(many), dtype=np.float32)])
    sums = vstack([pairs.ones(rows[few]), rows[many]], format="csr")
    return sums, _weights(levels, np.concatenate([few[pairs.owners], many]), n_rows)


@dataclass(frozen=True, slots=True, eq=False)
class _LevelPairs:
    """The G pairs of a sparse row and one of its different weights, by weight and then by row.

    order: entries of the rows, pair by pair [N]; starts: of each pair among them [G + 1]; owners: rows [G]; levels:
    weights [G].
    """

    order: IntArray
    starts: IntArray
    owners: IntArray
    levels: FloatArray

    @classmethod
    def of(cls, rows: csr_array) -> Self:
        owners, levels = rows_of(rows.indptr), np.unique(rows.data)
        codes = np.searchsorted(levels, rows.data)
        order = np.argsort(codes.astype(np.uint16) if len(levels) <= 2**16 else codes, kind="stable")
        pairs = codes[order] * rows.shape[0] + owners[order]
        firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
        return cls(order, np.append(firsts, len(pairs)), owners[order[firsts]], levels[codes[order[firsts]]])

    def ones(self, rows: csr_array) -> csr_array:
        """1 for each entry of each pair. [G, F]."""
        columns = rows.indices[self.order]
        values = np.ones(len(columns), dtype=np.float32)
        return csr_array((values, columns, self.starts), shape=(len(self.levels), rows.shape[1]))


def _weights(levels: FloatArray, owners: IntArray, n_rows: int) -> csr_array:
    """The weight of each of G sums for the row that owns it. [B, G]."""
    return csr_array((levels, (owners, np.arange(len(levels)))), shape=(n_rows, len(levels)))


def _is_ones(rows: csr_array) -> bool:
    return bool((rows.data == 1).all())


def has_torch() -> bool:
    """Whether the process has loaded torch."""
    return hasattr(sys.modules.get("torch"), "embedding_bag")


def load_torch_for(n_products: float) -> None:
    """Load torch, where it is installed, if so many multiplications of rows lie ahead that it saves time."""
    if n_products > MANY_PRODUCTS and not has_torch() and is_installed("torch"):
        import_module("torch")


def _bags(rows: csr_array) -> "tuple[Tensor, Tensor, Tensor | None]":
    from torch import from_numpy

    columns, starts = (from_numpy(each.astype(np.int32)) for each in (rows.indices, rows.indptr[:-1]))
    return columns, starts, None if _is_ones(rows) else from_numpy(rows.data.astype(np.float32))


def _sums_of_bags(matrix: FloatArray, columns: "Tensor", starts: "Tensor", weights: "Tensor | None") -> FloatArray:
    from torch import embedding_bag, from_numpy

    table = from_numpy(matrix if matrix.flags.writeable else matrix.copy())  # torch warns of others
    found: FloatArray = embedding_bag(table, columns, starts, mode=0, per_sample_weights=weights)[0].numpy()
    return found

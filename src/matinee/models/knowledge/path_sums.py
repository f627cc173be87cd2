"""The form `patterns`: sums over all paths of 2 and 3 nodes, as products of matrices. No path is listed."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.models.knowledge.examples import Candidates
from matinee.nn.row_sums import MANY_ROWS
from matinee.nn.sparse_rows import product_by_head, product_with_dense

MOST_CELLS = 2**26
"""Pairs of items whose sums are kept: 256 MB. With more items, each batch takes the two sparse matrices."""


@dataclass(frozen=True, slots=True, eq=False)
class PathSums:
    """Σ exp(s / T) over the paths from each item to each other: reach x arrivals, see `patterns`.

    reach: [I, K]; arrivals: [K, I], the weights exp(s / T) of the arrivals in each item; temperature: T; of_pairs:
    [I, I] float32, their product, None above MOST_CELLS.
    """

    reach: csr_array
    arrivals: csr_array
    temperature: float
    of_pairs: FloatArray | None

    @classmethod
    def of(cls, reach: csr_array, arrivals: tuple[FloatArray, IntArray, IntArray], temperature: float) -> Self:
        """From weights, ports and starts of the arrivals, by item."""
        by_port = csr_array(arrivals, shape=reach.shape).T.tocsr()
        is_small = reach.shape[0] ** 2 <= MOST_CELLS
        return cls(reach, by_port, temperature, product_by_head(reach, by_port) if is_small else None)

    def pooled(self, matrix: csr_array, candidates: Candidates) -> FloatArray:
        """T log(1 + Σ w exp(s / T)) of each candidate. matrix: [B, I] weights of the histories -> [Q]."""
        items = candidates.items
        if self.of_pairs is None:
            sums = ((matrix @ self.reach) @ self.arrivals).toarray()
        elif matrix.shape[0] < MANY_ROWS:
            sums = product_with_dense(matrix, self.of_pairs)
        else:
            listed, items = np.unique(items, return_inverse=True)  # of many items few are anyone's candidates
            sums = product_with_dense(matrix, np.take(self.of_pairs, listed, axis=1))
        found: FloatArray = self.temperature * np.log1p(sums[candidates.owners, items], dtype=np.float64)
        return found.astype(np.float32)

    def of_events(self, matrix: csr_array, item_rows: IntArray) -> FloatArray:
        """Σ w exp(s / T) over the paths from each entry of some histories to k items. [B, I], [B, k] -> [nnz, k]."""
        listed = item_rows[rows_of(matrix.indptr)]  # [nnz, k]
        if self.of_pairs is not None:
            found = self.of_pairs[matrix.indices[:, None], listed].astype(np.float64)
        else:
            found = np.empty(listed.shape, dtype=np.float64)
            for rows, start, stop in zip(item_rows, matrix.indptr[:-1], matrix.indptr[1:], strict=True):
                found[start:stop] = (self.reach[matrix.indices[start:stop]] @ self.arrivals[:, rows]).toarray()
        found *= matrix.data[:, None]
        return found

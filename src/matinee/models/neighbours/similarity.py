"""Term weighting and similarities of sparse rows, shared by the kNN models.

Rows are documents and columns terms: items described by their users, or users described by their items.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt, model_validator
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray
from matinee.config import Config, Search
from matinee.nn.sparse_rows import keep_top_k, product_of_few

Weighting = Literal["none", "tf-idf", "bm25"]
Similarity = Literal["cosine", "jaccard", "dot"]
BLOCK_ENTRIES = 2**23
"""Similarities computed at once."""
FEW = 4
"""So many rows, such as those of one list, are multiplied without a sparse product."""


class KNNConfig(Config):
    """Settings that both kNN models have."""

    neighbours: Annotated[PositiveInt, Search(10, 500, log=True, first=True)] = 100
    """Number of neighbours."""
    similarity: Similarity = "cosine"
    """`cosine`, `jaccard` (without weighting), or `dot` (for bm25)."""
    weighting: Weighting = "none"
    """Weight of a term: 1, or lower the more documents have it."""
    shrinkage: Annotated[NonNegativeFloat, Search(0.1, 1000, log=True, first=True)] = 0.0
    """Shrinkage term in the denominator (not with dot); damps similarities with little support."""

    @model_validator(mode="after")
    def _jaccard_counts(self) -> Self:
        if self.similarity == "jaccard" and self.weighting != "none":
            raise ValueError("similarity = 'jaccard' compares binary rows; set weighting = 'none' with it")
        return self


def mean_length(matrix: csr_array) -> float:
    """Mean number of entries of a row, at least 1."""
    return max(matrix.nnz / max(matrix.shape[0], 1), 1.0)


def inverse_document_frequency(matrix: csr_array) -> FloatArray:
    """ln(1 + (R - n + 0.5) / (n + 0.5)) of a column that n of R rows have. [C], positive.

    Source: Robertson and Zaragoza 2009, eq. 3.3; the 1 + keeps it positive.
    """
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return np.log1p((matrix.shape[0] - counts + 0.5) / (counts + 0.5)).astype(np.float32)


def weight_terms(matrix: csr_array, weighting: Weighting, idf: FloatArray, mean_length: float) -> csr_array:
    """A binary matrix with weighted entries. [R, C] -> [R, C].

    tf-idf: idf of the column. bm25: idf · (k1 + 1) / (1 + k1 (1 - b + b · length / mean length)) with k1 = 1.2 and
    b = 0.75 (Robertson and Zaragoza 2009, eq. 3.15), length = number of the row's entries.
    """
    if weighting == "none":
        return matrix
    data = matrix.data * idf[matrix.indices]
    if weighting == "bm25":
        lengths = np.diff(matrix.indptr)
        norms = 1.2 * (0.25 + 0.75 * lengths / mean_length)
        data = data * np.repeat(2.2 / (1 + norms), lengths).astype(np.float32)
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def squared_norms(matrix: csr_array) -> FloatArray:
    """Sum of squares of each row. [R]; of a binary matrix, its number of entries."""
    owners = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.bincount(owners, matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[0]).astype(np.float32)


def similarities(products: csr_array, rows: FloatArray, columns: FloatArray, config: KNNConfig) -> csr_array:
    """Similarities from inner products p. products [R, C]; rows [R], columns [C]: squared norms. -> [R, C].

    cosine: p / (|r| |c| + shrinkage); jaccard: p / (r + c - p + shrinkage); dot: p, for bm25, whose weights include the
    length (under cosine it cancels, and bm25 equals tf-idf).
    """
    r = np.repeat(rows, np.diff(products.indptr))
    data = similarities_of(products.data, r, columns[products.indices], config)
    return csr_array((data, products.indices, products.indptr), shape=products.shape)


def similarities_of(products: FloatArray, rows: FloatArray, columns: FloatArray, config: KNNConfig) -> FloatArray:
    """As `similarities`, of arrays of one shape, or such that broadcast to it. Products of 0 give 0."""
    if config.similarity == "dot":
        return products.astype(np.float32)
    denominators = np.sqrt(rows * columns) if config.similarity == "cosine" else rows + columns - products
    denominators += np.float32(config.shrinkage)
    found = np.divide(products, denominators, out=np.zeros_like(products), where=denominators > 0)
    return found.astype(np.float32)


def nearest(
    rows: csr_array,
    columns: csr_array,
    squared_column_norms: FloatArray,
    config: KNNConfig,
    *,
    exclude_self: bool = False,
) -> csr_array:
    """Similarities of each row to its `neighbours` most similar columns. rows [R, F], columns [F, C] -> [R, C].

    squared_column_norms [C]. exclude_self: row r and column r are the same, and not neighbours. Computed in blocks.
    """
    n_rows, n_columns = rows.shape[0], columns.shape[1]
    if n_rows <= FEW and not exclude_self:
        products = product_of_few(rows, columns)
        return nearest_by_products(products, squared_norms(rows), squared_column_norms, config)
    size = max(1, BLOCK_ENTRIES // max(n_columns, 1))
    blocks = []
    for start in range(0, max(n_rows, 1), size):
        block = rows[start : start + size]
        found = similarities(block @ columns, squared_norms(block), squared_column_norms, config)  # [b, C]
        blocks.append(_best(found, start if exclude_self else None, config))
    joined: csr_array = vstack(blocks, format="csr")
    return joined


def nearest_by_products(
    products: FloatArray, row_norms: FloatArray, column_norms: FloatArray, config: KNNConfig
) -> csr_array:
    """As `nearest`, of a few rows whose inner products are known. products [R, C]; squared norms [R], [C]."""
    return csr_array(keep_nearest(similarities_of(products, row_norms[:, None], column_norms, config), config))


def keep_nearest(found: FloatArray, config: KNNConfig) -> FloatArray:
    """The similarities of the neighbours of each row, 0 for all others; ties go to the lower column. [R, C], dense."""
    k = min(config.neighbours, found.shape[1])
    least = np.partition(found, found.shape[1] - k, axis=1)[:, -k]
    kept = found >= least[:, None]
    for row in np.flatnonzero(np.count_nonzero(kept, axis=1) > k):
        equal = np.flatnonzero(found[row] == least[row])
        kept[row, equal[k - np.count_nonzero(found[row] > least[row]) :]] = False
    return np.where(kept, np.maximum(found, 0), np.float32(0))


def nearest_of_products(products: csr_array, config: KNNConfig) -> csr_array:
    """As `nearest` of rows among themselves, from their inner products. [R, R] -> [R, R]."""
    n_rows = products.shape[0]
    norms = products.diagonal().astype(np.float32)
    size = max(1, BLOCK_ENTRIES // max(n_rows, 1))
    blocks = []
    for start in range(0, max(n_rows, 1), size):
        block = products[start : start + size].astype(np.float32)
        blocks.append(_best(similarities(block, norms[start : start + size], norms, config), start, config))
    joined: csr_array = vstack(blocks, format="csr")
    return joined


def _best(found: csr_array, own: int | None, config: KNNConfig) -> csr_array:
    """The neighbours of a block of rows. own: the column that is the first row itself; None where rows are others."""
    if own is not None:
        found.data[np.repeat(np.arange(found.shape[0]), np.diff(found.indptr)) + own == found.indices] = 0
    return keep_top_k(found, config.neighbours)

"""How much an entry of a users-by-items matrix counts, and how alike two of its rows are: shared by the kNN models.

A row is a document and a column a term: an item described by its users, or a user described by their items.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt, model_validator
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray
from matinee.config import Config, Search
from matinee.nn.sparse_rows import keep_top_k

Weighting = Literal["none", "tf-idf", "bm25"]
Similarity = Literal["cosine", "jaccard", "dot"]
BLOCK_ENTRIES = 2**23
"""Similarities held densely at once while the neighbours are chosen."""


class KNNConfig(Config):
    """Settings that both kNN models have."""

    neighbours: Annotated[PositiveInt, Search(10, 500, log=True)] = 100
    """How many of the most similar count."""
    similarity: Similarity = "cosine"
    """`cosine`, `jaccard` (which only counts and knows no weighting), or `dot` (with bm25)."""
    weighting: Weighting = "none"
    """How much a term counts: all alike, or less the more documents have it."""
    shrinkage: Annotated[NonNegativeFloat, Search(0.1, 1000, log=True)] = 0.0
    """Added to the denominator (dot has none): mistrusts similarities that rest on little."""

    @model_validator(mode="after")
    def _jaccard_counts(self) -> Self:
        if self.similarity == "jaccard" and self.weighting != "none":
            raise ValueError("similarity = 'jaccard' only counts; set weighting = 'none' beside it")
        return self


def mean_length(matrix: csr_array) -> float:
    """Mean entries of a row, at least 1."""
    return max(matrix.nnz / max(matrix.shape[0], 1), 1.0)


def inverse_document_frequency(matrix: csr_array) -> FloatArray:
    """ln(1 + (R - n + 0.5) / (n + 0.5)) for n of R rows that have the column; never negative. [C].

    Source: Robertson and Zaragoza 2009, eq. 3.3, with the usual 1 + against negative values.
    """
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return np.log1p((matrix.shape[0] - counts + 0.5) / (counts + 0.5)).astype(np.float32)


def weigh(matrix: csr_array, weighting: Weighting, idf: FloatArray, mean_length: float) -> csr_array:
    """A binary matrix with its entries weighted. [R, C].

    tf-idf: idf of the column. bm25: idf · (k1 + 1) / (1 + k1 (1 - b + b · length / mean length)) with the usual
    k1 = 1.2 and b = 0.75 (Robertson and Zaragoza 2009, eq. 3.15), length being the entries of the row.
    """
    if weighting == "none":
        return matrix
    data = matrix.data * idf[matrix.indices]
    if weighting == "bm25":
        lengths = np.diff(matrix.indptr)
        norms = 1.2 * (0.25 + 0.75 * lengths / mean_length)
        data = data * np.repeat(2.2 / (1 + norms), lengths).astype(np.float32)
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def squared_lengths(matrix: csr_array) -> FloatArray:
    """The sum of squares of each row. [R]; for a binary matrix its number of entries."""
    owners = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.bincount(owners, matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[0]).astype(np.float32)


def similarities(products: csr_array, rows: FloatArray, columns: FloatArray, config: KNNConfig) -> csr_array:
    """Inner products of two sets of rows as similarities, zero where the product is.

    products [R, C]; rows [R] and columns [C] are squared lengths.
    cosine: p / (|r| |c| + shrinkage); jaccard: p / (r + c - p + shrinkage); dot: p itself, which goes with bm25,
    whose lengths are in the weights already (under cosine they cancel, and bm25 is tf-idf).
    """
    if config.similarity == "dot":
        return products.astype(np.float32)
    r = np.repeat(rows, np.diff(products.indptr))
    c = columns[products.indices]
    whole = np.sqrt(r * c) if config.similarity == "cosine" else r + c - products.data
    data = (products.data / (whole + np.float32(config.shrinkage))).astype(np.float32)
    return csr_array((data, products.indices, products.indptr), shape=products.shape)


def nearest(
    rows: csr_array, columns: csr_array, lengths: FloatArray, config: KNNConfig, *, others: bool = False
) -> csr_array:
    """The similarities of each row to its most similar columns. rows [R, F], columns [F, C] -> [R, C].

    lengths: [C] squared, of the columns. others: rows and columns are the same things, and none is its own neighbour.
    Computed by blocks of rows, never all held.
    """
    n_rows, n_columns = rows.shape[0], columns.shape[1]
    size = max(1, BLOCK_ENTRIES // max(n_columns, 1))
    blocks = []
    for start in range(0, max(n_rows, 1), size):
        block = rows[start : start + size]
        alike = similarities(block @ columns, squared_lengths(block), lengths, config)  # [b, C]
        if others:
            alike.data[np.repeat(np.arange(block.shape[0]), np.diff(alike.indptr)) + start == alike.indices] = 0
        blocks.append(keep_top_k(alike, config.neighbours))
    joined: csr_array = vstack(blocks, format="csr")
    return joined

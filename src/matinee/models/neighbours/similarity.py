"""Term weighting and similarities of sparse rows, shared by the kNN models.

Rows are documents and columns terms: items described by their users, or users described by their items.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.config import Config, Search
from matinee.nn.row_sums import RowSums
from matinee.nn.sparse_rows import keep_top_k, keep_top_k_of, product_in_strips, product_of_few, products_among

Weighting = Literal["none", "tf-idf", "bm25"]
Similarity = Literal["cosine", "jaccard", "dot", "pearson", "adjusted-cosine"]
CENTRED = ("pearson", "adjusted-cosine")
"""Cosines of rows that something is subtracted from, zeros included."""
BLOCK_ENTRIES = 2**23
"""Similarities computed at once."""
FEW = 4
"""So many rows, such as those of one list, are multiplied without a sparse product."""


DENSE = 16
"""A dense product does so many times as many operations in the same time as a sparse one."""


class KNNConfig(Config):
    """Settings that both kNN models have."""

    neighbours: Annotated[PositiveInt, Search(10, 500, log=True, first=True)] = 100
    """Number of neighbours."""
    similarity: Similarity = "cosine"
    """`cosine`, `jaccard` (without weighting), `dot` (for bm25), `pearson` (cosine of documents less their mean over
    all terms) or `adjusted-cosine` (less each term's mean over all documents)."""
    significance: NonNegativeInt = 0
    """Significance weighting: a similarity that rests on n < significance shared terms is multiplied by n /
    significance; 0: none is."""
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
    return inverse_frequency(np.bincount(matrix.indices, minlength=matrix.shape[1]), matrix.shape[0])


def inverse_frequency(counts: IntArray, n_rows: int) -> FloatArray:
    """As `inverse_document_frequency`, of columns that so many rows have. [C]."""
    return np.log1p((n_rows - counts + 0.5) / (counts + 0.5)).astype(np.float32)


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


@dataclass(frozen=True, slots=True, eq=False)
class Documents:
    """C documents that others are compared with. profiles: [F, C], their weighted terms, transposed.

    squared_norms: [C], of centred documents where the similarity centres. offsets, means: of CENTRED, else empty.
    offsets [C]: pearson, sum of terms / sqrt(F); adjusted-cosine, product with the means. means [F], of the terms over
    all documents; pearson has none.
    """

    profiles: csr_array
    squared_norms: FloatArray
    offsets: FloatArray
    means: FloatArray

    @classmethod
    def of(cls, matrix: csr_array, config: KNNConfig) -> "Documents":
        """Of weighted documents [C, F]."""
        means = np.zeros(0, dtype=np.float32)
        if config.similarity == "adjusted-cosine":
            means = np.asarray(matrix.mean(axis=0), dtype=np.float32).ravel()
        documents = cls(matrix.T.tocsr(), means, means, means)
        norms, offsets = documents.lengths_of(matrix, config)
        return cls(documents.profiles, norms, offsets, means)

    def lengths_of(self, rows: csr_array, config: KNNConfig) -> tuple[FloatArray, FloatArray]:
        """Squared norms [R] and offsets [R] of other documents [R, F], centred as these are."""
        norms = squared_norms(rows)
        if config.similarity == "pearson":
            offsets = np.asarray(rows.sum(axis=1, dtype=np.float64)).ravel() / np.sqrt(rows.shape[1])
            return (norms - offsets**2).astype(np.float32), offsets.astype(np.float32)
        if config.similarity == "adjusted-cosine":
            offsets = rows.astype(np.float64) @ self.means
            return (norms - 2 * offsets + self._constant).astype(np.float32), offsets.astype(np.float32)
        return norms, np.zeros(0, dtype=np.float32)

    def centred(self, products: FloatArray, rows: FloatArray, columns: FloatArray, config: KNNConfig) -> FloatArray:
        """Inner products of centred documents from those of others; offsets of both sides that broadcast to them."""
        if config.similarity == "pearson":
            return products - rows * columns
        return np.asarray(products - rows - columns + self._constant, dtype=np.float32)

    @property
    def _constant(self) -> np.float32:
        return np.float32(np.square(self.means.astype(np.float64)).sum())


def similarities(rows: csr_array, documents: Documents, config: KNNConfig, *, by_level: bool = True) -> csr_array:
    """Similarities of rows to documents, of pairs that share a term. rows [R, F] -> [R, C].

    cosine: p / (|r| |c| + shrinkage), p the inner product; jaccard: p / (r + c - p + shrinkage); dot: p, for bm25,
    whose weights include the length (under cosine it cancels, and bm25 equals tf-idf). pearson and adjusted-cosine are
    the cosine after centring. by_level: see RowSums; sums of few rows are by level.
    """
    products: csr_array = RowSums.of(rows, by_level=by_level).sparse(documents.profiles)
    owners, columns = rows_of(products.indptr), products.indices
    norms, offsets = documents.lengths_of(rows, config)
    data = products.data
    if config.similarity in CENTRED:
        data = documents.centred(data, offsets[owners], documents.offsets[columns], config)
    data = similarities_of(data, norms[owners], documents.squared_norms[columns], config)
    if config.significance:
        shared = (_pattern(rows) @ _pattern(documents.profiles)).toarray()
        data *= _significance(shared[owners, columns], config)
    return csr_array((data, columns, products.indptr), shape=products.shape)


def similarities_of_few(rows: csr_array, products: FloatArray, documents: Documents, config: KNNConfig) -> FloatArray:
    """As `similarities`, of a few rows whose inner products are known; 0 where no term is shared. [R, C], dense."""
    norms, offsets = documents.lengths_of(rows, config)
    centred = products
    if config.similarity in CENTRED:
        centred = documents.centred(products, offsets[:, None], documents.offsets, config)
        centred = np.where(products != 0, centred, np.float32(0))
    found = similarities_of(centred, norms[:, None], documents.squared_norms, config)
    if config.significance:
        found *= _significance(product_of_few(_pattern(rows), _pattern(documents.profiles)), config)
    return found


def _pattern(matrix: csr_array) -> csr_array:
    """1 for each entry."""
    return csr_array((np.ones(matrix.nnz, dtype=np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)


def _significance(shared: FloatArray, config: KNNConfig) -> FloatArray:
    """The factor of similarities that rest on so many shared terms. Source: Herlocker et al. 1999, section 5.2."""
    return np.minimum(shared, np.float32(config.significance)) / np.float32(config.significance)


def similarities_of(products: FloatArray, rows: FloatArray, columns: FloatArray, config: KNNConfig) -> FloatArray:
    """Similarities from inner products and squared norms, centred where they are to be. Products of 0 give 0.

    Arrays of one shape, or such that broadcast to it.
    """
    if config.similarity == "dot":
        return products.astype(np.float32)
    denominators = rows + columns - products if config.similarity == "jaccard" else np.sqrt(rows * columns)
    denominators += np.float32(config.shrinkage)
    found = np.divide(products, denominators, out=np.zeros_like(products), where=denominators > 0)
    return found.astype(np.float32, copy=False)


def nearest(
    rows: csr_array,
    documents: Documents,
    config: KNNConfig,
    *,
    exclude_self: bool = False,
    own: csr_array | None = None,
) -> csr_array:
    """Similarities of each row to its `neighbours` most similar documents. rows [R, F] -> [R, C].

    exclude_self: row r and document r are the same, and not neighbours. own: [C, F], the documents' profiles by
    document, if they are at hand. Computed in blocks.
    """
    n_rows, n_columns = rows.shape[0], documents.profiles.shape[1]
    if n_rows <= FEW and not exclude_self:
        products = product_of_few(rows, documents.profiles)
        return csr_array(keep_nearest(similarities_of_few(rows, products, documents, config), config))
    size = max(1, BLOCK_ENTRIES // max(n_columns, 1))
    starts = range(0, max(n_rows, 1), size)
    if not _share_much(rows, documents.profiles):
        by_level = not exclude_self
        found = (
            (start, similarities(rows[start : start + size], documents, config, by_level=by_level)) for start in starts
        )
        sparse = [_best(each, start if exclude_self else None, config) for start, each in found]
        return csr_array(vstack(sparse, format="csr"))
    if exclude_self:
        of_blocks = products_among(rows, size)
    else:
        profiles = documents.profiles.T.tocsr() if own is None else own
        of_blocks = ((start, product_in_strips(rows[start : start + size], profiles)) for start in starts)
    blocks: list[csr_array] = []
    for start, of_block in of_blocks:
        dense = similarities_of_few(rows[start : start + size], of_block, documents, config)
        if exclude_self:
            dense[np.arange(len(dense)), start + np.arange(len(dense))] = 0
        blocks.append(keep_top_k_of(dense, config.neighbours))
    joined: csr_array = vstack(blocks, format="csr")
    return joined


def _share_much(rows: csr_array, columns: csr_array) -> bool:
    """Whether so many rows [R, F] and columns [F, C] share a term that their product is quicker without gaps."""
    n_rows = np.bincount(rows.indices, minlength=rows.shape[1])
    return DENSE * float(n_rows @ np.diff(columns.indptr).astype(np.float64)) > rows.nnz * columns.shape[1]


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
        of_rows = np.repeat(norms[start : start + size], np.diff(block.indptr))
        block.data = similarities_of(block.data, of_rows, norms[block.indices], config)
        blocks.append(_best(block, start, config))
    joined: csr_array = vstack(blocks, format="csr")
    return joined


def _best(found: csr_array, own: int | None, config: KNNConfig) -> csr_array:
    """The neighbours of a block of rows. own: the column that is the first row itself; None where rows are others."""
    if own is not None:
        found.data[np.repeat(np.arange(found.shape[0]), np.diff(found.indptr)) + own == found.indices] = 0
    return keep_top_k(found, config.neighbours)

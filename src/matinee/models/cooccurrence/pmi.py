"""PMI: items that co-occur more often than their frequencies explain, as neighbours or as factors."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.config import Config, Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import FitsFromCounts
from matinee.models.cooccurrence.counts import PairWeight, cooccurrence_strips, count_cooccurrences, require_pairs
from matinee.models.item_strips import ProductStrips
from matinee.models.item_weights import ItemWeights
from matinee.models.needs import count_pairs
from matinee.models.vectors import capped_dim, cosines, event_products
from matinee.nn.sparse_rows import keep_top_k
from matinee.training.run import Run

BLOCK_ENTRIES = 2**23
"""Values held in dense form at once."""
OVERSAMPLING = 16
"""Extra dimensions of subspace iteration."""
ITERATIONS = 6
"""Subspace iterations until the leading eigenvectors have converged."""


class PMIConfig(Config):
    """Settings of PMI."""

    form: Literal["neighbours", "vectors"] = "neighbours"
    """Score by the matrix itself, cut to the best neighbours of each item, or by its factors."""
    neighbours: Annotated[PositiveInt, Search(10, 1000, log=True)] = 500
    """neighbours: neighbours per item."""
    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """vectors: length of the vectors."""
    eigenvalue_power: Annotated[NonNegativeFloat, Search(0, 1)] = 0.5
    """vectors: power of the eigenvalues in the vectors; 0.5 is the symmetric factorisation."""
    shift: Annotated[PositiveFloat, Search(0.1, 10, log=True, first=True)] = 1.0
    """Ratio to the expected count above which a pair has a positive value; the k of SGNS."""
    shrinkage: Annotated[NonNegativeFloat, Search(0.1, 100, log=True, first=True)] = 2.0
    """Added to the observed and to the expected count of a pair; damps pairs with little support."""
    smoothing: Annotated[float, Field(gt=0, le=1), Search(0.3, 1)] = 0.75
    """Context distribution smoothing: context counts are raised to this power; below 1 damps rare items."""
    pair_weight: PairWeight = "pair"
    """`pair`: every pair has weight 1; `user`: 1 / (n - 1) for a user of n items, whose pairs then sum to n."""
    popularity_power: Annotated[NonNegativeFloat, Search(0, 1, first=True)] = 0.25
    """Scores are multiplied by (events of the item)^popularity_power, as PMI alone favours rare items."""


class PMI(ItemWeights, FitsFromCounts[csr_array]):
    """score_i = n_i^q sum of M_ji over the items j of the history, among the `neighbours` best j of each i.

    M_ij = max(0, log((C_ij + a) / (n_i m_j / N + a)) - log shift), with C the co-occurrence counts, n their row sums,
    m_j proportional to n_j^smoothing, N = sum of m = sum of C, a = `shrinkage`; n_i^q: see `popularity_power`.
    With `form = "vectors"`: score_i = n_i^q e_i · (mean of e_j), e = V |S|^eigenvalue_power for the largest |S| of
    (M + Mᵀ) / 2 = V S Vᵀ. Source: Levy and Goldberg 2014, sections 3 and 4; smoothing and eigenvalue weighting:
    Levy, Goldberg and Dagan 2015. Fold-in: the history itself; the term of an event is multiplied by its weight.

    Differs from the paper: the papers embed words and rank no items for users. Shrinkage, popularity_power and the
    cut to neighbours are ours; M is made symmetric before its factorisation, which is by eigenvalues and not an SVD.
    No shift by default (shift = 1); contexts are whole histories, with no windows or sub-sampling.
    """

    name = "pmi"
    memory_reason = "it keeps the counts of all pairs of items that somebody has"
    smaller_models = "ials or lightgcn, whose memory grows with users and items alone"
    Config = PMIConfig
    learned = ("weights", "vectors", "popularity_factors")
    item_arrays = (("weights", 1), ("vectors", 0), ("popularity_factors", 0))
    item_inputs = (("weights", 0),)
    unscaled_arrays = frozenset({"vectors"})
    config: PMIConfig
    weights: csr_array  # [I, I], column i: M_ji n_i^q of i's neighbours j; empty with form = "vectors"
    vectors: FloatArray  # [I, D], e; [I, 0] with form = "neighbours"
    popularity_factors: FloatArray  # [I], n^q

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the counts of pairs, and what of them is more than expected."""
        return 48 * count_pairs(train) + super().least_memory(train)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError if there are no pairs, or fewer items than dim."""
        return self.fit_counts(count_cooccurrences(train.matrix(), self.config.pair_weight), train, run)

    def strips(self, train: TrainingData) -> ProductStrips:
        """See FitsFromSums: of co-occurrence counts, summed in float64."""
        return cooccurrence_strips(train.matrix().astype(np.float64), self.config.pair_weight)

    def fit_counts(self, counts: csr_array, train: TrainingData, run: Run) -> Self:
        """See FitsFromCounts."""
        config, n_items = self.config, train.n_items
        require_pairs(float(counts.sum()))
        matrix = positive_pmi(counts, config.shift, config.smoothing, config.shrinkage)
        self.popularity_factors = train.popularity.astype(np.float32) ** np.float32(config.popularity_power)
        self.vectors = np.zeros((n_items, 0), dtype=np.float32)
        if config.form == "vectors":
            values, axes = leading_eigenvectors((matrix + matrix.T).tocsr() / 2, capped_dim(self, n_items), run.rng)
            self.vectors = axes * np.abs(values) ** np.float32(config.eigenvalue_power)
            self.weights = matrix[:, :0] @ matrix[:0]  # empty
            return self
        by_target = matrix.T.tocsr()
        size = max(1, BLOCK_ENTRIES // n_items)
        kept: csr_array = vstack(
            [keep_top_k(by_target[start : start + size], config.neighbours) for start in range(0, n_items, size)],
            format="csr",
        )
        kept.data *= self.popularity_factors[rows_of(kept.indptr)]
        self.weights = kept.T.tocsr()
        return self

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        if self.config.form == "neighbours":
            return super().score(state)
        lengths = np.maximum(np.diff(state.indptr), 1).astype(np.float32)
        return ((state @ self.vectors) / lengths[:, None]) @ self.vectors.T * self.popularity_factors

    @property
    def adds_up(self) -> bool:
        """See Recommender."""
        return self.config.form == "neighbours"

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """See Explains: the weight from the event's item to the listed item, or its term of the mean. [N, k]."""
        if self.config.form == "neighbours":
            return super().explain(histories, item_rows)
        fractions = histories.weights / np.diff(histories.starts)[histories.owners]
        event_vectors = self.vectors[histories.items] * fractions[:, None].astype(np.float32)
        products = event_products(event_vectors, histories.owners, item_rows, self.vectors)
        return products * self.popularity_factors[item_rows[histories.owners]]

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the vectors, or of the columns of `weights`. [n] -> [n, I]."""
        if self.config.form == "vectors":
            return cosines(self.vectors, item_rows)
        lengths = np.sqrt(np.asarray(self.weights.multiply(self.weights).sum(axis=0))).ravel()
        scaled = self.weights.T.tocsr()  # [I, I], row i: the neighbours of i
        scaled.data /= np.repeat(np.where(lengths > 0, lengths, 1), np.diff(scaled.indptr))
        cosine: FloatArray = (scaled[item_rows] @ scaled.T).toarray()
        return cosine.astype(np.float32)


def positive_pmi(counts: csr_array, shift: float, smoothing: float, shrinkage: float = 0.0) -> csr_array:
    """Shifted positive PMI of co-occurrence counts: M of the model. [I, I] -> [I, I]."""
    total = float(counts.sum(dtype=np.float64))
    n = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    context = np.where(n > 0, n, 1) ** smoothing * (n > 0)
    context *= total / context.sum()
    expected = n[rows_of(counts.indptr)] * context[counts.indices] / total
    data = np.maximum(np.log((counts.data + shrinkage) / (expected + shrinkage)) - np.log(shift), 0).astype(np.float32)
    matrix = csr_array((data, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    matrix.eliminate_zeros()
    return matrix


def leading_eigenvectors(matrix: csr_array, dim: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues of largest magnitude of a symmetric matrix [I, I], and eigenvectors: [dim], [I, dim].

    By subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4). Each eigenvector sums to 0 or more.
    """
    width = min(dim + OVERSAMPLING, matrix.shape[0])
    basis = rng.standard_normal((matrix.shape[0], width)).astype(np.float32)
    for _ in range(ITERATIONS):
        basis = np.linalg.qr(matrix @ basis)[0]
    values, rotation = np.linalg.eigh(basis.T @ (matrix @ basis))
    order = np.argsort(-np.abs(values), kind="stable")[:dim]
    axes = basis @ rotation[:, order]
    signs = np.where(axes.sum(axis=0) < 0, -1, 1)
    return values[order].astype(np.float32), (axes * signs).astype(np.float32)

"""PMI: items that meet more often than their popularity explains, as neighbours or factorised."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.config import Config, Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.cooccurrence.counts import PairWeight, count_pairs, require_pairs
from matinee.models.vectors import capped_dim, cosines, event_products
from matinee.nn.sparse_rows import entries_at, keep_top_k
from matinee.training.run import Run

BLOCK_ENTRIES = 2**23
"""Values held densely at once."""
OVERSAMPLING = 16
ITERATIONS = 6
"""Of subspace iteration: more directions than wanted, and passes until they stand."""


class PMIConfig(Config):
    """Settings of PMI."""

    form: Literal["neighbours", "vectors"] = "neighbours"
    """The matrix itself, the best of each column kept, or its factors."""
    neighbours: Annotated[PositiveInt, Search(10, 1000, log=True)] = 500
    """neighbours: items kept for each item."""
    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """vectors: their length."""
    eigenvalue_power: Annotated[NonNegativeFloat, Search(0, 1)] = 0.5
    """vectors: an axis is weighed by its eigenvalue to this power; 0.5 is the symmetric factorisation."""
    shift: Annotated[PositiveFloat, Search(0.1, 10, log=True)] = 1.0
    """What a pair must exceed chance by, as a factor, to count: the k of SGNS."""
    shrinkage: Annotated[NonNegativeFloat, Search(0.1, 100, log=True)] = 2.0
    """Added to a pair's count and to what chance would make it: mistrusts pairs that few people have."""
    smoothing: Annotated[float, Field(gt=0, le=1), Search(0.3, 1)] = 0.75
    """Items as context count n^smoothing: below 1 rare ones count for less."""
    pair_weight: PairWeight = "pair"
    """Whether each pair counts alike, or each person's pairs count as many as they have movies."""
    popularity_power: Annotated[NonNegativeFloat, Search(0, 1)] = 0.5
    """A scored item's association is multiplied by its events^popularity_power: PMI alone leans to the rare."""


class PMI(Recommender[csr_array]):
    """M_ij = max(0, log((C_ij + a) / (n_i m_j / N + a)) - log shift), m_j = n_j^smoothing scaled to sum to N = sum C.

    score = sum over the history's items j of M_ji n_i^popularity_power, over the `neighbours` best j of each i; or
    the mean of the vectors e_j of the history against e_i, M ~ V S Vᵀ and e = V |S|^power for the largest |S|.
    Source: Levy and Goldberg 2014, sections 3 and 4; Levy, Goldberg and Dagan 2015 for smoothing and eigenvalues.
    M is made symmetric (the mean with its transpose) before it is factorised. The shrinkage a and popularity_power
    are ours.
    """

    name = "pmi"
    Config = PMIConfig
    learned = ("weights", "vectors", "popularity")
    config: PMIConfig
    weights: (
        csr_array  # [I, I]: column i holds M_ji n_i^popularity_power of the neighbours; empty in the form of vectors
    )
    vectors: FloatArray  # [I, D], e; [I, 0] in the form of neighbours
    popularity: FloatArray  # [I], n^popularity_power

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where there are no pairs, or fewer items than dim."""
        config, n_items = self.config, train.n_items
        counts = count_pairs(train.matrix(), config.pair_weight)
        require_pairs(float(counts.sum()))
        matrix = positive_pmi(counts, config.shift, config.smoothing, config.shrinkage)
        popularity = train.popularity.astype(np.float32) ** np.float32(config.popularity_power)
        self.popularity = popularity
        self.vectors = np.zeros((n_items, 0), dtype=np.float32)
        if config.form == "vectors":
            values, axes = leading_axes((matrix + matrix.T).tocsr() / 2, capped_dim(self, n_items), run.rng)
            self.vectors = axes * np.abs(values) ** np.float32(config.eigenvalue_power)
            self.weights = matrix[:, :0] @ matrix[:0]  # empty
            return self
        by_target = matrix.T.tocsr()
        size = max(1, BLOCK_ENTRIES // n_items)
        kept: csr_array = vstack(
            [keep_top_k(by_target[start : start + size], config.neighbours) for start in range(0, n_items, size)],
            format="csr",
        )
        kept.data *= popularity[rows_of(kept.indptr)]
        self.weights = kept.T.tocsr()
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """The histories as a binary matrix. [B, I]."""
        return histories.matrix(self.weights.shape[0])

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        if self.config.form == "neighbours":
            scores: FloatArray = (state @ self.weights).toarray()
            return scores
        lengths = np.maximum(np.diff(state.indptr), 1).astype(np.float32)
        return ((state @ self.vectors) / lengths[:, None]) @ self.vectors.T * self.popularity

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """The weight from each event's item to each listed item, or its vector's term of the mean. [N, k]."""
        wanted = item_rows[histories.owners]  # [N, k]
        if self.config.form == "neighbours":
            sources = np.repeat(histories.items, item_rows.shape[1])
            return entries_at(self.weights, sources, wanted.ravel()).reshape(wanted.shape)
        shares = 1 / np.diff(histories.starts)[histories.owners]
        own = self.vectors[histories.items] * shares[:, None].astype(np.float32)
        return event_products(own, histories.owners, item_rows, self.vectors) * self.popularity[wanted]

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the vectors, or of the weighed columns of M: alike are those led to by the same. [n] -> [n, I]."""
        if self.config.form == "vectors":
            return cosines(self.vectors, item_rows)
        lengths = np.sqrt(np.asarray(self.weights.multiply(self.weights).sum(axis=0))).ravel()
        scaled = self.weights.T.tocsr()  # [I, I], row i what leads to i
        scaled.data /= np.repeat(np.where(lengths > 0, lengths, 1), np.diff(scaled.indptr))
        alike: FloatArray = (scaled[item_rows] @ scaled.T).toarray()
        return alike.astype(np.float32)


def positive_pmi(counts: csr_array, shift: float, smoothing: float, shrinkage: float = 0.0) -> csr_array:
    """The shifted positive PMI matrix of pair counts: M of the model. [I, I] -> [I, I]."""
    total = float(counts.sum(dtype=np.float64))
    n = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    context = np.where(n > 0, n, 1) ** smoothing * (n > 0)
    context *= total / context.sum()
    chance = n[rows_of(counts.indptr)] * context[counts.indices] / total
    data = np.maximum(np.log((counts.data + shrinkage) / (chance + shrinkage)) - np.log(shift), 0).astype(np.float32)
    matrix = csr_array((data, counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    matrix.eliminate_zeros()
    return matrix


def leading_axes(matrix: csr_array, dim: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """The eigenvalues largest in size of a symmetric matrix, and their vectors: [dim], [I, dim].

    By subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4); signs are fixed by each vector's sum.
    """
    width = min(dim + OVERSAMPLING, matrix.shape[0])
    basis = rng.standard_normal((matrix.shape[0], width)).astype(np.float32)
    for _ in range(ITERATIONS):
        basis = np.linalg.qr(matrix @ basis)[0]
    values, turned = np.linalg.eigh(basis.T @ (matrix @ basis))
    order = np.argsort(-np.abs(values), kind="stable")[:dim]
    axes = basis @ turned[:, order]
    signs = np.where(axes.sum(axis=0) < 0, -1, 1)
    return values[order].astype(np.float32), (axes * signs).astype(np.float32)

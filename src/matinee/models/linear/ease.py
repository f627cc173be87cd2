"""EASE: a linear autoencoder with a zero diagonal, in closed form (Steck 2019), and EDLAE (Steck 2020)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.linalg import blas, lapack
from scipy.sparse import csr_array, diags_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Config, Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData, last_of_each
from matinee.memory import require_memory
from matinee.models.base import FitsFromCounts, Recommender
from matinee.models.followers import DenseFollowers, EventBags
from matinee.models.item_strips import count_in_strips
from matinee.models.linear.gram import BLOCK_ROWS, GramStrips, Strip, gram_of, inverse_of, symmetrise
from matinee.models.needs import head_needs
from matinee.nn.row_sums import MANY_ROWS
from matinee.nn.sparse_rows import entries_at, product_in_columns
from matinee.training.run import Run

FEW_USERS = 0.7
"""Users per item below which the U x U system is cheaper."""


class EASEConfig(Config):
    """Settings of EASE."""

    l2: Annotated[PositiveFloat, Search(1, 1e4, log=True, first=True)] = 300.0
    """Ridge strength."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9)] = 0.0
    """EDLAE: probability that an input is dropped in training, averaged exactly over all outcomes; 0 is EASE."""
    weigh_training: bool = True
    """Whether events weigh by their value in training too; those of weights below 0 are then left out."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """Weight of a user's n events, n^-user_power each: 0 weighs events equally, 1 users equally."""
    item_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """Weight of an item with n events, n^-item_power as input and as target: above 0, popular items count less."""
    closeness: Annotated[float, Field(ge=0, lt=1), Search(0.3, 0.9)] = 0.0
    """Share with which a history counts as its windows of `span` events in a row, and not as a whole: above 0, items
    that people take soon after each other weigh more in each other's scores."""
    span: Annotated[PositiveInt, Field(ge=2, le=1000), Search(10, 60, log=True)] = 20
    """Events in a window."""


class EASE(Recommender[csr_array], FitsFromCounts[FloatArray]):
    """score = x B, where B minimises |X - X B|² + l2 |B|² with diag(B) = 0.

    G = XᵀX + l2 I; P = G⁻¹; B = I - P / diag(P) by column, which zeroes the diagonal. X is binary, or where a value map
    is not unary, holds the training events' weights above 0. Source: Steck 2019, eq. 8. Dropout p (EDLAE) adds p / (1 -
    p) · diag(XᵀX) to the diagonal of G: Steck 2020, "Autoencoders that don't overfit towards the Identity", section 3,
    with the diagonal of B kept zero.

    G is computed in float32 (exact below 2^24 users) and inverted in place by Cholesky, in I³ operations; with fewer
    users than items, P comes from a U x U system instead. Fold-in is the history itself, its events' weights as x:
    there is nothing to solve.

    With closeness c, XᵀX gives way to (1 - c) XᵀX + c/span · the sum of wᵀw over the windows w of `span` items in a row
    that slide over each history and past both its ends; the diagonal stays. Order counts in training alone.

    Differs from the paper: nothing. user_power, item_power and closeness, off by default, are additions.
    """

    name = "ease"
    memory_reason = "it keeps a weight for every pair of items"
    smaller_models = "sparse-ease, which keeps the strongest pairs alone, ials or lightgcn"
    Config = EASEConfig
    learned = ("weights",)
    item_arrays = (("weights", 1),)
    item_inputs = (("weights", 0),)
    uses_weights = True
    config: EASEConfig
    weights: FloatArray  # [I, I], B above

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError before it starts if the weights do not fit into memory."""
        self._require_memory(train, run.memory)
        matrix = self._scaled(train)  # [U, I]
        counts = np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float32)  # the diagonal of XᵀX
        added = self.config.l2 + self.config.dropout / (1 - self.config.dropout) * counts  # [I]
        gram = None if self._by_users(train) else self._gram(matrix, train)
        return self._solve(_inverse_of_few(matrix, added) if gram is None else inverse_of(gram, added, "ease"), train)

    def can_count(self, train: TrainingData) -> bool:
        """See FitsFromCounts. Not with item_power, for then an item's weight depends on all users."""
        return not self.config.item_power and not self._by_users(train)

    def strips(self, train: TrainingData) -> "GramStrips | WindowedGram":
        """See FitsFromSums: of the lower triangle of XᵀX."""
        matrix, config = self._scaled(train), self.config
        gram = GramStrips.of(matrix)
        return WindowedGram(gram, _windows(matrix, train, config.span), config.closeness) if config.closeness else gram

    def fit_counts(self, counts: FloatArray, train: TrainingData, run: Run) -> Self:
        """See FitsFromCounts."""
        self._require_memory(train, run.memory)
        added = self.config.l2 + self.config.dropout / (1 - self.config.dropout) * np.diag(counts)
        return self._solve(inverse_of(np.array(counts, order="F"), added.astype(np.float32), "ease"), train)

    def _solve(self, inverse: FloatArray, train: TrainingData) -> Self:
        """Set the weights from P."""
        self.weights = inverse
        scale = -1 / np.diag(self.weights)
        self.weights *= scale  # by column
        np.fill_diagonal(self.weights, 0)
        if self.config.item_power:
            self.weights *= _counts(train)[:, None] ** np.float32(-self.config.item_power)
        return self

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the weights, a block of rows and popular items or, with few users, their projections."""
        n_items, n_users = train.n_items, train.n_users
        beside = 4 * n_users * (n_users + n_items) if self._by_users(train) else head_needs(train)
        windows = 4 * n_items**2 if self.config.closeness else 0
        return 4 * n_items * (n_items + BLOCK_ROWS) + beside + windows

    def _require_memory(self, train: TrainingData, memory: int | None) -> None:
        what = f"EASE keeps {train.n_items:,} x {train.n_items:,} weights, 4 bytes each, and"
        fix = "filter items (--min-item-events), or use sparse-ease, which keeps the strongest alone"
        require_memory(self.least_memory(train), what, fix, memory)

    def fold_in(self, histories: Histories) -> csr_array:
        """The weights of the histories. [B, I]."""
        return histories.weighted_matrix(len(self.weights))

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        weights = self.weights
        if not weights.flags.c_contiguous and state.shape[0] < MANY_ROWS:  # a live one's: a product would copy all
            return _product_of_rows(state, weights)
        return product_in_columns(state, weights)

    @property
    def adds_up(self) -> bool:
        """See Recommender."""
        return True

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Weight from each event's item to each listed item, times the event's own. [N, k]."""
        return self.weights[histories.items[:, None], item_rows[histories.owners]] * histories.weights[:, None]

    def _scaled(self, train: TrainingData) -> csr_array:
        """The training matrix, scaled by user_power and item_power. [U, I]."""
        matrix = train.liked_matrix() if self.config.weigh_training else train.matrix()
        if self.config.user_power:
            lengths = np.maximum(np.diff(matrix.indptr), 1).astype(np.float32)
            matrix = (diags_array(lengths ** (-self.config.user_power / 2)) @ matrix).tocsr()
        if self.config.item_power:
            matrix = (matrix @ diags_array(_counts(train) ** np.float32(-self.config.item_power))).tocsr()
        return matrix

    def _by_users(self, train: TrainingData) -> bool:
        """Whether a system of users is cheaper: there are few, and each is one row."""
        return train.n_users < FEW_USERS * train.n_items and not self.config.closeness

    def _gram(self, matrix: csr_array, train: TrainingData) -> FloatArray:
        """Lower triangle of XᵀX, float32 in Fortran order, or with closeness what takes its place. [I, I]."""
        gram, config = gram_of(matrix), self.config
        if not config.closeness:
            return gram
        pairs = count_in_strips(_windows(matrix, train, config.span))[0]
        return _with_windows(gram, pairs, config.closeness)


@dataclass(frozen=True, slots=True, eq=False)
class WindowedGram:
    """XᵀX with a share of the windows' pairs, in strips: those of XᵀX, and of the pairs before they are added."""

    gram: GramStrips
    windows: DenseFollowers
    closeness: float

    @property
    def costs(self) -> FloatArray:
        """See ItemStrips."""
        return self.gram.costs + self.windows.costs

    def __call__(self, items: tuple[int, int]) -> tuple[Strip, FloatArray]:
        """See ItemStrips."""
        return self.gram(items), self.windows(items)

    def join(self, strips: Iterable[tuple[Strip, FloatArray]]) -> FloatArray:
        """See ItemStrips. [I, I]."""
        of_gram, of_windows = zip(*strips, strict=True)
        return _with_windows(self.gram.join(of_gram), self.windows.join(of_windows)[0], self.closeness)


def _with_windows(gram: FloatArray, pairs: FloatArray, closeness: float) -> FloatArray:
    """The lower triangle of XᵀX, in place, with a share of the pairs in windows. pairs: [I, I]."""
    share, diagonal = np.float32(closeness), np.diag(gram).copy()  # an item is in as many windows as events in each
    gram *= 1 - share
    gram += share * np.tril(pairs + pairs.T)
    np.fill_diagonal(gram, diagonal)
    return gram


def _windows(matrix: csr_array, train: TrainingData, span: int) -> DenseFollowers:
    """The share of the windows that hold an item i that also hold j later, summed over histories: [1, I, I] (i, j).

    An item counts where it is last in a history, by its entry of the matrix [U, I].
    """
    matrix.sort_indices()  # a product of sparse matrices leaves them in any order
    events = last_of_each(train.histories)
    taken = events.keep(entries_at(matrix, events.owners, events.items) != 0)
    weights = entries_at(matrix, taken.owners, taken.items)
    discounts = (1 - np.arange(1, span) / span).astype(np.float32)
    return DenseFollowers(EventBags.before(taken, train.n_items, weights), [discounts])


def _product_of_rows(state: csr_array, weights: FloatArray) -> FloatArray:
    """State @ weights, from the rows of the weights that the state has. [B, I]."""
    scores = np.zeros((state.shape[0], weights.shape[1]), dtype=np.float32)
    for row, (start, end) in enumerate(pairwise(state.indptr.tolist())):
        scores[row] = state.data[start:end] @ weights[state.indices[start:end]]
    return scores


def _counts(train: TrainingData) -> FloatArray:
    """Number of events of each item, at least 1. [I]."""
    return np.maximum(np.bincount(train.histories.items, minlength=train.n_items), 1).astype(np.float32)


def _inverse_of_few(matrix: csr_array, added: FloatArray) -> FloatArray:
    """(XᵀX + D)⁻¹ for fewer users than items: D⁻¹ - ZᵀZ with Z = L⁻¹ X D⁻¹ and L Lᵀ = I + X D⁻¹ Xᵀ. [I, I].

    The Woodbury identity: U I² operations in place of I³, without an inverse of an ill-conditioned matrix.
    """
    scaled = (matrix @ diags_array(1 / added)).tocsr()  # X D⁻¹
    small = (scaled @ matrix.T).toarray(order="F")  # [U, U]
    np.einsum("ii->i", small)[:] += 1
    factor, failed = lapack.spotrf(small, lower=1, clean=1, overwrite_a=1)
    if failed:
        raise MatineeError("ease: the system of users is not positive definite in float32; raise l2")
    projected = blas.strsm(1.0, factor, scaled.toarray(order="F"), lower=1, overwrite_b=1)  # Z [U, I]
    inverse = np.zeros((matrix.shape[1], matrix.shape[1]), dtype=np.float32, order="F")
    np.einsum("ii->i", inverse)[:] = 1 / added
    return symmetrise(blas.ssyrk(-1.0, projected, beta=1.0, c=inverse, trans=1, lower=1, overwrite_c=1))

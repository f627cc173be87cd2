"""EASE: a linear autoencoder with a zero diagonal, in closed form (Steck 2019), and EDLAE (Steck 2020)."""

from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveFloat
from scipy.linalg import blas, lapack
from scipy.sparse import csr_array, diags_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Config, Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.training.run import Run

BLOCK_ROWS = 1024
SPARSE_COST = 300.0
"""How many times longer a multiplication takes in a sparse product than in a dense one (measured: 200 to 400)."""
STRIP_BYTES = 4 * 2**20
"""Weights read at once while a batch is scored: the same sums, 2 to 4 times faster than over whole rows."""
BATCH = 32
"""Users from whom on it pays to copy strips."""
FEW_USERS = 0.7
"""Below this many users an item the system of users is the cheaper one."""


class EASEConfig(Config):
    """Settings of EASE."""

    l2: Annotated[PositiveFloat, Search(1, 1e4, log=True)] = 300.0
    """Ridge strength."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.9)] = 0.0
    """EDLAE: the chance that an input is dropped in training, all outcomes averaged exactly. 0 is EASE."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """A user's events count n^-user_power, n being how many they are: 0 all alike, 1 every user alike."""
    item_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.0
    """An item counts n^-item_power as input and as target, n being its events: above 0 popular items count less."""


class EASE(Recommender[csr_array]):
    """score = x B, where B minimises |X - X B|² + l2 |B|² with diag(B) = 0.

    G = XᵀX + l2 I; P = G⁻¹; B = I - P / diag(P) by column, which zeroes the diagonal.
    Source: Steck 2019, eq. 8. EDLAE adds dropout / (1 - dropout) · diag(XᵀX) to the diagonal of G:
    Steck 2020, "Autoencoders that don't overfit towards the Identity", section 3, with the diagonal kept zero.
    X is binary and all algebra in float32. With many users G is counted (exactly, below 2^24 of them) and inverted in
    place by Cholesky, I³ operations. With fewer users than items P comes from a U-by-U system instead.
    """

    name = "ease"
    Config = EASEConfig
    learned = ("weights",)
    config: EASEConfig
    weights: FloatArray  # [I, I], B above

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError before it starts if the catalogue is too large for memory."""
        _require_memory(train.n_items, run.memory)
        matrix = self._scaled(train)  # [U, I]
        counts = np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float32)  # the diagonal of XᵀX
        added = self.config.l2 + self.config.dropout / (1 - self.config.dropout) * counts  # [I]
        few_users = train.n_users < FEW_USERS * train.n_items
        self.weights = _inverse_of_few(matrix, added) if few_users else _inverse(_gram(matrix), added)  # P
        scale = -1 / np.diag(self.weights)
        self.weights *= scale  # by column
        np.fill_diagonal(self.weights, 0)
        if self.config.item_power:
            self.weights *= _counts(train)[:, None] ** np.float32(-self.config.item_power)
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """The histories as a binary matrix. [B, I]."""
        return histories.matrix(len(self.weights))

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender. For a batch the weights are taken in strips of columns that stay in a processor's cache."""
        n_items = len(self.weights)
        scores = np.empty((state.shape[0], n_items), dtype=np.float32)
        width = n_items if state.shape[0] < BATCH else max(16, STRIP_BYTES // (4 * n_items))
        for start in range(0, n_items, width):
            strip = slice(start, start + width)
            scores[:, strip] = state @ np.ascontiguousarray(self.weights[:, strip])
        return scores

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """The weight from each event's item to each listed item. [N, k]."""
        return self.weights[histories.items[:, None], item_rows[histories.owners]]

    def _scaled(self, train: TrainingData) -> csr_array:
        """The users-by-items matrix with users and items weighed down by how many events they have. [U, I]."""
        matrix = train.matrix()
        if self.config.user_power:
            lengths = np.maximum(np.diff(matrix.indptr), 1).astype(np.float32)
            matrix = (diags_array(lengths ** (-self.config.user_power / 2)) @ matrix).tocsr()
        if self.config.item_power:
            matrix = (matrix @ diags_array(_counts(train) ** np.float32(-self.config.item_power))).tocsr()
        return matrix


def _counts(train: TrainingData) -> FloatArray:
    """Events of each item, at least 1. [I]."""
    return np.maximum(np.bincount(train.histories.items, minlength=train.n_items), 1).astype(np.float32)


def _gram(matrix: csr_array) -> FloatArray:
    """XᵀX in float32, Fortran order, its lower triangle. [I, I].

    Dense blocks of users through BLAS, or sparse blocks of items where users have so little in common that
    counting pairs one by one costs less.
    """
    n_users, n_items = matrix.shape
    gram = np.zeros((n_items, n_items), dtype=np.float32, order="F")
    pairs = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    if pairs * SPARSE_COST < float(n_users) * n_items**2:
        by_item = matrix.T.tocsr()
        for start in range(0, n_items, BLOCK_ROWS):
            gram[start : start + BLOCK_ROWS] = (by_item[start : start + BLOCK_ROWS] @ matrix).toarray()
        return gram
    for start in range(0, n_users, BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS].toarray()  # [b, I]
        gram = blas.ssyrk(1.0, block.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def _inverse(gram: FloatArray, added: FloatArray) -> FloatArray:
    """(G + diag(added))⁻¹ in the memory of G, which is given by its lower triangle (Fortran order). [I, I]."""
    diagonal = np.einsum("ii->i", gram)
    diagonal += added
    factor, failed = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
    if not failed:
        factor, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise MatineeError("ease: the Gram matrix is not positive definite in float32; raise l2")
    return _mirrored(factor)


def _inverse_of_few(matrix: csr_array, added: FloatArray) -> FloatArray:
    """(XᵀX + D)⁻¹ for fewer users than items: D⁻¹ - ZᵀZ with Z = L⁻¹ X D⁻¹ and L Lᵀ = I + X D⁻¹ Xᵀ. [I, I].

    The Woodbury identity: U I² operations in place of I³, and no inverse that loses digits.
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
    return _mirrored(blas.ssyrk(-1.0, projected, beta=1.0, c=inverse, trans=1, lower=1, overwrite_c=1))


def _mirrored(lower: FloatArray) -> FloatArray:
    """A symmetric matrix from its lower triangle in Fortran order, in its own memory, in C order."""
    whole: FloatArray = lower.T  # its upper triangle is valid
    for start in range(0, len(whole), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        whole[stop:, start:stop] = whole[start:stop, stop:].T
        square = whole[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
    return whole


def _require_memory(n_items: int, memory: int | None) -> None:
    needed = int(4.2 * n_items**2) + BLOCK_ROWS * n_items * 4
    available = memory if memory is not None else _available_memory()
    if available is not None and needed > available:
        raise MatineeError(
            f"ease needs {needed / 2**30:.1f} GB for {n_items:,} items and {available / 2**30:.1f} GB are free; "
            "use item-knn, which stays sparse, or fewer items (--min-item-events)"
        )


def _available_memory() -> int | None:
    """Bytes that can be had without swapping, None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)

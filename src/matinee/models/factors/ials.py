"""iALS: matrix factorisation of who has what, every missing pair counting a little (Hu, Koren and Volinsky 2008)."""

from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.factors.least_squares import columns_of_blocks, explained, solve, with_zeros
from matinee.models.vectors import capped_dim
from matinee.training.configs import EpochsConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run

BLOCK_VALUES = 2**19
"""Values of item vectors gathered at once: 2 MB, so that they stay in the cache over the steps of a solve."""


class IALSConfig(EpochsConfig):
    """Settings of IALS."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 128
    """Length of the vectors."""
    epochs: Annotated[PositiveInt, Search(4, 32)] = 16
    """Passes; each moves all users, then all items."""
    unobserved: Annotated[PositiveFloat, Search(0.05, 1, log=True)] = 0.3
    """Weight of every pair, watched or not, towards 0; a watched pair adds weight 1 towards 1."""
    l2: Annotated[PositiveFloat, Search(1e-3, 0.05, log=True)] = 0.01
    """Ridge strength, before it is scaled by how often a row occurs."""
    l2_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 1.0
    """A row's ridge grows with (its events + unobserved · rows of the other side)^l2_power. 0: all alike."""
    steps: Annotated[PositiveInt, Search(1, 6)] = 2
    """Conjugate gradient steps of each half pass; they start from where the last pass ended."""
    spread: PositiveFloat = 0.1
    """Standard deviation of a first vector's length: entries are drawn with spread / sqrt(dim)."""


class IALS(Recommender[FloatArray]):
    """score(u, i) = w_u · h_i, where W and H minimise the weighted squares of what is missed.

    sum over watched (w_u·h_i - 1)² + a sum over all (w_u·h_i)² + l2 (sum_u (n_u + a I)^p |w_u|² + sum_i (n_i + a U)^p
    |h_i|²), a = unobserved and p = l2_power.

    Source: Hu, Koren and Volinsky 2008, with the parametrisation and scaled ridge of Rendle, Krichene, Zhang and Koren
    2022, eq. 3 to 5. The half passes are not solved exactly but by conjugate gradients (Takács, Pilászy and Tikk 2011),
    preconditioned in the principal axes of the other side, where a system of average entries is diagonal but for gram.
    Fold-in is the exact half step: no approximation, and the same for people never trained on.
    """

    name = "ials"
    Config = IALSConfig
    learned = ("items",)
    config: IALSConfig
    items: FloatArray  # [I, D], H

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        train_epochs(self, _Passes(self.config, capped_dim(self, train.n_items), train, run), train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The vectors that minimise the objective with the items fixed, exactly. [B, D]."""
        matrix = histories.matrix(len(self.items))
        return solve(matrix, self.items, self.config.unobserved, self._ridge_of(matrix))

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores: FloatArray = state @ self.items.T
        return scores

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return self.items

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """h_i · A_u⁻¹ h_j for each event's item j and listed item i, A_u the system of u. [N, k].

        Source: Hu et al. 2008, eq. 7. An item that is in a history twice counts once, in each of its events by half.
        """
        ridge = self._ridge_of(histories.matrix(len(self.items)))
        return explained(histories, self.items, self.config.unobserved, ridge, self.items[item_rows])

    def _ridge_of(self, matrix: csr_array) -> FloatArray:
        return _ridge(self.config, np.diff(matrix.indptr), len(self.items))


class _Passes:
    """The Trainer of IALS: an epoch moves all users, then all items."""

    def __init__(self, config: IALSConfig, dim: int, train: TrainingData, run: Run) -> None:
        self.config = config
        matrix = train.matrix()  # [U, I]
        self.by_user, self.by_item = _Side(matrix, dim), _Side(matrix.T.tocsr(), dim)
        deviation = config.spread / np.sqrt(dim)
        self.items = run.rng.normal(0, deviation, (train.n_items, dim)).astype(np.float32)
        self.items[self.by_item.counts == 0] = 0  # no entry ever moves them
        self.users = np.zeros((train.n_users, dim), dtype=np.float32)

    def epoch(self, rate: float) -> dict[str, float]:
        """See Trainer. The loss is the objective for each watched pair."""
        self.users, self.items, _ = self._half_pass(self.by_user, self.items, self.users)
        self.items, self.users, loss = self._half_pass(self.by_item, self.users, self.items)
        ridge = _ridge(self.config, self.by_user.counts, len(self.items))
        loss += float(ridge @ np.einsum("ud,ud->u", self.users, self.users))
        return {"loss": 1 + loss / max(float(self.by_user.counts.sum(dtype=np.float64)), 1)}

    def state(self) -> dict[str, FloatArray]:
        """See Trainer."""
        return {"users": self.users.copy(), "items": self.items.copy()}

    def restore(self, state: Mapping[str, FloatArray]) -> None:
        """See Trainer."""
        self.users, self.items = state["users"].copy(), state["items"].copy()

    def learned(self) -> dict[str, FloatArray]:
        """See Trainer."""
        return {"items": self.items.copy()}

    def _half_pass(self, side: "_Side", fixed: FloatArray, moving: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Move one side towards the solution for the other. fixed [C, D], moving [R, D].

        Returns the moved side and the fixed one, both turned into the principal axes of the fixed one, which leaves
        scores as they are; and the objective less one for each entry and the ridge of the fixed side.
        """
        # the axes of what a row sees on average: its system is unobserved · gram + the sum over its entries
        lengths, axes = np.linalg.eigh((fixed * side.popularity[:, None]).T @ fixed)
        fixed, moving = fixed @ axes, moving @ axes
        gram = np.float32(self.config.unobserved) * (fixed.T @ fixed)
        ridge = _ridge(self.config, side.counts, len(fixed))
        # each system's diagonal, as if its n entries were average ones: in these axes, n times the axes' lengths
        scale = 1 / (side.counts[:, None] * np.maximum(lengths, 0) + np.diag(gram) + ridge[:, None])  # [R, D]
        padded, loss = with_zeros(fixed), 0.0
        for rows, columns in side.blocks:
            gathered = side.room[: columns.size * fixed.shape[1]].reshape(*columns.shape, -1)  # [b, L, D]
            np.take(padded, columns, axis=0, out=gathered, mode="clip")  # any other mode copies once more
            system = gathered, gram, ridge[rows, None]
            moving[rows], missed = _descend(system, scale[rows], moving[rows], self.config.steps)
            loss += missed
        return moving, fixed, loss


class _Side:
    """One side's entries, arranged once: what its half passes need that does not change. matrix [R, C]."""

    def __init__(self, matrix: csr_array, dim: int) -> None:
        self.counts = np.diff(matrix.indptr).astype(np.float32)  # [R]
        self.popularity = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32)  # [C]
        self.popularity /= max(matrix.nnz, 1)
        self.blocks = list(columns_of_blocks(matrix, BLOCK_VALUES // dim))
        self.room = np.empty(max((columns.size for _, columns in self.blocks), default=0) * dim, dtype=np.float32)


def _descend(
    system: tuple[FloatArray, FloatArray, FloatArray], scale: FloatArray, start: FloatArray, steps: int
) -> tuple[FloatArray, float]:
    """Preconditioned conjugate gradient steps on b systems (gathered gatheredᵀ + gram + ridge) w = r, at once.

    system: gathered [b, L, D], gram [D, D], ridge [b, 1]; r is the sum of gathered over L. scale [b, D] are the inverse
    diagonals or near them, start [b, D].

    Returns the solutions [b, D], and the sum of their w·Aw - 2 w·r.
    """
    gathered, gram, ridge = system

    def seen(vectors: FloatArray) -> FloatArray:
        found: FloatArray = np.matmul(gathered, vectors[:, :, None])
        return found[:, :, 0]  # [b, L]

    def pulled(values: FloatArray, vectors: FloatArray) -> FloatArray:
        """What the entries pull at by some values [b, L], less the pull of gram and ridge. [b, D]."""
        product: FloatArray = np.matmul(values[:, None, :], gathered)[:, 0]
        product -= vectors @ gram
        product -= ridge * vectors
        return product

    solution, scores = start.copy(), seen(start)
    residual = pulled(1 - scores, solution)
    reached = float(scores.sum(dtype=np.float64))  # w·r: what the entries' scores sum to
    reranked = scale * residual
    direction, size = reranked, np.einsum("bd,bd->b", residual, reranked)
    for step in range(steps):
        scores = seen(direction)
        pushed = pulled(-scores, direction)  # -A direction
        length = size / np.maximum(-np.einsum("bd,bd->b", direction, pushed), 1e-20)
        reached += float(length @ scores.sum(axis=1))
        solution += length[:, None] * direction
        residual += length[:, None] * pushed
        if step + 1 == steps:
            break
        reranked = scale * residual
        fresh = np.einsum("bd,bd->b", residual, reranked)
        direction = reranked + (fresh / np.maximum(size, 1e-20))[:, None] * direction
        size = fresh
    return solution, -reached - float(np.einsum("bd,bd->", solution, residual))


def _ridge(config: IALSConfig, counts: IntArray | FloatArray, n_other: int) -> FloatArray:
    """The ridge of each row of one side. counts [R] -> [R]."""
    ridge: FloatArray = config.l2 * (counts + config.unobserved * n_other) ** config.l2_power
    return ridge.astype(np.float32)

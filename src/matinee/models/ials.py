"""iALS: matrix factorisation of who has what, every missing pair counting a little (Hu, Koren and Volinsky 2008)."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, gather
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender, Run
from matinee.models.half_steps import blocks, solve, systems
from matinee.models.vectors import fitting_dim
from matinee.training import EpochsConfig, train_epochs

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
    preconditioned by the diagonal of each system in the principal axes of the other side, where it is nearly diagonal.
    Fold-in is the exact half step: no approximation, and the same for people never trained on.
    """

    name = "ials"
    Config = IALSConfig
    learned = ("items",)
    config: IALSConfig
    items: FloatArray  # [I, D], H

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        train_epochs(self, _Passes(self.config, fitting_dim(self, train.n_items), train, run), train, run)
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
        matrix = histories.matrix(len(self.items))
        parts = np.zeros((matrix.nnz, item_rows.shape[1]), dtype=np.float32)
        ridge = self._ridge_of(matrix)
        for rows, lefts, gathered in systems(matrix, self.items, self.config.unobserved, ridge):
            listed = self.items[item_rows[rows]]  # [b, k, D]
            weighed: NDArray[Any] = np.linalg.solve(lefts, listed.transpose(0, 2, 1))  # [b, D, k]
            starts, places = gather(matrix.indptr, rows)
            filled = np.arange(gathered.shape[1]) < np.diff(starts)[:, None]
            pulls = gathered @ weighed  # [b, L, k]
            parts[places] = pulls[filled]
        keys = histories.owners * len(self.items) + histories.items
        owners = np.repeat(np.arange(len(histories)), np.diff(matrix.indptr))
        found = np.searchsorted(owners * len(self.items) + matrix.indices, keys)
        repeats = np.bincount(found, minlength=matrix.nnz)
        return np.asarray(parts[found] / repeats[found, None], dtype=np.float32)

    def _ridge_of(self, matrix: csr_array) -> FloatArray:
        return _ridge(self.config, np.diff(matrix.indptr), len(self.items))


class _Passes:
    """The Trainer of IALS: an epoch moves all users, then all items."""

    def __init__(self, config: IALSConfig, dim: int, train: TrainingData, run: Run) -> None:
        self.config = config
        self.by_user = train.matrix()  # [U, I]
        self.by_item = self.by_user.T.tocsr()
        deviation = config.spread / np.sqrt(dim)
        self.items = run.rng.normal(0, deviation, (train.n_items, dim)).astype(np.float32)
        self.users = np.zeros((train.n_users, dim), dtype=np.float32)

    def epoch(self, rate: float) -> dict[str, float]:
        """See Trainer. The loss is the objective for each watched pair."""
        self.users, self.items, _ = self._half_pass(self.by_user, self.items, self.users)
        self.items, self.users, loss = self._half_pass(self.by_item, self.users, self.items)
        ridge = _ridge(self.config, np.diff(self.by_user.indptr), len(self.items))
        loss += float(ridge @ np.einsum("ud,ud->u", self.users, self.users))
        return {"loss": 1 + loss / max(self.by_user.nnz, 1)}

    def state(self) -> dict[str, FloatArray]:
        """See Trainer."""
        return {"users": self.users.copy(), "items": self.items.copy()}

    def restore(self, state: Mapping[str, FloatArray]) -> None:
        """See Trainer."""
        self.users, self.items = state["users"].copy(), state["items"].copy()

    def learned(self) -> dict[str, FloatArray]:
        """See Trainer."""
        return {"items": self.items.copy()}

    def _half_pass(
        self, matrix: csr_array, fixed: FloatArray, moving: FloatArray
    ) -> tuple[FloatArray, FloatArray, float]:
        """Move one side towards the solution for the other. matrix [R, C], fixed [C, D], moving [R, D].

        Returns the moved side and the fixed one, both turned into the principal axes of the fixed one, which leaves
        scores as they are; and the objective less one for each entry and the ridge of the fixed side.
        """
        counts = np.diff(matrix.indptr)
        popularity = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32)
        # the axes of what a row sees on average: its system is alpha · gram + the sum over its entries
        typical = (fixed * (popularity / max(matrix.nnz, 1))[:, None]).T @ fixed
        _, axes = np.linalg.eigh(typical)
        fixed, moving = fixed @ axes, moving @ axes
        gram = np.float32(self.config.unobserved) * (fixed.T @ fixed)
        ridge = _ridge(self.config, counts, len(fixed))
        wanted = matrix @ fixed  # [R, D], right sides
        scale = 1 / (matrix @ (fixed * fixed) + np.diag(gram) + ridge[:, None])  # [R, D], inverse diagonals
        loss = 0.0
        for rows, gathered in blocks(matrix, fixed, BLOCK_VALUES):
            system = gathered, gram, ridge[rows, None]
            moving[rows], missed = self._descend(system, wanted[rows], scale[rows], moving[rows])
            loss += missed
        return moving, fixed, loss

    def _descend(
        self, system: tuple[FloatArray, ...], wanted: FloatArray, scale: FloatArray, start: FloatArray
    ) -> tuple[FloatArray, float]:
        """Preconditioned conjugate gradient steps on b systems at once: gathered [b, L, D], gram [D, D], ridge [b, 1].

        wanted [b, D] are their right sides, scale [b, D] the inverse diagonals, start [b, D].

        Returns the solutions [b, D], and the sum of their w·Aw - 2 w·r for systems A w = r.
        """
        gathered, gram, ridge = system

        def apply(vectors: FloatArray) -> FloatArray:
            seen = np.matmul(gathered, vectors[:, :, None])  # [b, L, 1]
            product: FloatArray = np.matmul(seen.transpose(0, 2, 1), gathered)[:, 0]
            product += vectors @ gram
            product += ridge * vectors
            return product

        solution = start.copy()
        residual = wanted - apply(solution)
        steered = scale * residual
        direction = steered
        size = np.einsum("bd,bd->b", residual, steered)
        for step in range(self.config.steps):
            pushed = apply(direction)
            length = (size / np.maximum(np.einsum("bd,bd->b", direction, pushed), 1e-20))[:, None]
            solution += length * direction
            residual -= length * pushed
            if step + 1 == self.config.steps:
                break
            steered = scale * residual
            fresh = np.einsum("bd,bd->b", residual, steered)
            direction = steered + (fresh / np.maximum(size, 1e-20))[:, None] * direction
            size = fresh
        return solution, -float(np.einsum("bd,bd->", solution, wanted + residual))


def _ridge(config: IALSConfig, counts: IntArray, n_other: int) -> FloatArray:
    """The ridge of each row of one side. counts [R] -> [R]."""
    ridge: FloatArray = config.l2 * (counts + config.unobserved * n_other) ** config.l2_power
    return ridge.astype(np.float32)

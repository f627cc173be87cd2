"""iALS: weighted matrix factorisation of a binary matrix by alternating least squares (Hu, Koren and Volinsky 2008)."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, count_rows
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.mapped import empty
from matinee.models.base import Recommender, StartArrays
from matinee.models.derived import derived
from matinee.models.factors.least_squares import (
    FixedSide,
    append_zero_row,
    explain_solve,
    padded_columns,
    padded_entries,
    similar_rows,
    solve,
    solve_without_each,
    targets_without_each,
)
from matinee.models.needs import matrix_needs
from matinee.models.vectors import capped_dim
from matinee.scale.runner import Runner
from matinee.training.configs import EpochsConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run
from matinee.training.threads import BlockThreads

SPARSE = 0.01
"""Share of all pairs that are events below which a log is sparse."""
SPARSE_UNOBSERVED, SPARSE_L2 = 5.0, 0.05
"""Of a sparse log: `unobserved` as a multiple of that share, and `l2`; measured in benchmarks/defaults.json."""
PARTS = 4
"""Parts of a half-step for each worker: the last to end keeps the others waiting for a short one."""
BLOCK_VALUES = 2**19
"""Number of item-vector values gathered at once: 2 MB, which stay in the cache over the steps of a solve."""


class IALSConfig(EpochsConfig):
    """Settings of iALS."""

    dim: Annotated[PositiveInt, Search(16, 256, log=True, first=True)] = 128
    """Embedding size."""
    epochs: Annotated[PositiveInt, Search(4, 32)] = 8
    """Epochs; each updates all users, then all items."""
    unobserved: Annotated[PositiveFloat, Search(0.01, 1, log=True, first=True)] = 0.3
    """Weight of every pair towards 0, observed or not; an observed pair adds weight 1 towards 1. On a sparse log less
    by default, see `defaults_for`."""
    l2: Annotated[PositiveFloat, Search(1e-3, 0.05, log=True, first=True)] = 0.01
    """Ridge strength, before it is scaled by frequency. On a sparse log more by default, see `defaults_for`."""
    l2_power: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 1.0
    """A row's ridge grows with (its events + unobserved · rows of the other side)^l2_power; 0 is constant."""
    weigh_training: bool = True
    """Whether events weigh by their value in training too; those of weights below 0 are then left out."""
    steps: Annotated[PositiveInt, Search(1, 6)] = 2
    """Conjugate gradient steps of each half-step, starting from the previous epoch's solution."""
    relaxation: Annotated[float, Field(gt=0, lt=2)] = 1.5
    """Over-relaxation: a half-step moves a row so many times as far as its conjugate gradients lead."""
    initial_std: PositiveFloat = 0.1
    """Standard deviation of initial scores' factors: entries are drawn from N(0, initial_std² / dim)."""


class IALS(Recommender[FloatArray]):
    """score(u, i) = w_u · h_i, where W and H minimise a weighted squared error over all pairs.

    Σ over observed (w_u·h_i - 1)² + a Σ over all (w_u·h_i)² + l2 (Σ_u (n_u + a I)^p |w_u|² + Σ_i (n_i + a U)^p |h_i|²),
    a = unobserved, p = l2_power, n the number of events of a user or an item.
    Source: Hu, Koren and Volinsky 2008, eq. 3 to 5; this parametrisation and the scaled ridge: Rendle, Krichene, Zhang
    and Koren 2022, eq. 3 to 5.

    Fold-in: the exact half-step for a user, the same for visitors and for users of the training data. An event of
    weight w adds |w| (w_u·h_i - sign w)²: the confidence of Hu et al., and a preference of -1 where a user dislikes an
    item.

    Differs from the paper: half-steps in training take a few conjugate gradient steps (Takács, Pilászy and Tikk 2011),
    preconditioned in the principal axes of the other side, in place of exact solves, and go `relaxation` times as far
    (successive over-relaxation, Young 1954: each still lowers the objective, which is quadratic in one side, for any
    factor below 2, and half of the epochs reach the same); a repeated event counts once, with
    no confidence that grows with the count. By default the ridge is scaled by frequency (Rendle et al. 2022), and
    unobserved = 0.3, which is Hu's alpha = 1 / 0.3; configs/paper/ials.toml has Hu's alpha = 40 and constant ridge.
    """

    name = "ials"
    Config = IALSConfig
    learned = ("items",)
    item_arrays = (("items", 0),)
    uses_weights = True
    start_arrays: ClassVar[StartArrays] = {
        "items": ("items", "items"),
    }
    config: IALSConfig
    items: FloatArray  # [I, D], H

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: on a sparse log, a weight of unobserved pairs in proportion to the share d of events.

        A vector stays 0 where the ridge is above the largest singular value of the matrix that is left after both sides
        are scaled by their n + unobserved · rows, about d / (d + unobserved). With unobserved = 0.3 that happens at a
        few events of a user among thousands of items.
        """
        share = len(train.histories.items) / max(1, train.n_users * train.n_items)
        if not 0 < share < SPARSE:
            return {}
        return {"unobserved": float(f"{SPARSE_UNOBSERVED * share:.3g}"), "l2": SPARSE_L2}

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, its transpose, the blocks of both sides, vectors before and after a step."""
        return matrix_needs(train, 4, filed=3) + 24 * self.config.dim * (train.n_items + train.n_users)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        train_epochs(self, _HalfSteps(self.config, capped_dim(self, train.n_items), train, run), train, run)
        return self

    def fit_by_blocks(self, train: TrainingData, run: Run, runner: Runner) -> Self:
        """See FitsByBlocks: each half-step by blocks of users, or of items, bit for bit as `fit`."""
        steps = _HalfSteps(self.config, capped_dim(self, train.n_items), train, run, runner)
        train_epochs(self, steps, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """User vectors that minimise the objective with the items fixed, exactly. [B, D]."""
        matrix = histories.weighted_matrix(len(self.items))
        return solve(matrix, self._float32_side, self._ridge(np.diff(matrix.indptr)))

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
        """x_j h_i · A_u⁻¹ h_j for each event's item j and listed item i, A_u the normal matrix of user u. [N, k].

        Source: Hu et al. 2008, eq. 7. The contribution of an item that is in a history twice is split over its events.
        """
        return explain_solve(histories, self._side, self._ridge(self._sizes(histories)), self.items[item_rows])

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray:
        """See ScoresWithoutEach."""
        ridge = self._ridge(np.maximum(histories.lengths - 1, 0))
        return targets_without_each(histories, events, self._side, ridge, self.items[item_rows])

    def vectors_without_each(self, histories: Histories, events: IntArray) -> FloatArray:
        """See VectorsWithoutEach."""
        ridge = self._ridge(np.maximum(histories.lengths - 1, 0))
        return solve_without_each(histories, events, self._side, ridge).astype(np.float32)

    @derived("items")
    def _side(self) -> FixedSide:
        return FixedSide.of(self.items.astype(np.float64), self.config.unobserved)

    @derived("items")
    def _float32_side(self) -> FixedSide:
        return self._side.for_float32()

    def _sizes(self, histories: Histories) -> IntArray:
        """Number of different items of each history. [B]."""
        return np.diff(histories.matrix(len(self.items)).indptr)

    def _ridge(self, counts: IntArray) -> FloatArray:
        """Of users with so many items. [B]."""
        return _ridge(self.config, counts, len(self.items))


class _HalfSteps:
    """The Trainer of iALS: an epoch updates all users, then all items."""

    def __init__(
        self, config: IALSConfig, dim: int, train: TrainingData, run: Run, runner: Runner | None = None
    ) -> None:
        """runner: whose workers update the blocks; None: threads of this process."""
        self.config, self._runner = config, runner
        matrix = train.liked_matrix() if config.weigh_training else train.matrix()  # [U, I]
        self.total_weight = float(matrix.data.sum(dtype=np.float64))
        self.threads = BlockThreads()
        self.by_user, self.by_item = _Side(matrix, dim), _Side(matrix.T.tocsr(), dim)
        deviation = config.initial_std / np.sqrt(dim)
        self.items = run.rng.normal(0, deviation, (train.n_items, dim)).astype(np.float32)
        self.items[self.by_item.counts == 0] = 0  # no event ever updates them
        self.users = np.zeros((train.n_users, dim), dtype=np.float32)

    def epoch(self, rate: float) -> dict[str, float]:
        """See Trainer. The loss is the objective divided by the weight of the observed pairs, their number if unary."""
        self.users, self.items, _ = self._half_step(self.by_user, self.items, self.users)
        self.items, self.users, loss = self._half_step(self.by_item, self.users, self.items)
        ridge = _ridge(self.config, self.by_user.counts, len(self.items))
        loss += float(ridge @ np.einsum("ud,ud->u", self.users, self.users))
        return {"loss": 1 + loss / max(self.total_weight, 1)}

    def state(self) -> dict[str, FloatArray]:
        """See Trainer."""
        return {"users": self.users.copy(), "items": self.items.copy()}

    def restore(self, state: Mapping[str, FloatArray]) -> None:
        """See Trainer."""
        self.users, self.items = state["users"].copy(), state["items"].copy()

    def learned(self) -> dict[str, FloatArray]:
        """See Trainer."""
        return {"items": self.items.copy()}

    def _half_step(self, side: "_Side", fixed: FloatArray, moving: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Move one side towards its least-squares solution given the other. fixed [C, D], moving [R, D].

        Returns the moving and the fixed side, both rotated into the principal axes of the fixed one, which leaves all
        scores unchanged; and the objective without its constant and the ridge of the fixed side.
        """
        # axes of the mean of an entry's outer product: a row's system is gram + ridge + the sum over its entries
        variances, axes = np.linalg.eigh((fixed * side.popularity[:, None]).T @ fixed)
        fixed, moving = fixed @ axes, moving @ axes
        gram = np.float32(self.config.unobserved) * (fixed.T @ fixed)
        ridge = _ridge(self.config, side.counts, len(fixed))
        # diagonal of each system if its n entries were average: in these axes, n times the variances
        scale = 1 / (side.counts[:, None] * np.maximum(variances, 0) + np.diag(gram) + ridge[:, None])  # [R, D]
        relaxation = self.config.relaxation if moving.any() else 1.0  # a first solution has nothing to go beyond
        step = _HalfStep(side, append_zero_row(fixed), moving, gram, ridge, scale, self.config.steps, relaxation)
        if self._runner is not None:
            return moving, fixed, _by_workers(step, self._runner)

        def update(block: _Block) -> float:
            moving[block.rows], loss = step.update(block)
            return loss

        return moving, fixed, sum(self.threads.map(update, side.blocks))


class _Block(NamedTuple):
    """Rows of one side that are updated at once. rows [b]; columns [b, L], padded; weights [b, L], None: all 1."""

    rows: IntArray
    columns: IntArray
    weights: FloatArray | None


@dataclass(frozen=True, slots=True, eq=False)
class _HalfStep:
    """One half-step, and the job of a runner: from a range of blocks to their rows of the moving side.

    side: that moves; padded: the fixed side and a row of zeros, [C + 1, D]; moving: [R, D], before the step; gram:
    [D, D], weighted; ridge: [R]; scale: [R, D], of the preconditioner.
    """

    side: "_Side"
    padded: FloatArray
    moving: FloatArray
    gram: FloatArray
    ridge: FloatArray
    scale: FloatArray
    steps: int
    relaxation: float

    def update(self, block: _Block) -> tuple[FloatArray, float]:
        """The solutions of a block, [b, D], and their part of the loss."""
        gathered = self.side.gather(self.padded, block.columns)  # [b, L, D]
        system = gathered, block.weights, self.gram, self.ridge[block.rows, None]
        start, scale = self.moving[block.rows], self.scale[block.rows]
        return _conjugate_gradients(system, scale, start, self.steps, self.relaxation)

    def __call__(self, blocks: tuple[int, int]) -> list[tuple[FloatArray, float]]:
        """As `update`, of each block from the first to one before the last."""
        return [self.update(block) for block in self.side.blocks[slice(*blocks)]]


def _by_workers(step: _HalfStep, runner: Runner) -> float:
    """Run a half-step by a runner's workers; the solutions go to its `moving`. Returns the loss."""
    blocks = step.side.blocks
    bounds = np.linspace(0, len(blocks), min(len(blocks), PARTS * runner.workers) + 1).astype(int).tolist()
    ranges = list(pairwise(bounds))
    losses = []
    for (first, last), solved in zip(ranges, runner.map(step, ranges), strict=True):
        for block, (rows, loss) in zip(blocks[first:last], solved, strict=True):
            step.moving[block.rows] = rows
            losses.append(loss)
    return sum(losses)


class _Side:
    """What the half-steps of one side reuse in every epoch. matrix [R, C]."""

    def __init__(self, matrix: csr_array, dim: int) -> None:
        self.counts = np.diff(matrix.indptr).astype(np.float32)  # [R]
        self.popularity = count_rows(matrix.indices, matrix.shape[1]).astype(np.float32)  # [C]
        self.popularity /= max(matrix.nnz, 1)
        self.blocks = _blocks(matrix, BLOCK_VALUES // dim)
        self._size = max((block.columns.size for block in self.blocks), default=0) * dim
        self._of_thread = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_of_thread"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._of_thread = threading.local()

    def gather(self, padded: FloatArray, columns: IntArray) -> FloatArray:
        """The vectors of the columns [b, L] in the buffer of this thread, until it gathers the next. [b, L, D]."""
        if not hasattr(self._of_thread, "buffer"):
            self._of_thread.buffer = np.empty(self._size, dtype=np.float32)
        gathered: FloatArray = self._of_thread.buffer[: columns.size * padded.shape[1]].reshape(*columns.shape, -1)
        np.take(padded, columns, axis=0, out=gathered, mode="clip")  # other modes make a copy
        return gathered


def _blocks(matrix: csr_array, cells: int) -> list[_Block]:
    """Blocks of about so many cells, views of two columns as long as a log."""
    lengths, is_binary = np.diff(matrix.indptr), bool((matrix.data == 1).all())
    rows_of_blocks = list(similar_rows(lengths, cells))
    n_cells = sum(len(rows) * int(lengths[rows[-1]]) for rows in rows_of_blocks)
    columns, weights = empty(n_cells, np.int32), None if is_binary else empty(n_cells, np.float32)
    found, start = [], 0
    for rows in rows_of_blocks:
        shape = len(rows), int(lengths[rows[-1]])
        stop = start + shape[0] * shape[1]
        own = columns[start:stop].reshape(shape)
        own[:] = padded_columns(matrix, rows)
        weighed = None if weights is None else weights[start:stop].reshape(shape)
        if weighed is not None:
            weighed[:] = padded_entries(matrix, rows, shape[1])
        found.append(_Block(rows, own, weighed))
        start = stop
    return found


def _conjugate_gradients(
    system: tuple[FloatArray, FloatArray | None, FloatArray, FloatArray],
    scale: FloatArray,
    start: FloatArray,
    steps: int,
    relaxation: float,
) -> tuple[FloatArray, float]:
    """Preconditioned conjugate gradient steps on b systems A v = r, A = gatheredᵀ diag(w) gathered + gram + ridge I.

    system: gathered [b, L, D], weights w [b, L] (None: 1), gram [D, D], ridge [b, 1]; r = gatheredᵀ w. scale [b, D] is
    about the inverse diagonal of A; start [b, D]. relaxation: how many times as far as the steps lead a row moves.
    Returns the solutions [b, D], and the sum over them of v·Av - 2 v·r.
    """
    gathered, weights, gram, ridge = system

    def scores_of(vectors: FloatArray) -> FloatArray:
        """The weighted scores of the entries. [b, L]."""
        found: FloatArray = np.matmul(gathered, vectors[:, :, None])[:, :, 0]
        return found if weights is None else found * weights

    def combine(values: FloatArray, vectors: FloatArray) -> FloatArray:
        """gatheredᵀ values - (gram + ridge) vectors. values [b, L], vectors [b, D] -> [b, D]."""
        product: FloatArray = np.matmul(values[:, None, :], gathered)[:, 0]
        product -= vectors @ gram
        product -= ridge * vectors
        return product

    solution, scores = start.copy(), scores_of(start)
    residual = combine((1 if weights is None else weights) - scores, solution)
    score_sum = float(scores.sum(dtype=np.float64))  # v·r
    first_residual, first_sum = residual.copy(), score_sum
    preconditioned = scale * residual
    direction, size = preconditioned, np.einsum("bd,bd->b", residual, preconditioned)
    for step in range(steps):
        scores = scores_of(direction)
        change = combine(-scores, direction)  # -A direction
        length = size / np.maximum(-np.einsum("bd,bd->b", direction, change), 1e-20)
        score_sum += float(length @ scores.sum(axis=1))
        solution += length[:, None] * direction
        residual += length[:, None] * change
        if step + 1 == steps:
            break
        preconditioned = scale * residual
        new_size = np.einsum("bd,bd->b", residual, preconditioned)
        direction = preconditioned + (new_size / np.maximum(size, 1e-20))[:, None] * direction
        size = new_size
    if relaxation != 1:  # residuals and v·r are linear in v
        for moved, first in ((solution, start), (residual, first_residual)):
            moved -= first
            moved *= np.float32(relaxation)
            moved += first
        score_sum = first_sum + relaxation * (score_sum - first_sum)
    return solution, -score_sum - float(np.einsum("bd,bd->", solution, residual))


def _ridge(config: IALSConfig, counts: IntArray | FloatArray, n_other: int) -> FloatArray:
    """Ridge of each row of one side; n_other: rows of the other side. counts [R] -> [R]."""
    ridge: FloatArray = config.l2 * (counts + config.unobserved * n_other) ** config.l2_power
    return ridge.astype(np.float32)

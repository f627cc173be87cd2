"""ALS half-steps: ridge regressions of many users on their items' vectors, batched by history length."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, gather, rows_of
from matinee.histories import Histories

SYSTEM_VALUES = 2**22
"""Number of values of D x D systems held at once."""
BLOCK_BYTES = 2**22
"""Of item vectors gathered at once, which stay in the cache over the steps of a solve."""
MAX_STEPS = 64
"""Of conjugate gradients, after which a system is factored instead; 7 to 10 are usual."""
ROUND_LENGTH = 8
"""Rows of a solve are padded to a multiple of it, so that an event is summed by the same instructions in any block."""
MOST_KEPT = 2
"""Systems of single rows that are kept."""
CONVERGED = 1e-12
"""Solutions, which are stored in float32, have converged where the squared residual, in the preconditioner's norm, is
below this share of the first one."""


@dataclass(frozen=True, slots=True, eq=False)
class FixedSide:
    """The item vectors H that users are solved against. padded: [I + 1, D], H and a zero row; gram: a HᵀH, [D, D].

    a: weight of every pair towards 0, of items in the history or not. axes: [D, D], the principal axes of H, in which
    its Gram matrix is diagonal; rotated: [I + 1, D], padded @ axes; squares: [D], sums of squares of its columns;
    kept: the last systems of single rows, see `_system_of_row`.
    """

    padded: FloatArray
    gram: FloatArray
    unobserved: float
    axes: FloatArray
    rotated: FloatArray
    squares: FloatArray
    kept: "dict[bytes, tuple[FloatArray, FloatArray]]" = field(default_factory=dict)

    @classmethod
    def of(cls, items: FloatArray, unobserved: float) -> "FixedSide":
        """items: [I, D]; unobserved: a."""
        padded, products = append_zero_row(items), items.T @ items
        # vectors of a training that diverged stay NaN, and `rank` says so
        squares, axes = np.linalg.eigh(np.where(np.isfinite(products), products, 0))
        gram = items.dtype.type(unobserved) * products
        return cls(padded, gram, unobserved, axes, padded @ axes, np.maximum(squares, 0))

    def for_float32(self) -> "FixedSide":
        """The same for solves in float32, whose solutions are taken back from the axes in the type that these have."""
        padded, gram, rotated = (each.astype(np.float32) for each in (self.padded, self.gram, self.rotated))
        return replace(self, padded=padded, gram=gram, rotated=rotated, kept={})

    @property
    def n_items(self) -> int:
        """I."""
        return len(self.padded) - 1


def solve(matrix: csr_array, side: FixedSide, ridge: FloatArray) -> FloatArray:
    """W = A⁻¹ Σ x_i h_i over a row's entries, A = a HᵀH + Σ |x_i| h_i h_iᵀ + ridge I, to rounding. [B, D].

    matrix X [B, I]: confidence |x_i| in the preference sign(x_i); ridge [B].
    Source: Hu et al. 2008, eq. 4, where preferences are 0 or 1.

    By conjugate gradients for many rows at once, in the principal axes of H: there a HᵀH is diagonal, and so nearly is
    A. A row stays as it is once it has converged, so that its solution does not depend on the others; where some row
    does not converge, A is factored.
    """
    dtype, dim = side.rotated.dtype, side.rotated.shape[1]
    vectors = np.zeros((matrix.shape[0], dim), dtype=np.float32)
    masses = np.bincount(rows_of(matrix.indptr), np.abs(matrix.data), minlength=matrix.shape[0]).astype(dtype)
    of_all, of_item = (factor * side.squares.astype(dtype) for factor in (side.unobserved, 1 / max(side.n_items, 1)))
    is_binary, gathered = bool((matrix.data == 1).all()), Gathered(side.rotated)
    for rows, columns in padded_blocks(matrix, BLOCK_BYTES // dtype.itemsize // dim, ROUND_LENGTH):
        entries = None if is_binary else padded_entries(matrix, rows, columns.shape[1])
        diagonal = of_all + ridge[rows, None].astype(dtype)  # [b, D], of A without its sum
        scale = 1 / (diagonal + masses[rows, None] * of_item)
        found, converged = _conjugate_gradients((gathered(columns), entries, diagonal), scale)
        vectors[rows] = found @ side.axes.T
        if not converged:
            vectors[rows] = _solve_directly(matrix[rows], side, ridge[rows])
    return vectors


class Gathered:
    """Rows of a table in a buffer that all blocks share: new memory for each block takes many times as long."""

    def __init__(self, table: FloatArray) -> None:
        """table: [R, D]."""
        self._table, self._buffer = table, np.empty(0, dtype=table.dtype)

    def __call__(self, indices: IntArray) -> FloatArray:
        """The rows of the indices [b, L], until the next call. [b, L, D]."""
        shape = (*indices.shape, self._table.shape[1])
        size = math.prod(shape)
        if len(self._buffer) < size:
            self._buffer = np.empty(size, dtype=self._table.dtype)
        found = self._buffer[:size].reshape(shape)
        np.take(self._table, indices, axis=0, out=found, mode="clip")  # other modes make a copy
        return found


def _conjugate_gradients(
    system: tuple[FloatArray, FloatArray | None, FloatArray], scale: FloatArray
) -> tuple[FloatArray, bool]:
    """Solutions of b systems A v = gatheredᵀ x from zero, and whether they have all converged. [b, D].

    system: gathered [b, L, D], entries x [b, L] (None: 1), diagonal [b, D]: A = gatheredᵀ diag(|x|) gathered +
    diag(diagonal). scale [b, D]: about the inverse diagonal of A.
    """
    gathered, entries, diagonal = system
    confidences = None if entries is None else np.abs(entries)
    given = np.ones(gathered.shape[:2], gathered.dtype) if entries is None else entries
    residual = np.matmul(given[:, None, :], gathered)[:, 0]  # of zero: gatheredᵀ x
    solution = np.zeros_like(residual)
    direction, product = scale * residual, np.empty_like(residual)
    size, tiny = np.vecdot(residual, direction), np.finfo(np.float32).tiny
    enough = np.float32(CONVERGED) * size
    for _ in range(MAX_STEPS):
        scores = np.matmul(gathered, direction[:, :, None])[:, :, 0]  # [b, L]
        if confidences is not None:
            scores *= confidences
        change = np.matmul(scores[:, None, :], gathered)[:, 0]  # [b, D], A direction
        change += np.multiply(diagonal, direction, out=product)
        length = size / np.maximum(np.vecdot(direction, change), tiny)
        length[size <= enough] = 0
        solution += np.multiply(length[:, None], direction, out=product)
        residual -= np.multiply(length[:, None], change, out=product)
        preconditioned = np.multiply(scale, residual, out=product)
        new_size = np.vecdot(residual, preconditioned)
        if (new_size <= enough).all():
            return solution, True
        direction *= (new_size / np.maximum(size, tiny))[:, None]
        direction += preconditioned
        size = new_size
    return solution, False


def _solve_directly(matrix: csr_array, side: FixedSide, ridge: FloatArray) -> FloatArray:
    """As `solve`, by factoring each system."""
    vectors = np.zeros((matrix.shape[0], side.padded.shape[1]), dtype=np.float32)
    for rows, lefts, gathered, entries in systems(matrix, side, ridge):
        rights = gathered if entries is None else gathered * entries[..., None]
        found: FloatArray = np.linalg.solve(lefts, rights.sum(axis=1)[..., None])
        vectors[rows] = found[..., 0]
    return vectors


def systems(
    matrix: csr_array, side: FixedSide, ridge: FloatArray
) -> Iterator[tuple[IntArray, FloatArray, FloatArray, FloatArray | None]]:
    """Blocks of similar length: row indices [b], their A of `solve` [b, D, D], their items' vectors [b, L, D].

    And their entries [b, L], None if the matrix is binary.
    """
    is_binary = bool((matrix.data == 1).all())
    if matrix.shape[0] == 1 and matrix.nnz:
        left, gathered = _system_of_row(matrix, side)
        lefts = left[None].copy()
        np.einsum("bdd->bd", lefts)[:] += ridge[0]
        yield np.zeros(1, dtype=np.int64), lefts, gathered[None], None if is_binary else matrix.data[None]
        return
    dim = side.padded.shape[1]
    size = max(1, SYSTEM_VALUES // dim**2)
    for rows, columns in padded_blocks(matrix, SYSTEM_VALUES // dim):
        gathered = side.padded[columns]
        entries = None if is_binary else padded_entries(matrix, rows, columns.shape[1])
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            confident = gathered[part] if entries is None else gathered[part] * np.abs(entries[part])[..., None]
            lefts = confident.transpose(0, 2, 1) @ gathered[part] + side.gram
            np.einsum("bdd->bd", lefts)[:] += ridge[rows[part], None]
            yield rows[part], lefts, gathered[part], None if entries is None else entries[part]


def _system_of_row(matrix: csr_array, side: FixedSide) -> tuple[FloatArray, FloatArray]:
    """A of `solve` without its ridge [D, D], and the items' vectors [n, D], of a matrix of one row. Not to be changed.

    The last ones are kept: what explains a list and what leaves its events out need the same one.
    """
    key = matrix.indices.tobytes() + matrix.data.tobytes()
    found = side.kept.get(key)
    if found is None:
        gathered = side.padded[matrix.indices]
        scaled = gathered * np.sqrt(np.abs(matrix.data))[:, None]  # a product with itself takes half the time
        found = scaled.T @ scaled + side.gram, gathered
        if len(side.kept) >= MOST_KEPT:
            side.kept.clear()
        side.kept[key] = found
    return found


def explain_solve(histories: Histories, side: FixedSide, ridge: FloatArray, targets: FloatArray) -> FloatArray:
    """x_j h_j · A⁻¹ t for each event's item j and each target vector t of its user, A the user's system. [N, k].

    ridge [B], targets [B, k, D]. Summed over a user's events it is t · solution.
    Source: Hu et al. 2008, eq. 7. The contribution of an item that is in a history twice is split over its events.
    """
    matrix = histories.weighted_matrix(side.n_items)
    contributions = np.zeros((matrix.nnz, targets.shape[1]), dtype=side.padded.dtype)
    for rows, lefts, gathered, entries in systems(matrix, side, ridge):
        solved: FloatArray = np.linalg.solve(lefts, targets[rows].transpose(0, 2, 1))  # [b, D, k]
        _, indices = gather(matrix.indptr, rows)
        is_filled = np.arange(gathered.shape[1]) < np.diff(matrix.indptr)[rows][:, None]
        products = gathered @ solved  # [b, L, k]
        if entries is not None:
            products *= entries[..., None]
        contributions[indices] = products[is_filled]
    found = _entries_of(matrix, histories)
    repeats = np.bincount(found, minlength=matrix.nnz)
    return np.asarray(contributions[found] / repeats[found, None], dtype=np.float32)


def targets_without_each(
    histories: Histories, events: IntArray, side: FixedSide, ridge: FloatArray, targets: FloatArray
) -> FloatArray:
    """Products t · w of each target t and the solution w of `solve_without_each`. targets [B, k, D] -> [E, k]."""
    solutions = solve_without_each(histories, events, side, ridge)
    found: FloatArray = np.einsum("ed,ekd->ek", solutions, targets[histories.owners[events]]).astype(np.float32)
    return found


def solve_without_each(histories: Histories, events: IntArray, side: FixedSide, ridge: FloatArray) -> FloatArray:
    """The solution w of `solve` without each of E events. [E, D], in the type of the items.

    Histories without repeats; ridge [B]: of a history that is one event shorter. One system a user: without an event it
    changes by a matrix of rank one, whose solution follows from that of the whole (Sherman and Morrison 1950).
    """
    matrix = histories.weighted_matrix(side.n_items)
    owners, entries = histories.owners[events], _entries_of(matrix, histories)[events]
    found = np.zeros((len(events), side.padded.shape[1]), dtype=side.padded.dtype)
    for rows, lefts, gathered, confidences in systems(matrix, side, ridge):
        for index, row in enumerate(rows.tolist()):
            mine = np.flatnonzero(owners == row)
            if not len(mine):
                continue
            weights = np.ones(gathered.shape[1], gathered.dtype) if confidences is None else confidences[index]
            right = weights @ gathered[index]  # [D]
            indices = entries[mine] - matrix.indptr[row]
            removed, by = gathered[index, indices], weights[indices]  # [e, D], [e]
            solved: FloatArray = np.linalg.solve(lefts[index], np.column_stack([removed.T, right]))  # [D, e + 1]
            own, along = np.einsum("ed,de->e", removed, solved[:, :-1]), right @ solved[:, :-1]
            steps = np.abs(by) * (along - by * own) / (1 - np.abs(by) * own) - by
            found[mine] = (solved[:, -1:] + solved[:, :-1] * steps).T
    return found


def _entries_of(matrix: csr_array, histories: Histories) -> IntArray:
    """The index of each event's entry in the matrix of the histories. [N]."""
    keys = histories.owners * matrix.shape[1] + histories.items
    found: IntArray = np.searchsorted(rows_of(matrix.indptr) * matrix.shape[1] + matrix.indices, keys)
    return found


def padded_entries(matrix: csr_array, rows: IntArray, length: int) -> FloatArray:
    """The entries of some rows, padded with zeros. [b, L]."""
    indices = matrix.indptr[rows][:, None] + np.arange(length)
    is_filled = indices < matrix.indptr[rows + 1][:, None]
    return np.where(is_filled, matrix.data[np.where(is_filled, indices, 0)], np.float32(0))


def append_zero_row(table: FloatArray) -> FloatArray:
    """A table [I, D] with a row of zeros after the last, which the padding of `padded_blocks` selects. [I + 1, D]."""
    return np.concatenate([table, np.zeros((1, table.shape[1]), dtype=table.dtype)])


def padded_blocks(matrix: csr_array, cells: int, multiple: int = 1) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of similar length with their columns, padded with I. matrix [B, I] -> row indices [b], columns [b, L] int32.

    Blocks are those of `similar_rows`; L is a multiple of `multiple`.
    """
    for rows in similar_rows(np.diff(matrix.indptr), cells):
        yield rows, padded_columns(matrix, rows, multiple)


def similar_rows(lengths: IntArray, cells: int) -> Iterator[IntArray]:
    """Indices of rows of similar lengths [B], in blocks that have at most `cells` cells, or one row.

    The last row of a block is its longest. Rows without entries are left out.
    """
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        size = max(1, cells // int(lengths[order[start]]))
        stop = min(start + size, len(order))
        # lengths ascend, so fewer rows may fit than the length of the first one suggests
        size = max(1, cells // int(lengths[order[stop - 1]]))
        stop = min(start + size, stop)
        yield order[start:stop]
        start = stop


def padded_columns(matrix: csr_array, rows: IntArray, multiple: int = 1) -> IntArray:
    """The columns of a block of `similar_rows`, padded with I to a length that is a multiple. [b, L] int32."""
    longest = int(matrix.indptr[rows[-1] + 1] - matrix.indptr[rows[-1]])
    indices = matrix.indptr[rows][:, None] + np.arange(-(-longest // multiple) * multiple)
    is_filled = indices < matrix.indptr[rows + 1][:, None]
    columns: IntArray = np.where(is_filled, matrix.indices[np.where(is_filled, indices, 0)], matrix.shape[1])
    return columns.astype(np.int32)

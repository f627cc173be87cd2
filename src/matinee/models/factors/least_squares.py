"""ALS half-steps: ridge regressions of many users on their items' vectors, batched by history length."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, gather, rows_of
from matinee.histories import Histories

SYSTEM_VALUES = 2**22
"""Number of values of D x D systems held at once."""


def solve(matrix: csr_array, items: FloatArray, unobserved: float, ridge: FloatArray) -> FloatArray:
    """W = A⁻¹ Σ x_i h_i over a row's entries, A = unobserved HᵀH + Σ |x_i| h_i h_iᵀ + ridge I. [B, D].

    matrix X [B, I]: confidence |x_i| in the preference sign(x_i); items H [I, D], ridge [B].
    Source: Hu et al. 2008, eq. 4, where preferences are 0 or 1.
    """
    vectors = np.zeros((matrix.shape[0], items.shape[1]), dtype=np.float32)
    for rows, lefts, gathered, entries in systems(matrix, items, unobserved, ridge):
        rights = gathered if entries is None else gathered * entries[..., None]
        found: FloatArray = np.linalg.solve(lefts, rights.sum(axis=1)[..., None])
        vectors[rows] = found[..., 0]
    return vectors


def systems(
    matrix: csr_array, items: FloatArray, unobserved: float, ridge: FloatArray
) -> Iterator[tuple[IntArray, FloatArray, FloatArray, FloatArray | None]]:
    """Blocks of similar length: row indices [b], their A of `solve` [b, D, D], their items' vectors [b, L, D].

    And their entries [b, L], None if the matrix is binary.
    """
    is_binary = bool((matrix.data == 1).all())
    dim = items.shape[1]
    gram = np.float32(unobserved) * (items.T @ items)
    size = max(1, SYSTEM_VALUES // dim**2)
    padded = append_zero_row(items)
    for rows, columns in padded_blocks(matrix, SYSTEM_VALUES // dim):
        gathered = padded[columns]
        entries = None if is_binary else padded_entries(matrix, rows, columns.shape[1])
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            confident = gathered[part] if entries is None else gathered[part] * np.abs(entries[part])[..., None]
            lefts = confident.transpose(0, 2, 1) @ gathered[part] + gram
            np.einsum("bdd->bd", lefts)[:] += ridge[rows[part], None]
            yield rows[part], lefts, gathered[part], None if entries is None else entries[part]


def explain_solve(
    histories: Histories, items: FloatArray, unobserved: float, ridge: FloatArray, targets: FloatArray
) -> FloatArray:
    """x_j h_j · A⁻¹ t for each event's item j and each target vector t of its user, A the user's system. [N, k].

    items H [I, D], ridge [B], targets [B, k, D]. Summed over a user's events it is t · solution.
    Source: Hu et al. 2008, eq. 7. The contribution of an item that is in a history twice is split over its events.
    """
    matrix = histories.weighted_matrix(len(items))
    contributions = np.zeros((matrix.nnz, targets.shape[1]), dtype=items.dtype)
    for rows, lefts, gathered, entries in systems(matrix, items, unobserved, ridge):
        solved: FloatArray = np.linalg.solve(lefts, targets[rows].transpose(0, 2, 1))  # [b, D, k]
        _, indices = gather(matrix.indptr, rows)
        is_filled = np.arange(gathered.shape[1]) < np.diff(matrix.indptr)[rows][:, None]
        products = gathered @ solved  # [b, L, k]
        if entries is not None:
            products *= entries[..., None]
        contributions[indices] = products[is_filled]
    keys = histories.owners * len(items) + histories.items
    found = np.searchsorted(rows_of(matrix.indptr) * len(items) + matrix.indices, keys)
    repeats = np.bincount(found, minlength=matrix.nnz)
    return np.asarray(contributions[found] / repeats[found, None], dtype=np.float32)


def scores_without_each(
    histories: Histories, items: FloatArray, unobserved: float, ridge: FloatArray, item_rows: IntArray
) -> FloatArray:
    """h_i · w for each listed item i and the solution w without each event, of histories without repeats. [N, k].

    ridge [B]: of a history that is one event shorter. One system a user: without an event it changes by a matrix of
    rank one, whose solution follows from that of the whole (Sherman and Morrison 1950).
    """
    matrix = histories.weighted_matrix(len(items))
    found = np.zeros((matrix.nnz, item_rows.shape[1]), dtype=items.dtype)
    for rows, lefts, gathered, entries in systems(matrix, items, unobserved, ridge):
        weights = np.ones(gathered.shape[:2], dtype=items.dtype) if entries is None else entries  # [b, L]
        rights = (gathered * weights[..., None]).sum(axis=1)  # [b, D]
        columns = np.concatenate([gathered.transpose(0, 2, 1), rights[..., None]], axis=2)
        solved: FloatArray = np.linalg.solve(lefts, columns)  # [b, D, L + 1]
        by_event, whole = solved[..., :-1], solved[..., -1:]
        own = np.einsum("bld,bdl->bl", gathered, by_event)
        along = np.einsum("bd,bdl->bl", rights, by_event)
        steps = np.abs(weights) * (along - weights * own) / (1 - np.abs(weights) * own) - weights
        targets = items[item_rows[rows]]  # [b, k, D]
        scores = targets @ whole + (targets @ by_event) * steps[:, None, :]  # [b, k, L]
        _, indices = gather(matrix.indptr, rows)
        is_filled = np.arange(gathered.shape[1]) < np.diff(matrix.indptr)[rows][:, None]
        found[indices] = scores.transpose(0, 2, 1)[is_filled]
    keys = histories.owners * len(items) + histories.items
    order = np.searchsorted(rows_of(matrix.indptr) * len(items) + matrix.indices, keys)
    return np.asarray(found[order], dtype=np.float32)


def padded_entries(matrix: csr_array, rows: IntArray, length: int) -> FloatArray:
    """The entries of some rows, padded with zeros. [b, L]."""
    indices = matrix.indptr[rows][:, None] + np.arange(length)
    is_filled = indices < matrix.indptr[rows + 1][:, None]
    return np.where(is_filled, matrix.data[np.where(is_filled, indices, 0)], np.float32(0))


def append_zero_row(table: FloatArray) -> FloatArray:
    """A table [I, D] with a row of zeros after the last, which the padding of `padded_blocks` selects. [I + 1, D]."""
    return np.concatenate([table, np.zeros((1, table.shape[1]), dtype=table.dtype)])


def padded_blocks(matrix: csr_array, cells: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of similar length with their columns, padded with I. matrix [B, I] -> row indices [b], columns [b, L] int32.

    Rows without entries are left out. A block has at most `cells` cells, or one row.
    """
    lengths = np.diff(matrix.indptr)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        size = max(1, cells // int(lengths[order[start]]))
        stop = min(start + size, len(order))
        # lengths ascend, so fewer rows may fit than the length of the first one suggests
        size = max(1, cells // int(lengths[order[stop - 1]]))
        stop = min(start + size, stop)
        rows = order[start:stop]
        indices = matrix.indptr[rows][:, None] + np.arange(lengths[rows[-1]])
        is_filled = indices < matrix.indptr[rows + 1][:, None]
        columns = np.where(is_filled, matrix.indices[np.where(is_filled, indices, 0)], matrix.shape[1])
        yield rows, columns.astype(np.int32)
        start = stop

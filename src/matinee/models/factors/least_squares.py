"""Half steps: ridge regressions of many users on the vectors of their items, by users of like length."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, gather, rows_of
from matinee.histories import Histories

SYSTEM_VALUES = 2**22
"""Values of D-by-D systems held at once."""


def solve(matrix: csr_array, items: FloatArray, unobserved: float, ridge: FloatArray) -> FloatArray:
    """W = A⁻¹ sum of h_i over a row's columns, A = unobserved HᵀH + sum of h_i h_iᵀ + ridge I. [B, D].

    matrix [B, I] binary, items H [I, D], ridge [B].
    """
    vectors = np.zeros((matrix.shape[0], items.shape[1]), dtype=np.float32)
    for rows, lefts, gathered in systems(matrix, items, unobserved, ridge):
        found: FloatArray = np.linalg.solve(lefts, gathered.sum(axis=1)[..., None])
        vectors[rows] = found[..., 0]
    return vectors


def systems(
    matrix: csr_array, items: FloatArray, unobserved: float, ridge: FloatArray
) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Blocks of rows of like length: which [b], their A of `solve` [b, D, D], their items' vectors [b, L, D]."""
    dim = items.shape[1]
    gram = np.float32(unobserved) * (items.T @ items)
    most = max(1, SYSTEM_VALUES // dim**2)
    for rows, gathered in blocks(matrix, items, SYSTEM_VALUES):
        for start in range(0, len(rows), most):
            part = slice(start, start + most)
            lefts = gathered[part].transpose(0, 2, 1) @ gathered[part] + gram
            np.einsum("bdd->bd", lefts)[:] += ridge[rows[part], None]
            yield rows[part], lefts, gathered[part]


def explained(
    histories: Histories, items: FloatArray, unobserved: float, ridge: FloatArray, wanted: FloatArray
) -> FloatArray:
    """h_j · A⁻¹ t for each event's item j and each wanted vector t of its user, A the user's system. [N, k].

    items H [I, D], ridge [B], wanted [B, k, D]. Summed over a user's events it is the product of t with the solution.
    Source: Hu et al. 2008, eq. 7. An item that is in a history twice counts once, in each of its events by half.
    """
    matrix = histories.matrix(len(items))
    parts = np.zeros((matrix.nnz, wanted.shape[1]), dtype=items.dtype)
    for rows, lefts, gathered in systems(matrix, items, unobserved, ridge):
        weighed: FloatArray = np.linalg.solve(lefts, wanted[rows].transpose(0, 2, 1))  # [b, D, k]
        _, places = gather(matrix.indptr, rows)
        filled = np.arange(gathered.shape[1]) < np.diff(matrix.indptr)[rows][:, None]
        pulls = gathered @ weighed  # [b, L, k]
        parts[places] = pulls[filled]
    keys = histories.owners * len(items) + histories.items
    found = np.searchsorted(rows_of(matrix.indptr) * len(items) + matrix.indices, keys)
    repeats = np.bincount(found, minlength=matrix.nnz)
    return np.asarray(parts[found] / repeats[found, None], dtype=np.float32)


def blocks(matrix: csr_array, table: FloatArray, values: int) -> Iterator[tuple[IntArray, FloatArray]]:
    """Rows of like length with the vectors of their columns, zeros where a row is shorter: [b], [b, L, D].

    Rows without entries are left out. A block holds at most `values` values, or one row.
    """
    padded = with_zeros(table)
    for rows, columns in columns_of_blocks(matrix, values // table.shape[1]):
        yield rows, padded[columns]


def with_zeros(table: FloatArray) -> FloatArray:
    """A table with one row more, of zeros: where shorter rows of `columns_of_blocks` point. [I + 1, D]."""
    return np.concatenate([table, np.zeros((1, table.shape[1]), dtype=table.dtype)])


def columns_of_blocks(matrix: csr_array, cells: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of like length with their columns, I where a row of matrix [B, I] is shorter: [b], [b, L] of int32.

    Rows without entries are left out. A block has at most `cells` cells, or one row.
    """
    lengths = np.diff(matrix.indptr)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        room = max(1, cells // int(lengths[order[start]]))
        stop = min(start + room, len(order))
        # as lengths ascend, fewer rows may fit than the first one's length says
        room = max(1, cells // int(lengths[order[stop - 1]]))
        stop = min(start + room, stop)
        rows = order[start:stop]
        places = matrix.indptr[rows][:, None] + np.arange(lengths[rows[-1]])
        filled = places < matrix.indptr[rows + 1][:, None]
        columns = np.where(filled, matrix.indices[np.where(filled, places, 0)], matrix.shape[1])
        yield rows, columns.astype(np.int32)
        start = stop

"""Room for more items in a fitted model's arrays, so that one more item does not copy them all."""

from copy import copy
from typing import Any, Generic, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from matinee.arrays import IntArray
from matinee.models.base import Recommender

ModelT = TypeVar("ModelT", bound=Recommender[Any])
FIRST_ROOM, SHARE = 64, 8
"""Items that there is first room for: this many, or one for each SHARE items if that is more."""


def axes_of(model: Recommender[Any]) -> dict[str, tuple[int, ...]]:
    """The axes of items of each learned array that has one."""
    axes: dict[str, tuple[int, ...]] = {}
    for name, axis in (*model.item_arrays, *model.item_inputs, *model.other_item_arrays):
        axes[name] = (*axes.get(name, ()), axis)
    return axes


def n_items_of(model: Recommender[Any]) -> int:
    """How many items a model with item arrays scores."""
    name, axis = model.item_arrays[0]
    return int(getattr(model, name).shape[axis])


class Room(Generic[ModelT]):
    """Buffers larger than a model's arrays, of which each model that `grow` returns shows the first items.

    As with a list that is appended to: older models do not see later items, and only the newest one grows in place.
    """

    def __init__(self, model: ModelT) -> None:
        self._newest = ref(model)
        self._buffers: dict[str, NDArray[Any]] = {}

    def is_of(self, model: ModelT) -> bool:
        """Whether a model is the newest one, and may grow."""
        return self._newest() is model

    def grow(self, model: ModelT, n: int) -> ModelT:
        """A copy of the newest model with n more items, at the end of each array, that have zeros."""
        grown, n_items = copy(model), n_items_of(model)
        for name, axes in axes_of(model).items():
            array = getattr(model, name)
            if isinstance(array, csr_array):
                setattr(grown, name, _more_rows(array, n))
            elif any(array.shape[axis] != n_items for axis in axes):  # a block of items for each decay
                setattr(grown, name, _blocks_grown(array, axes, n_items, n))
            else:
                setattr(grown, name, self._shown(name, array, axes, n_items + n))
        self._newest = ref(grown)
        return grown

    def _shown(self, name: str, array: NDArray[Any], axes: tuple[int, ...], n_items: int) -> NDArray[Any]:
        """The first items of a buffer that begins with an array; of a larger one where there is no room."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape[axes[0]] < n_items:
            room = n_items + max(FIRST_ROOM, n_items // SHARE)
            shape = tuple(room if axis in axes else size for axis, size in enumerate(array.shape))
            buffer = self._buffers[name] = np.zeros(shape, dtype=array.dtype)
            buffer[tuple(map(slice, array.shape))] = array
        return buffer[tuple(slice(n_items if axis in axes else None) for axis in range(array.ndim))]


def with_columns(matrix: csr_array, columns: IntArray, added: csr_array) -> csr_array:
    """A sparse matrix [I, J] with entries in n ascending columns that have none. added: [n, I], as rows."""
    by_row = added.T.tocsr()  # [I, n]
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(by_row.indptr))
    new_columns = columns[by_row.indices]
    keys = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * matrix.shape[1] + matrix.indices
    positions = np.searchsorted(keys, rows * matrix.shape[1] + new_columns)
    starts = matrix.indptr + by_row.indptr
    indices = np.insert(matrix.indices, positions, new_columns)
    return csr_array((np.insert(matrix.data, positions, by_row.data), indices, starts), shape=matrix.shape)


def _more_rows(matrix: csr_array, n: int) -> csr_array:
    """A sparse square matrix with n more empty rows and columns."""
    starts = np.concatenate([matrix.indptr, np.full(n, matrix.indptr[-1], dtype=matrix.indptr.dtype)])
    return csr_array((matrix.data, matrix.indices, starts), shape=(matrix.shape[0] + n, matrix.shape[1] + n))


def _blocks_grown(array: NDArray[Any], axes: tuple[int, ...], n_items: int, n: int) -> NDArray[Any]:
    """An array with n more zero items in each block of items along its axes."""
    for axis in axes:
        blocks = np.moveaxis(array, axis, 0)
        blocks = blocks.reshape(-1, n_items, *blocks.shape[1:])
        blocks = np.pad(blocks, [(0, 0), (0, n)] + [(0, 0)] * (blocks.ndim - 2))
        array = np.moveaxis(blocks.reshape(-1, *blocks.shape[2:]), 0, axis)
    return np.ascontiguousarray(array)

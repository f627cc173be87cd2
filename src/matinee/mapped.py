"""Arrays as long as a log: in memory where they are a small part of what is free, and else in a file.

A file is mapped: its pages are cache, which the system writes back and takes where memory is wanted, and do not count
against a bound of memory. It has no name, so nothing of it is left when the process ends, however it ends.
"""

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from matinee.arrays import IntArray, blocks, row_blocks
from matinee.errors import MatineeError
from matinee.folders import cache_folder
from matinee.memory import available_memory, size

LARGEST_HELD = 2**25
"""Bytes up to which an array is always in memory."""
HELD_SHARE = 16
"""An array in memory takes at most this part of what is free: a work on a log makes about as many of them."""


def empty(n: int, dtype: DTypeLike) -> NDArray[Any]:
    """An array of n elements, not set. Raises MatineeError if neither memory nor the cache folder holds it."""
    n_bytes = n * np.dtype(dtype).itemsize
    if is_held(n_bytes):
        return np.empty(n, dtype=dtype)
    try:
        return np.frombuffer(_mapped_file(n_bytes), dtype=dtype)
    except OSError as error:
        if n_bytes <= (available_memory() or n_bytes):
            return np.empty(n, dtype=dtype)
        raise MatineeError(
            f"not enough memory: a column of {size(n_bytes)} has to lie in a file, and {cache_folder()} cannot hold it "
            f"({error.strerror or error}); make room there, or name another folder (XDG_CACHE_HOME)"
        ) from None


def is_held(n_bytes: int) -> bool:
    """Whether an array of so many bytes would be in memory."""
    free = available_memory() if n_bytes > LARGEST_HELD else None
    return free is None or n_bytes <= free // HELD_SHARE


def selected(column: NDArray[Any], keep: NDArray[Any] | slice) -> NDArray[Any]:
    """column[keep], for a mask, indices or a slice; a long one by blocks. [N] -> [M]."""
    if isinstance(keep, slice):
        return column[keep]
    is_mask = keep.dtype == bool
    n = int(np.count_nonzero(keep)) if is_mask else len(keep)
    found = empty(n, column.dtype)
    start = 0
    for block in blocks(len(keep)):
        part = column[block][keep[block]] if is_mask else column[keep[block]]
        found[start : start + len(part)] = part
        start += len(part)
    return found


def looked_up(table: NDArray[Any], column: IntArray) -> NDArray[Any]:
    """table[column], by blocks: the index of a whole column would be a wide copy of it. [N]."""
    found = empty(len(column), table.dtype)
    for block in blocks(len(column)):
        found[block] = table[column[block]]
    return found


def repeated(values: NDArray[Any], starts: IntArray) -> NDArray[Any]:
    """The value of each ragged row for each of its elements. values: [B]; starts: [B + 1] -> [N]."""
    found = empty(int(starts[-1]), values.dtype)
    for rows, block in row_blocks(starts):
        found[block] = np.repeat(values[rows], np.diff(starts[rows.start : rows.stop + 1]))
    return found


def _mapped_file(n_bytes: int) -> mmap.mmap:
    """A file without a name, mapped. Its space is reserved, for a full disk would end the process on a later write."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        else:
            file.truncate(n_bytes)
        return mmap.mmap(file.fileno(), n_bytes)

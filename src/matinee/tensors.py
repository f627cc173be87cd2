"""Safetensors files: arrays by name, written by the library and read through a memory map."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
MAX_HEADER = 2**24
"""Bytes; a header names a few arrays."""


def write_arrays(path: Path, arrays: Arrays, metadata: dict[str, str] | None = None) -> None:
    """Write arrays to a file. Raises OSError if it cannot be written."""
    try:
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path, metadata)
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        raise (OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))) from None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Memory-map the arrays of a file, read-only. Raises ValueError if it is damaged, OSError if it is missing.

    The numpy reader of the safetensors library would copy them.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, MAX_HEADER):
            raise ValueError("it is truncated")
        text = file.read(length)
    try:
        header = json.loads(text)
        return {name: _map(path, 8 + length, size, entry) for name, entry in header.items() if name != "__metadata__"}
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError("its header is not that of a safetensors file") from None


def _map(path: Path, start: int, size: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    """One array of a file of `size` bytes whose arrays begin at `start`."""
    first, last = entry["data_offsets"]
    dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])
    if not all(type(number) is int and number >= 0 for number in (first, last, *shape)):
        raise ValueError("a size in its header is not a whole number")
    n_bytes = dtype.itemsize
    for number in shape:
        n_bytes *= number  # in Python's integers, which do not overflow
    if last - first != n_bytes or start + last > size:
        raise ValueError("it is truncated")
    if last == first:
        return np.empty(shape, dtype)
    # a plain view: slices of the subclass cost more than many of the computations of a list
    return np.asarray(np.memmap(path, dtype, "r", offset=start + first, shape=shape))

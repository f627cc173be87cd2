"""Between numpy on the host and torch on a device. Nothing else in this package moves data from one to the other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

BLOCK_CELLS = 2**26
"""Most scores that a block holds on an accelerator (256 MB): with smaller blocks, launching kernels takes the time."""


def to_tensor(values: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on a device: on the CPU with the same memory, elsewhere without waiting for the copy."""
    tensor = torch.from_numpy(values)
    if device.type == "cpu":
        return tensor
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def to_rows(values: NDArray[Any], device: torch.device) -> Tensor:
    """Indices as a tensor of int64, as torch wants them."""
    return to_tensor(values.astype(np.int64), device)


def to_dense(matrix: csr_array, device: torch.device) -> Tensor:
    """A sparse matrix as a dense tensor of the same type; it is made dense on the device. [B, I]."""
    if device.type == "cpu":
        return torch.from_numpy(matrix.toarray())
    owners = np.repeat(np.arange(matrix.shape[0], dtype=np.int64) * matrix.shape[1], np.diff(matrix.indptr))
    values = to_tensor(matrix.data, device)
    cells = values.new_zeros(matrix.shape[0] * matrix.shape[1])
    return cells.index_add_(0, to_tensor(owners + matrix.indices, device), values).view(matrix.shape)


def to_array(tensor: Tensor) -> NDArray[Any]:
    """A copy of a tensor on the host. Waits for the device."""
    array: NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return array


def to_numbers(scalars: Sequence[Tensor]) -> list[float]:
    """The values of scalars on one device, all in one transfer."""
    return [float(value) for value in to_array(torch.stack(list(scalars)))]


def block_cells(device: torch.device, on_cpu: int) -> int:
    """Most scores that a block of a loss holds: `on_cpu` there, where they should fit a cache."""
    return on_cpu if device.type == "cpu" else BLOCK_CELLS

"""Sparse matrices in torch."""

import warnings

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from matinee.training.transfers import to_tensor


def sparse_tensor(matrix: csr_array, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """A scipy matrix as torch CSR with 32-bit indices, which make the product about 1.5 times as fast."""
    starts, columns = (to_tensor(part.astype(np.int32), device) for part in (matrix.indptr, matrix.indices))
    return _csr_tensor(starts, columns, to_tensor(matrix.data, device).to(dtype), matrix.shape)


def cell_products(starts: Tensor, columns: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """For each cell of sparse rows the product of its row's and its column's vector, without gradient.

    starts: [B + 1]; columns: [n]; left [B, D]; right [I, D] -> [n].
    """
    pattern = _csr_tensor(starts, columns, left.new_zeros(len(columns)), (len(left), len(right)))
    found: Tensor = torch.sparse.sampled_addmm(pattern, left, right.T, beta=0.0).values()
    return found


def _csr_tensor(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that sparse CSR is in beta
        return torch.sparse_csr_tensor(starts, columns, values, size=shape, check_invariants=False)

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
    values = to_tensor(matrix.data, device).to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that sparse CSR is in beta
        return torch.sparse_csr_tensor(starts, columns, values, size=matrix.shape, check_invariants=False)

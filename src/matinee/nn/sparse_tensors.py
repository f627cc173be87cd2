"""Scipy matrices as torch CSR tensors."""

import warnings

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor


class Graph:
    """A matrix of users by items as torch CSR, both ways. by_user: [U, I]; by_item: [I, U], its transpose."""

    def __init__(self, matrix: csr_array, dtype: torch.dtype = torch.float32) -> None:
        self.by_user = sparse_tensor(matrix, dtype)
        self.by_item = sparse_tensor(matrix.T.tocsr(), dtype)


def sparse_tensor(matrix: csr_array, dtype: torch.dtype = torch.float32) -> Tensor:
    """A scipy matrix as torch CSR, with 32-bit indices (faster by half in the product)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the format a beta
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.data).to(dtype),
            size=matrix.shape,
            check_invariants=False,
        )

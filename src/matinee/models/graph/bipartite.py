"""The user-item graph as torch CSR tensors."""

import warnings

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor


class BipartiteGraph:
    """A users x items matrix as torch CSR, and its transpose. by_user: [U, I]; by_item: [I, U]."""

    def __init__(self, matrix: csr_array, dtype: torch.dtype = torch.float32) -> None:
        self.by_user = sparse_tensor(matrix, dtype)
        self.by_item = sparse_tensor(matrix.T.tocsr(), dtype)


def sparse_tensor(matrix: csr_array, dtype: torch.dtype = torch.float32) -> Tensor:
    """A scipy matrix as torch CSR with 32-bit indices, which make the product about 1.5 times as fast."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that sparse CSR is in beta
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.data).to(dtype),
            size=matrix.shape,
            check_invariants=False,
        )

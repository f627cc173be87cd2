"""Propagation over the bipartite graph of users and items in torch."""

import warnings
from typing import Any

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


class _Hop(torch.autograd.Function):
    """R items and Rᵀ users. The backward pass is the same hop, since the adjacency matrix is symmetric."""

    @staticmethod
    def forward(ctx: Any, graph: BipartiteGraph, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        ctx.graph = graph
        return graph.by_user @ items, graph.by_item @ users

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:  # noqa: ANN401
        user_grad, item_grad = (gradient.contiguous() for gradient in gradients)
        return None, ctx.graph.by_user @ item_grad, ctx.graph.by_item @ user_grad


def hop(graph: BipartiteGraph, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Aggregated messages of each node's neighbours. users [U, D], items [I, D] -> the same shapes."""
    aggregated: tuple[Tensor, Tensor] = _Hop.apply(graph, users, items)  # type: ignore[no-untyped-call]
    return aggregated

"""Propagation over the bipartite graph of users and items in torch."""

from typing import Any

import torch
from scipy.sparse import csr_array
from torch import Tensor

from matinee.nn.sparse_tensors import sparse_tensor


class BipartiteGraph:
    """A users x items matrix as torch CSR on a device, and its transpose. by_user: [U, I]; by_item: [I, U]."""

    def __init__(self, matrix: csr_array, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.by_user = sparse_tensor(matrix, device, dtype)
        self.by_item = sparse_tensor(matrix.T.tocsr(), device, dtype)


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

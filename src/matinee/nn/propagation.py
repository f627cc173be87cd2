"""One hop over the bipartite graph of users and items, in CSR, forward and backward without autograd inside."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray
from matinee.nn.settings import SLOPE
from matinee.nn.steps import drop


def inverse_roots(degrees: FloatArray | IntArray) -> FloatArray:
    """degree^-1/2, 0 for an isolated node. Any shape."""
    return np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0).astype(np.float32)


def normalised(matrix: csr_array) -> csr_array:
    """A binary matrix of users by items, each entry divided by the roots of both degrees. [U, I].

    Source: He et al. 2020, eq. 3. Isolated users and items keep empty rows.
    """
    by_user = diags_array(inverse_roots(matrix.sum(axis=1)))
    by_item = diags_array(inverse_roots(matrix.sum(axis=0)))
    edges: csr_array = (by_user @ matrix @ by_item).tocsr()
    return edges


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


class _Hop(torch.autograd.Function):
    """users, items -> R items, Rᵀ users. The gradient is the same hop, for the whole adjacency is symmetric."""

    @staticmethod
    def forward(ctx: Any, graph: Graph, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        ctx.graph = graph
        return graph.by_user @ items, graph.by_item @ users

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:  # noqa: ANN401
        of_users, of_items = (gradient.contiguous() for gradient in gradients)
        return None, ctx.graph.by_user @ of_items, ctx.graph.by_item @ of_users


def hop(graph: Graph, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """What each node hears from its neighbours. users [U, D], items [I, D] -> the same shapes."""
    heard: tuple[Tensor, Tensor] = _Hop.apply(graph, users, items)  # type: ignore[no-untyped-call]
    return heard


def propagate(graph: Graph, users: Tensor, items: Tensor, layer_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted sum of layers 0..K. users [U, D], items [I, D], layer_weights [K + 1] -> the same shapes.

    Source: He et al. 2020, eq. 7 and 8 (weights 1 / (K + 1)).
    """
    whole_users, whole_items = torch.zeros_like(users), torch.zeros_like(items)
    for layer, weight in enumerate(layer_weights):
        if layer:
            users, items = hop(graph, users, items)
        whole_users, whole_items = whole_users + weight * users, whole_items + weight * items
    return whole_users, whole_items


def transform(
    graph: Graph,
    nodes: tuple[Tensor, Tensor],
    weights: Mapping[str, Tensor],
    dropout: float,
    generator: torch.Generator,
) -> list[tuple[Tensor, Tensor]]:
    """The layers 0..K of NGCF for users [U, D] and items [I, D]: aggregated first, then transformed.

    weights: `near` and `across` [K, D, D], from the right, and `bias` [K, D].
    Source: Wang et al. 2019, eq. 7 (the matrix form).
    """
    layers = [nodes]
    for near, across, bias in zip(weights["near"], weights["across"], weights["bias"], strict=True):
        heard = hop(graph, *layers[-1])
        layers.append(
            tuple(  # type: ignore[arg-type]
                drop(
                    functional.leaky_relu((own + told) @ near + (own * told) @ across + bias, SLOPE), dropout, generator
                )
                for own, told in zip(layers[-1], heard, strict=True)
            )
        )
    return layers

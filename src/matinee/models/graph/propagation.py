"""One hop over the bipartite graph of users and items, in CSR, forward and backward without autograd inside."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from matinee.models.graph.config import SLOPE
from matinee.nn.sparse_tensors import BipartiteGraph
from matinee.training.torch_trainer import seeded_dropout


class _Hop(torch.autograd.Function):
    """users, items -> R items, Rᵀ users. The gradient is the same hop, for the whole adjacency is symmetric."""

    @staticmethod
    def forward(ctx: Any, graph: BipartiteGraph, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        ctx.graph = graph
        return graph.by_user @ items, graph.by_item @ users

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:  # noqa: ANN401
        of_users, of_items = (gradient.contiguous() for gradient in gradients)
        return None, ctx.graph.by_user @ of_items, ctx.graph.by_item @ of_users


def hop(graph: BipartiteGraph, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """What each node hears from its neighbours. users [U, D], items [I, D] -> the same shapes."""
    heard: tuple[Tensor, Tensor] = _Hop.apply(graph, users, items)  # type: ignore[no-untyped-call]
    return heard


def propagate(graph: BipartiteGraph, users: Tensor, items: Tensor, layer_weights: Tensor) -> tuple[Tensor, Tensor]:
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
    graph: BipartiteGraph,
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
                seeded_dropout(
                    functional.leaky_relu((own + told) @ near + (own * told) @ across + bias, SLOPE), dropout, generator
                )
                for own, told in zip(layers[-1], heard, strict=True)
            )
        )
    return layers

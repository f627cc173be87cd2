"""Propagation over the bipartite graph of users and items in torch, and the training that both graph models share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from scipy.sparse import csr_array
from torch import Tensor

from matinee.arrays import FloatArray
from matinee.histories import TrainingData
from matinee.models.graph.bipartite import BipartiteGraph
from matinee.models.graph.config import GraphConfig
from matinee.models.graph.losses import Embed, ranking_losses
from matinee.nn.initialisers import initialise_embeddings
from matinee.nn.sparse_rows import normalise_adjacency
from matinee.training.loop import TrainedModel, train_epochs
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, torch_generator


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


@dataclass(frozen=True, eq=False)
class Nodes:
    """A training log as matrix [U, I] and graph, layer 0 of its users [U, D] and items [I, D], and torch's RNG."""

    matrix: csr_array
    graph: BipartiteGraph
    users: Tensor
    items: Tensor
    generator: torch.Generator

    @classmethod
    def initialise(cls, config: GraphConfig, train: TrainingData, run: Run) -> Self:
        """Initial embeddings on the symmetrically normalised graph of `train`."""
        generator, matrix = torch_generator(run), train.matrix()
        edges = normalise_adjacency(matrix)
        embeddings = initialise_embeddings(edges, config.dim, config.initialiser, config.initial_std, generator)
        return cls(matrix, BipartiteGraph(edges), *embeddings, generator)


@dataclass(frozen=True)
class Network:
    """What a graph model trains beyond layer 0.

    weights: its parameters by name; embed: final embeddings of all users and items; learned: the arrays to save.
    """

    weights: Mapping[str, Tensor]
    embed: Embed
    learned: Callable[[], Mapping[str, FloatArray]]


def train_on_graph(
    model: TrainedModel, config: GraphConfig, nodes: Nodes, network: Network, train: TrainingData, run: Run
) -> None:
    """Train layer 0 and the network's weights; sets the learned arrays of the model."""
    parameters = {"users": nodes.users, "items": nodes.items, **network.weights}
    penalised = (config.l2, nodes.users, nodes.items) if config.l2 else None
    losses = ranking_losses(config, nodes.matrix, network.embed, run.rng, penalised)
    trainer = TorchTrainer(parameters, losses, network.learned, config, decay=config.decay, generator=nodes.generator)
    train_epochs(model, trainer, train, run)

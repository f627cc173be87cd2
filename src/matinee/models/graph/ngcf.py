"""NGCF: messages between users and items, transformed layer by layer (Wang et al. 2019)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.cold_start import fill_cold_scores
from matinee.models.graph.config import SLOPE, GraphConfig
from matinee.models.graph.fold_in import explained_solve, solved
from matinee.models.stored_users import find_stored_users
from matinee.models.vectors import unit
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor


class NGCFConfig(GraphConfig):
    """Settings of NGCF."""

    message_dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.1
    """Share of each layer's outputs left out of a step."""


class NGCF(Recommender[FloatArray]):
    """e^(k+1) = LeakyReLU(W1 (e + h) + W2 (e ⊙ h) + b), h = the neighbours' e^(k) over the roots of both degrees.

    A node's vector is its layer 0 and the directions of its layers 1..K, one after the other.
    Source: Wang et al. 2019, eq. 3 to 9. Sums come before transformations: Σ p (W1 e' + W2 (e' ⊙ e)) over edges is
    W1 (Σ p e') + W2 (e ⊙ Σ p e'), so no message of an edge is ever held. Bias, slope and the normalisation of layers
    are those of the authors' code.
    A visitor's layers come from the history and a zero layer 0; the whole vector is then solved as LightGCN's is.
    `with_graph_of` sends what was learned over the graph of a newer log.
    The scores of items without events are the lowest of the row; who has no history is scored by popularity.
    """

    name = "ngcf"
    Config = NGCFConfig
    learned = ("items", "heard", "near", "across", "bias", "own", "own_rows", "first", "popularity")
    fold_in_tolerance: ClassVar[float] = 0.03
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row."""
    config: NGCFConfig
    items: FloatArray  # [I, (K + 1) D], of length 1 under cosine
    heard: FloatArray  # [K, I, D] the items' layers 0..K-1, over the roots of their degrees
    near: FloatArray  # [K, D, D] W1, from the right
    across: FloatArray  # [K, D, D] W2, from the right
    bias: FloatArray  # [K, D]
    own: FloatArray  # [U, D] layer 0 of users
    own_rows: IntArray  # [U] ascending
    first: FloatArray  # [I, D] layer 0 of items
    popularity: FloatArray  # [I]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        import torch

        from matinee.models.graph.propagation import transform
        from matinee.nn.initialisers import initialise, initialise_embeddings
        from matinee.nn.ranking_losses import ranking_losses
        from matinee.nn.sparse_rows import normalise_adjacency
        from matinee.nn.sparse_tensors import BipartiteGraph
        from matinee.training.torch_trainer import TorchTrainer, torch_generator

        config, matrix = self.config, train.matrix()
        chance, edges = torch_generator(run), normalise_adjacency(matrix)
        graph = BipartiteGraph(edges)
        users, items = initialise_embeddings(edges, config.dim, config.initialiser, config.initial_std, chance)
        shape = (config.dim, config.dim)
        weights = {
            name: torch.stack([initialise(shape, "xavier", chance) for _ in range(config.layers)])
            if config.layers
            else torch.zeros((0, *shape))
            for name in ("near", "across")
        } | {"bias": torch.zeros((config.layers, config.dim))}

        def embed(dropout: float = config.message_dropout) -> tuple[torch.Tensor, torch.Tensor]:
            layers = transform(graph, (users, items), weights, dropout, chance)
            return _joined([layer[0] for layer in layers]), _joined([layer[1] for layer in layers])

        def learned() -> Mapping[str, FloatArray]:
            found = {"own": users, "first": items, **weights}
            copies = {name: value.numpy().copy() for name, value in found.items()}
            return copies | self._propagated(matrix, users, items, weights)

        self.own_rows = train.histories.user_rows.astype(np.int32)
        self.popularity = train.popularity.astype(np.float32)
        parameters = {"users": users, "items": items, **weights}
        losses = ranking_losses(config, matrix, embed, run.rng)
        steps = TorchTrainer(parameters, losses, learned, config, decay=config.decay, generator=chance)
        train_epochs(self, steps, train, run)
        return self

    def with_graph_of(self, known: TrainingData) -> Self:
        """See HasGraph: layer 0 and the weights stay, a user of `known` who was not trained on has a zero layer 0."""
        import torch

        users = np.zeros((len(known.histories), self.own.shape[1]), dtype=np.float32)
        places, trained = find_stored_users(self.own_rows, known.histories.user_rows, "stored")
        users[trained] = self.own[places[trained]]
        model = type(self)(**self.config.model_dump())
        model.own, model.own_rows = users, known.histories.user_rows.astype(np.int32)
        model.first, model.popularity = self.first, known.popularity.astype(np.float32)
        model.near, model.across, model.bias = self.near, self.across, self.bias
        weights = {name: torch.from_numpy(getattr(self, name)) for name in ("near", "across", "bias")}
        layers = torch.from_numpy(users), torch.from_numpy(self.first)
        for name, value in self._propagated(known.matrix(), *layers, weights).items():
            setattr(model, name, value)
        return model

    def _propagated(
        self, matrix: csr_array, users: "Tensor", items: "Tensor", weights: Mapping[str, "Tensor"]
    ) -> dict[str, FloatArray]:
        """What follows from layer 0, the weights and the graph: items and heard. matrix [U, I], users [U, D]."""
        import torch

        from matinee.models.graph.propagation import transform
        from matinee.nn.sparse_rows import inverse_sqrt, normalise_adjacency
        from matinee.nn.sparse_tensors import BipartiteGraph

        graph = BipartiteGraph(normalise_adjacency(matrix))
        layers = [layer[1] for layer in transform(graph, (users, items), weights, 0.0, torch.Generator())]
        whole = _joined(layers).numpy()
        roots = inverse_sqrt(matrix.sum(axis=0))[:, None]
        heard = [layer.numpy() * roots for layer in layers[:-1]]
        return {
            "items": unit(whole) if self.config.similarity == "cosine" else whole.copy(),
            "heard": np.stack(heard) if heard else np.zeros((0, *items.shape), dtype=np.float32),
        }

    def fold_in(self, histories: Histories) -> FloatArray:
        """The users' vectors. [B, (K + 1) D]; zero without a history."""
        config, matrix = self.config, histories.matrix(len(self.items))
        lengths = np.diff(matrix.indptr)
        places, known = find_stored_users(self.own_rows, histories.user_rows, config.user_state)
        known &= lengths > 0
        layer = np.zeros((len(histories), self.own.shape[1]), dtype=np.float32)
        layer[known] = self.own[places[known]]
        roots = np.sqrt(np.maximum(lengths, 1)).astype(np.float32)[:, None]
        layers = [layer]
        for heard, near, across, bias in zip(self.heard, self.near, self.across, self.bias, strict=True):
            told = (matrix @ heard) / roots  # [B, D]
            layer = (layer + told) @ near + (layer * told) @ across + bias
            layer = np.where(layer > 0, layer, np.float32(SLOPE) * layer)
            layers.append(layer)
        vectors = np.concatenate([layers[0], *map(unit, layers[1:])], axis=1)
        vectors[lengths == 0] = 0
        return solved(vectors, known, matrix, self.items, config)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        return fill_cold_scores(state @ self.items.T, state, self.popularity)  # [B, I]

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        return self.items

    def user_vectors(self, state: FloatArray) -> FloatArray:
        """See HasItemVectors."""
        return state

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Each event's part in the user's vector, through the layers and the solve, times listed items. [N, k].

        The layers' slopes and lengths count as given, each factor of a product gets half of it, and the biases are
        borne by all events alike. See explained_solve; of a vector that comes from the history.
        """
        owners, lengths = histories.owners, np.diff(histories.starts)
        roots = np.sqrt(np.maximum(lengths, 1)).astype(np.float32)[owners, None]
        layer = np.zeros((len(histories), self.own.shape[1]), dtype=np.float32)
        part = np.zeros((len(owners), layer.shape[1]), dtype=np.float32)
        parts = [part]
        for heard, near, across, bias in zip(self.heard, self.near, self.across, self.bias, strict=True):
            own = heard[histories.items] / roots  # [N, D]
            told = np.zeros_like(layer)
            np.add.at(told, owners, own)
            part = (part + own) @ near + (part * told[owners] + layer[owners] * own) @ (across / 2)
            part += bias / np.maximum(lengths, 1)[owners, None]
            layer = (layer + told) @ near + (layer * told) @ across + bias
            slopes = np.where(layer > 0, 1, np.float32(SLOPE))
            layer, part = slopes * layer, slopes[owners] * part
            reach = np.linalg.norm(layer, axis=1, keepdims=True)
            parts.append((part / np.where(reach > 0, reach, 1)[owners]).astype(np.float32))
        return explained_solve(np.concatenate(parts, axis=1), histories, item_rows, self.items, self.config)


def _joined(layers: "list[Tensor]") -> "Tensor":
    """Layers 0..K one after the other, all but the first of length 1. [n, (K + 1) D]."""
    from torch import cat
    from torch.nn.functional import normalize

    return cat([layers[0], *(normalize(layer, dim=1) for layer in layers[1:])], dim=1)

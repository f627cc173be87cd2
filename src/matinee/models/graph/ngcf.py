"""NGCF: messages between users and items, transformed at each layer (Wang et al. 2019)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.graph.config import GraphConfig
from matinee.models.graph.explanations import Deletions, explain_newton, explain_solve, has_deletions
from matinee.models.graph.fold_in import SolveItems, finish_vectors, is_solved, solve
from matinee.models.graph.rebuilt_graph import copy_onto
from matinee.models.needs import matrix_needs, parameter_needs
from matinee.models.vectors import fill_cold_scores, find_stored_users, unit
from matinee.nn.candidates import large_catalogue_defaults
from matinee.training.run import Run

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from matinee.models.graph.propagation import BipartiteGraph

SLOPE = 0.2
"""Slope of LeakyReLU below zero, as in the authors' code."""
WEIGHTS = ("W1", "W2", "bias")


class NGCFConfig(GraphConfig):
    """Settings of NGCF."""

    message_dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.1
    """Dropout rate of each layer's outputs."""
    node_dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.0
    """Probability that a node sends no messages to its neighbours, drawn for each layer of a step."""


class NGCF(Recommender[FloatArray]):
    """e^(k+1) = LeakyReLU(W1 (e + h) + W2 (e ⊙ h) + b), h = Σ of neighbours' e^(k) / sqrt(both degrees), e = e^(k).

    A node's vector concatenates its layer 0 and the layers 1..K scaled to length 1; score = cos(user, item).
    Source: Wang et al. 2019, eq. 3 to 10. Messages are summed before they are transformed: Σ p (W1 e' + W2 (e' ⊙ e))
    over edges is W1 (Σ p e') + W2 (e ⊙ Σ p e'), so no message of a single edge is held in memory.

    Fold-in: the same solve as LightGCN's. Plain steps begin at a visitor whose layers follow from the history, its
    messages times the events' weights, and a zero layer 0. `with_graph_of` propagates layer 0 over the graph of
    a newer log. Items without events score lowest; an empty history is ranked by popularity.

    Differs from the paper: bias b, the slope 0.2 and the scaling of layers to length 1 are those of the authors' code,
    which in turn normalises the adjacency by rows and applies LeakyReLU to both terms apart. Defaults: softmax over the
    catalogue of cosines over a temperature instead of BPR, two layers instead of three, layer 0 initialised by an SVD,
    no L2, and Adam's step size 0.02 on full batches. configs/paper/ngcf.toml has the paper's: BPR on dot products
    (eq. 11) with one uniform negative, three layers, Xavier, L2, the trained layer 0 of each user. What remains there:
    L2 is on layer 0 of the batch, not on W1 and W2 (in the authors' code it has no gradient on them either); a dropped
    node keeps its message to itself; and a negative that the user has is dropped instead of drawn again.
    The paper has no visitors.
    """

    name = "ngcf"
    Config = NGCFConfig
    trained_by_torch = True
    uses_weights = True
    learned = ("items", "item_messages", *WEIGHTS, "user_embeddings", "user_rows", "item_embeddings", "popularity")
    item_arrays = (("items", 0), ("item_messages", 1), ("popularity", 0))
    unscaled_arrays = frozenset({"item_messages", "popularity"})
    other_item_arrays = (("item_embeddings", 0),)
    fold_in_tolerance: ClassVar[float] = 0.03
    """Largest mean over users of 1 - correlation between scores from the history and those of the stored embedding."""
    config: NGCFConfig
    items: FloatArray  # [I, (K + 1) D] final item vectors, of length 1 if the similarity is the cosine
    item_messages: FloatArray  # [K, I, D] layers 0..K-1 of items over sqrt(degree)
    W1: FloatArray  # [K, D, D], for vectors @ W1
    W2: FloatArray  # [K, D, D], for vectors @ W2
    bias: FloatArray  # [K, D]
    user_embeddings: FloatArray  # [U, D] layer 0
    user_rows: IntArray  # [U] ascending
    item_embeddings: FloatArray  # [I, D] layer 0
    popularity: FloatArray  # [I]

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: on a large catalogue, candidates."""
        return large_catalogue_defaults(train, loss="softmax")

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, the graph both ways, and the vectors of users and items in each layer."""
        layers = 16 * self.config.dim * (self.config.layers + 1) * (train.n_items + train.n_users)
        return matrix_needs(train, 7) + parameter_needs(train, self.config.dim, users=True) + layers

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from matinee.models.graph.training import Network, Nodes, train_on_graph
        from matinee.training.transfers import to_array

        config = self.config
        nodes = Nodes.initialise(config, train, run)
        weights = _initial_weights(config, nodes.generator)

        def embed() -> "tuple[Tensor, Tensor]":
            layers = propagate(nodes.graph, (nodes.users, nodes.items), weights, config, nodes.generator)
            return _concatenate([layer[0] for layer in layers]), _concatenate([layer[1] for layer in layers])

        def learned() -> dict[str, FloatArray]:
            trained = {"user_embeddings": nodes.users, "item_embeddings": nodes.items, **weights}
            copies = {name: to_array(value) for name, value in trained.items()}
            return copies | self._propagate(nodes.graph, nodes.matrix.sum(axis=0), nodes.users, nodes.items, weights)

        self.user_rows = train.histories.user_rows.astype(np.int32)
        self.popularity = train.popularity.astype(np.float32)
        train_on_graph(self, config, nodes, Network(weights, embed, learned), train, run)
        return self

    def with_graph_of(self, known: TrainingData) -> Self:
        """See HasGraph: keeps layer 0 and weights; users of `known` without a trained embedding get zeros."""
        import torch

        from matinee.models.graph.propagation import BipartiteGraph
        from matinee.nn.sparse_rows import normalise_adjacency

        model, matrix = copy_onto(self, known), known.matrix()
        weights = {name: torch.from_numpy(getattr(self, name)) for name in WEIGHTS}
        layer_0 = torch.from_numpy(model.user_embeddings), torch.from_numpy(model.item_embeddings)
        graph = BipartiteGraph(normalise_adjacency(matrix), torch.device("cpu"))
        for name, value in model._propagate(graph, matrix.sum(axis=0), *layer_0, weights).items():
            setattr(model, name, value)
        return model

    def _propagate(
        self,
        graph: "BipartiteGraph",
        item_degrees: IntArray,
        users: "Tensor",
        items: "Tensor",
        weights: "Mapping[str, Tensor]",
    ) -> dict[str, FloatArray]:
        """`items` and `item_messages` from layer 0 (users [U, D], items [I, D]) and the weights."""
        from matinee.nn.sparse_rows import inverse_sqrt
        from matinee.training.transfers import to_array

        layers = [layer[1] for layer in propagate(graph, (users, items), weights)]
        vectors = to_array(_concatenate(layers))
        roots = inverse_sqrt(item_degrees)[:, None]
        messages = [to_array(layer) * roots for layer in layers[:-1]]
        return {
            "items": unit(vectors) if self.config.similarity == "cosine" else vectors.copy(),
            "item_messages": np.stack(messages) if messages else np.zeros((0, *items.shape), dtype=np.float32),
        }

    def fold_in(self, histories: Histories) -> FloatArray:
        """User vectors. [B, (K + 1) D]; zero without a history."""
        if is_solved(histories, self.config):
            return solve(histories, self._solve_items, self.config, self._propagated).vectors
        matrix = histories.weighted_matrix(len(self.items))
        has_history = np.diff(matrix.indptr) > 0
        indices, is_stored = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        is_stored &= has_history
        layer = np.zeros((len(histories), self.user_embeddings.shape[1]), dtype=np.float32)
        layer[is_stored] = self.user_embeddings[indices[is_stored]]
        aggregates = self._aggregate(matrix)
        layers = [layer, *(unit(_leaky_relu(outputs)) for _, _, outputs in self._forward(aggregates, layer))]
        vectors = np.concatenate(layers, axis=1)
        vectors[~has_history] = 0
        return finish_vectors(vectors, is_stored, matrix, self._solve_items, self.config)

    def _propagated(self, matrix: csr_array) -> FloatArray:
        """The layers of visitors, whose layer 0 is zero. [B, I] -> [B, (K + 1) D]."""
        return self._from_aggregates(self._aggregate(matrix), matrix.shape[0])

    def _from_sums(self, sums: FloatArray, lengths: IntArray) -> FloatArray:
        """As `_propagated`, from sums of the items' messages [K, B, D] and numbers of items [B]."""
        return self._from_aggregates(list(sums / _roots(lengths)), len(lengths))

    def _from_aggregates(self, aggregates: Sequence[FloatArray], n_users: int) -> FloatArray:
        layer = np.zeros((n_users, self.user_embeddings.shape[1]), dtype=np.float32)
        forward = self._forward(aggregates, layer)
        return np.concatenate([layer, *(unit(_leaky_relu(outputs)) for _, _, outputs in forward)], axis=1)

    def _aggregate(self, matrix: csr_array) -> list[FloatArray]:
        """The messages of each layer that histories [B, I] aggregate. [B, D] each."""
        roots = _roots(np.diff(matrix.indptr))
        return [(matrix @ messages) / roots for messages in self.item_messages]

    def _forward(
        self, aggregates: Sequence[FloatArray], layer: FloatArray
    ) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """`propagate` in numpy, for users with these aggregated messages and layer 0 [B, D].

        Yields, for each layer: its input, the aggregated messages and its output before LeakyReLU, [B, D] each.
        """
        for aggregated, w1, w2, bias in zip(aggregates, self.W1, self.W2, self.bias, strict=True):
            outputs = (layer + aggregated) @ w1 + (layer * aggregated) @ w2 + bias
            yield layer, aggregated, outputs
            layer = _leaky_relu(outputs)

    @derived("items", "popularity")
    def _solve_items(self) -> SolveItems:
        return SolveItems.of(self.items, self.config.solve_temperature, self.popularity)

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
        """Contribution of each event to the listed items' scores, through the layers and the fold-in solve. [N, k].

        Slopes and lengths are taken as constants, each factor of a product gets half of it, and biases are split
        evenly over the events. For user vectors that come from the history. See explain_newton and
        explain_solve.
        """
        if self.config.solve == "newton" and self.config.solve_steps:
            return explain_newton(histories, item_rows, self._solve_items, self.config)
        owners, matrix = histories.owners, histories.weighted_matrix(len(self.items))
        lengths = np.maximum(np.diff(histories.starts), 1)[owners, None]
        roots = np.sqrt(lengths).astype(np.float32)
        layer_0 = np.zeros((len(histories), self.user_embeddings.shape[1]), dtype=np.float32)
        part = np.zeros((len(owners), layer_0.shape[1]), dtype=np.float32)
        parts = [part]
        for k, (layer, aggregated, outputs) in enumerate(self._forward(self._aggregate(matrix), layer_0)):
            message = self.item_messages[k, histories.items] * histories.weights[:, None] / roots  # [N, D]
            products = part * aggregated[owners] + layer[owners] * message
            part = (part + message) @ self.W1[k] + products @ (self.W2[k] / 2) + self.bias[k] / lengths
            part *= np.where(outputs > 0, 1, np.float32(SLOPE))[owners]
            norms = np.linalg.norm(_leaky_relu(outputs), axis=1, keepdims=True)
            parts.append((part / np.where(norms > 0, norms, 1)[owners]).astype(np.float32))
        return explain_solve(np.concatenate(parts, axis=1), histories, item_rows, self._solve_items, self.config)

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: by `solve_near`. None as `has_deletions` says."""
        if not has_deletions(histories, self.popularity[item_rows], self._solve_items, self.config):
            return None
        deletions = Deletions(self.item_messages, self._from_sums, self._solve_items, self.config)
        return deletions.scores(histories, events, item_rows)


def _roots(lengths: IntArray) -> FloatArray:
    """Square roots of numbers of items, at least 1. [B] -> [B, 1] float32."""
    roots: FloatArray = np.sqrt(np.maximum(lengths, 1)).astype(np.float32)[:, None]
    return roots


def _leaky_relu(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, np.float32(SLOPE) * values)


def propagate(
    graph: "BipartiteGraph",
    nodes: "tuple[Tensor, Tensor]",
    weights: "Mapping[str, Tensor]",
    dropout: NGCFConfig | None = None,
    generator: "torch.Generator | None" = None,
) -> "list[tuple[Tensor, Tensor]]":
    """Layers 0..K of users [U, D] and items [I, D]; with a config and a generator, with its dropout.

    weights: `W1` and `W2` [K, D, D], `bias` [K, D]. Source: Wang et al. 2019, eq. 7; dropout: section 2.4.2.
    """
    import torch
    from torch.nn.functional import leaky_relu

    from matinee.models.graph.propagation import hop
    from matinee.training.torch_trainer import seeded_dropout

    def drop_nodes(side: torch.Tensor) -> torch.Tensor:
        if dropout is None or generator is None or not dropout.node_dropout:
            return side
        return side * seeded_dropout(torch.ones_like(side[:, :1]), dropout.node_dropout, generator)

    layers = [nodes]
    for w1, w2, bias in zip(*(weights[name] for name in WEIGHTS), strict=True):
        aggregated = hop(graph, *map(drop_nodes, layers[-1]))
        sides = []
        for layer, messages in zip(layers[-1], aggregated, strict=True):
            outputs = leaky_relu((layer + messages) @ w1 + (layer * messages) @ w2 + bias, SLOPE)
            if dropout is not None and generator is not None:
                outputs = seeded_dropout(outputs, dropout.message_dropout, generator)
            sides.append(outputs)
        layers.append((sides[0], sides[1]))
    return layers


def _initial_weights(config: NGCFConfig, generator: "torch.Generator") -> "dict[str, Tensor]":
    """W1 and W2 by Xavier, biases zero."""
    import torch

    from matinee.nn.initialisers import initialise

    n_layers, shape, device = config.layers, (config.dim, config.dim), generator.device

    def stack() -> "Tensor":
        drawn = [initialise(shape, "xavier", generator) for _ in range(n_layers)]
        return torch.stack(drawn) if drawn else torch.zeros((0, *shape), device=device)

    return {"W1": stack(), "W2": stack(), "bias": torch.zeros((n_layers, config.dim), device=device)}


def _concatenate(layers: "list[Tensor]") -> "Tensor":
    """Layers 0..K side by side, all but the first scaled to length 1. [n, (K + 1) D]."""
    from torch import cat
    from torch.nn.functional import normalize

    return cat([layers[0], *(normalize(layer, dim=1) for layer in layers[1:])], dim=1)

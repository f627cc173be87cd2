"""LightGCN: embeddings smoothed over the graph of users and items (He et al. 2020)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.cold_start import fill_cold_scores
from matinee.models.graph.config import GraphConfig
from matinee.models.graph.fold_in import explained_solve, solved
from matinee.models.stored_users import find_stored_users
from matinee.models.vectors import unit
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor


class LightGCNConfig(GraphConfig):
    """Settings of LightGCN."""

    layer_weights: Literal["mean", "learned"] = "mean"
    """What each layer counts: all alike, or as training finds."""


class LightGCN(Recommender[FloatArray]):
    """e_u = Σ_k w_k e_u^(k), likewise for items; e^(k+1) = the neighbours' e^(k) over the roots of both degrees.

    Source: He et al. 2020, eq. 3 to 8; only layer 0 is learned. The loss and its negatives are free choices.
    A visitor hears the items of the history, layer by layer, as a user of the graph does: the sum of
    `heard` over the root of how many they are. Their own layer 0 is then solved: the direction that makes their
    history likely among all items (see solve_directions), the items unchanged. `with_graph_of` sends what was learned
    over the graph of a newer log.
    The scores of items without events are the lowest of the row; who has no history is scored by popularity.
    """

    name = "lightgcn"
    Config = LightGCNConfig
    learned = ("items", "heard", "own", "own_rows", "first", "shares", "popularity")
    fold_in_tolerance: ClassVar[float] = 0.03
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row."""
    config: LightGCNConfig
    items: FloatArray  # [I, D] all layers, of length 1 under cosine
    heard: FloatArray  # [I, D] what a user hears of an item: w_1 e^(0) + ... + w_K e^(K-1), over the root of its degree
    own: FloatArray  # [U, D] layer 0 of users
    own_rows: IntArray  # [U] ascending
    first: FloatArray  # [I, D] layer 0 of items
    shares: FloatArray  # [K + 1] what each layer counts, w
    popularity: FloatArray  # [I]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        import torch

        from matinee.models.graph.propagation import propagate
        from matinee.nn.initialisers import initialise_embeddings
        from matinee.nn.ranking_losses import ranking_losses
        from matinee.nn.sparse_rows import normalise_adjacency
        from matinee.nn.sparse_tensors import BipartiteGraph
        from matinee.training.torch_trainer import TorchTrainer, torch_generator

        config, matrix = self.config, train.matrix()
        chance, edges = torch_generator(run), normalise_adjacency(matrix)
        graph = BipartiteGraph(edges)
        users, items = initialise_embeddings(edges, config.dim, config.initialiser, config.initial_std, chance)
        parameters = {"users": users, "items": items}
        if config.layer_weights == "learned":
            parameters["layers"] = torch.zeros(config.layers + 1)

        def shares() -> torch.Tensor:
            """What each layer counts. [K + 1]."""
            return torch.softmax(parameters.get("layers", torch.zeros(config.layers + 1)), dim=0)

        def learned() -> Mapping[str, FloatArray]:
            found = {"own": users.numpy().copy(), "first": items.numpy().copy(), "shares": shares().numpy().copy()}
            return found | self._propagated(matrix, users, items, shares())

        self.own_rows = train.histories.user_rows.astype(np.int32)
        self.popularity = train.popularity.astype(np.float32)
        losses = ranking_losses(config, matrix, lambda: propagate(graph, users, items, shares()), run.rng)
        steps = TorchTrainer(parameters, losses, learned, config, decay=config.decay, generator=chance)
        train_epochs(self, steps, train, run)
        return self

    def with_graph_of(self, known: TrainingData) -> Self:
        """See HasGraph: layer 0 stays, a user of `known` who was not trained on has a zero one."""
        import torch

        matrix = known.matrix()
        users = np.zeros((len(known.histories), self.own.shape[1]), dtype=np.float32)
        places, trained = find_stored_users(self.own_rows, known.histories.user_rows, "stored")
        users[trained] = self.own[places[trained]]
        model = type(self)(**self.config.model_dump())
        model.own, model.own_rows = users, known.histories.user_rows.astype(np.int32)
        model.first, model.shares, model.popularity = self.first, self.shares, known.popularity.astype(np.float32)
        layers = [torch.from_numpy(array) for array in (users, self.first, self.shares)]
        for name, value in self._propagated(matrix, *layers).items():
            setattr(model, name, value)
        return model

    def _propagated(
        self, matrix: csr_array, users: "Tensor", items: "Tensor", weights: "Tensor"
    ) -> dict[str, FloatArray]:
        """What follows from layer 0 and the graph: items and heard. matrix [U, I], users [U, D], weights [K + 1]."""
        from matinee.models.graph.propagation import propagate
        from matinee.nn.sparse_rows import inverse_sqrt, normalise_adjacency
        from matinee.nn.sparse_tensors import BipartiteGraph

        graph = BipartiteGraph(normalise_adjacency(matrix))
        whole = propagate(graph, users, items, weights)[1].numpy()
        # users hear layer k - 1 of the items with the weight of their own layer k
        heard = propagate(graph, users, items, weights[1:])[1].numpy()
        return {
            "items": unit(whole) if self.config.similarity == "cosine" else whole,
            "heard": heard * inverse_sqrt(matrix.sum(axis=0))[:, None],
        }

    def fold_in(self, histories: Histories) -> FloatArray:
        """The users' vectors. [B, D]; zero without a history."""
        config, matrix = self.config, histories.matrix(len(self.items))
        roots = np.sqrt(np.maximum(np.diff(matrix.indptr), 1)).astype(np.float32)
        vectors: FloatArray = (matrix @ self.heard) / roots[:, None]  # [B, D]
        places, known = find_stored_users(self.own_rows, histories.user_rows, config.user_state)
        vectors[known] += self.shares[0] * self.own[places[known]]
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
        """Each event's part in the user's vector, as heard and as the solve took it, times listed items. [N, k].

        Of a vector that comes from the history; a stored layer 0 belongs to no event. See explained_solve.
        """
        roots = np.sqrt(np.diff(histories.starts)).astype(np.float32)
        heard = self.heard[histories.items] / roots[histories.owners, None]
        return explained_solve(heard, histories, item_rows, self.items, self.config)

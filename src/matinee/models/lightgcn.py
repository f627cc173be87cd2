"""LightGCN: embeddings smoothed over the graph of users and items (He et al. 2020)."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender, Run
from matinee.models.fold_in import explained_solve, rank_isolated, solved, stored_places, unit
from matinee.nn.settings import GraphConfig
from matinee.training import train_epochs


class LightGCNConfig(GraphConfig):
    """Settings of LightGCN."""

    layer_weights: Literal["mean", "learned"] = "mean"
    """What each layer counts: all alike, or as training finds."""


class LightGCN(Recommender[FloatArray]):
    """e_u = Σ_k w_k e_u^(k), likewise for items; e^(k+1) = the neighbours' e^(k) over the roots of both degrees.

    Source: He et al. 2020, eq. 3 to 8; only layer 0 is learned. The loss and its negatives are free choices.
    A visitor hears the items of the history, layer by layer, as a user of the graph does: the sum of
    `heard` over the root of how many they are. Their own layer 0 is then solved: the direction that makes their
    history likely among all items (see solve_directions), the items unchanged.
    The scores of items without events are the lowest of the row; who has no history is scored by popularity.
    """

    name = "lightgcn"
    Config = LightGCNConfig
    learned = ("items", "heard", "own", "own_rows", "popularity")
    fold_in_tolerance: ClassVar[float] = 0.03
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row."""
    config: LightGCNConfig
    items: FloatArray  # [I, D] all layers, of length 1 under cosine
    heard: FloatArray  # [I, D] what a user hears of an item: w_1 e^(0) + ... + w_K e^(K-1), over the root of its degree
    own: FloatArray  # [U, D] layer 0 of users, weighted
    own_rows: IntArray  # [U] ascending
    popularity: FloatArray  # [I]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        import torch

        from matinee.nn.initialisers import initial_embeddings
        from matinee.nn.objective import losses_of
        from matinee.nn.propagation import Graph, inverse_roots, normalised, propagate
        from matinee.nn.steps import GradientSteps, torch_generator

        config, matrix = self.config, train.matrix()
        chance, edges = torch_generator(run), normalised(matrix)
        graph = Graph(edges)
        users, items = initial_embeddings(edges, config.dim, config.initialiser, config.initial_std, chance)
        parameters = {"users": users, "items": items}
        if config.layer_weights == "learned":
            parameters["layers"] = torch.zeros(config.layers + 1)

        def shares() -> torch.Tensor:
            """What each layer counts. [K + 1]."""
            return torch.softmax(parameters.get("layers", torch.zeros(config.layers + 1)), dim=0)

        def learned() -> Mapping[str, FloatArray]:
            weights = shares()
            whole = propagate(graph, users, items, weights)[1].numpy()
            # users hear layer k - 1 of the items with the weight of their own layer k
            heard = propagate(graph, users, items, weights[1:])[1].numpy()
            return {
                "items": unit(whole) if config.similarity == "cosine" else whole,
                "heard": heard * inverse_roots(matrix.sum(axis=0))[:, None],
                "own": (weights[0] * users).numpy(),
            }

        self.own_rows = train.histories.user_rows.astype(np.int32)
        self.popularity = train.popularity.astype(np.float32)
        losses = losses_of(config, matrix, lambda: propagate(graph, users, items, shares()), run.rng)
        steps = GradientSteps(parameters, losses, learned, config, decay=config.decay, generator=chance)
        train_epochs(self, steps, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The users' vectors. [B, D]; zero without a history."""
        config, matrix = self.config, histories.matrix(len(self.items))
        roots = np.sqrt(np.maximum(np.diff(matrix.indptr), 1)).astype(np.float32)
        vectors: FloatArray = (matrix @ self.heard) / roots[:, None]  # [B, D]
        places, known = stored_places(self.own_rows, histories.user_rows, config.user_state)
        vectors[known] += self.own[places[known]]
        return solved(vectors, known, matrix, self.items, config)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        return rank_isolated(state @ self.items.T, state, self.popularity)  # [B, I]

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

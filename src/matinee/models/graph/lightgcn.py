"""LightGCN: user and item embeddings averaged over the layers of the user-item graph (He et al. 2020)."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender, StartArrays
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
    from torch import Tensor

    from matinee.models.graph.propagation import BipartiteGraph


class LightGCNConfig(GraphConfig):
    """Settings of LightGCN."""

    layer_weights: Literal["mean", "learned"] = "mean"
    """Layer weights in the final sum: uniform 1/(K+1), as in the paper, or learned."""


class LightGCN(Recommender[FloatArray]):
    """score(u, i) = cos(e_u, e_i), e_u = Σ_k w_k e_u^(k), e_u^(k+1) = Σ_{i in N(u)} e_i^(k) / sqrt(|N(u)| |N(i)|).

    Items likewise, with k = 0..K; only layer 0 is learned, and w_k = 1/(K+1) unless learned.
    Source: He et al. 2020, eq. 3 to 8.

    Fold-in: the direction that makes a visitor's history most likely among all items, with the items fixed, by two
    steps (`fold_in.solve`). Plain steps begin at the visitor as one more user node: at each layer, the sum of its
    items' messages over sqrt(history length), times the events' weights; so the solution amounts to choosing its
    layer 0. `with_graph_of` propagates layer 0 over a newer log. Items without events score lowest; an empty history is
    ranked by popularity.

    Differs from the paper: by default the loss is the softmax over the whole catalogue, of cosines over a temperature,
    with users weighted by n^-user_power an event, two layers instead of three, layer 0 initialised by an SVD, no L2,
    and Adam's step size 0.02 on full batches. configs/paper/lightgcn.toml has the paper's own: BPR on dot products
    (eq. 15) with one uniform negative, L2 on layer 0, three layers, and the trained layer 0 of each user. What remains:
    a negative that the user has is dropped instead of drawn again; and an epoch visits every pair once, where the
    authors' code samples users uniformly. The paper has no visitors.
    """

    name = "lightgcn"
    Config = LightGCNConfig
    trained_by_torch = True
    shares_batches = True
    uses_weights = True
    learned = (
        "items",
        "item_messages",
        "user_embeddings",
        "user_rows",
        "item_embeddings",
        "layer_weights",
        "popularity",
    )
    item_arrays = (("items", 0), ("item_messages", 0), ("popularity", 0))
    unscaled_arrays = frozenset({"item_messages", "popularity"})
    other_item_arrays = (("item_embeddings", 0),)
    fold_in_tolerance: ClassVar[float] = 0.03
    """Largest mean over users of 1 - correlation between scores from the history and those of the stored embedding."""
    start_arrays: ClassVar[StartArrays] = {
        "items": ("item_embeddings", "items"),
        "users": ("user_embeddings", "users"),
    }
    config: LightGCNConfig
    items: FloatArray  # [I, D] final item vectors, of length 1 if the similarity is the cosine
    item_messages: FloatArray  # [I, D] (w_1 e^(0) + ... + w_K e^(K-1)) / sqrt(degree): what an item adds to its users
    user_embeddings: FloatArray  # [U, D] layer 0
    user_rows: IntArray  # [U] ascending
    item_embeddings: FloatArray  # [I, D] layer 0
    layer_weights: FloatArray  # [K + 1] w
    popularity: FloatArray  # [I]

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: on a large catalogue, candidates."""
        return large_catalogue_defaults(train, loss="softmax")

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, the graph both ways, and the vectors of users and items in each layer."""
        layers = 8 * self.config.dim * (self.config.layers + 1) * (train.n_items + train.n_users)
        return matrix_needs(train, 5) + parameter_needs(train, self.config.dim, users=True) + layers

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        import torch

        from matinee.models.graph.training import Network, Nodes, train_on_graph
        from matinee.training.transfers import to_array

        nodes = Nodes.initialise(self.config, train, run)
        is_learned = self.config.layer_weights == "learned"
        logits = torch.zeros(self.config.layers + 1, device=nodes.generator.device)

        def embed() -> tuple[torch.Tensor, torch.Tensor]:
            return propagate(nodes.graph, nodes.users, nodes.items, torch.softmax(logits, dim=0))

        def learned() -> dict[str, FloatArray]:
            weights = torch.softmax(logits, dim=0)
            layer_0 = {"user_embeddings": nodes.users, "item_embeddings": nodes.items, "layer_weights": weights}
            copies = {name: to_array(value) for name, value in layer_0.items()}
            return copies | self._propagate(nodes.graph, nodes.matrix.sum(axis=0), nodes.users, nodes.items, weights)

        self.user_rows = train.histories.user_rows.astype(np.int32)
        self.popularity = train.popularity.astype(np.float32)
        network = Network({"layers": logits} if is_learned else {}, embed, learned)
        train_on_graph(self, self.config, nodes, network, train, run)
        return self

    def with_graph_of(self, known: TrainingData) -> Self:
        """See HasGraph: keeps layer 0; users of `known` without a trained embedding get zeros."""
        import torch

        from matinee.models.graph.propagation import BipartiteGraph
        from matinee.nn.sparse_rows import normalise_adjacency

        model, matrix = copy_onto(self, known), known.matrix()
        arrays = model.user_embeddings, model.item_embeddings, model.layer_weights
        graph = BipartiteGraph(normalise_adjacency(matrix), torch.device("cpu"))
        for name, value in model._propagate(graph, matrix.sum(axis=0), *map(torch.from_numpy, arrays)).items():
            setattr(model, name, value)
        return model

    def _propagate(
        self, graph: "BipartiteGraph", item_degrees: IntArray, users: "Tensor", items: "Tensor", weights: "Tensor"
    ) -> dict[str, FloatArray]:
        """`items` and `item_messages` from layer 0 (users [U, D], items [I, D]) and weights [K + 1]."""
        from matinee.nn.sparse_rows import inverse_sqrt
        from matinee.training.transfers import to_array

        vectors = to_array(propagate(graph, users, items, weights)[1])
        # a user's layer k aggregates the items' layer k - 1, hence the weights from the second on
        messages = to_array(propagate(graph, users, items, weights[1:])[1])
        return {
            "items": unit(vectors) if self.config.similarity == "cosine" else vectors,
            "item_messages": messages * inverse_sqrt(item_degrees)[:, None],
        }

    def fold_in(self, histories: Histories) -> FloatArray:
        """User vectors. [B, D]; zero for an empty history of a visitor."""
        if is_solved(histories, self.config):
            return solve(histories, self._solve_items, self.config, self._propagated).vectors
        matrix = histories.weighted_matrix(len(self.items))
        vectors = self._propagated(matrix)
        indices, is_stored = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        vectors[is_stored] += self.layer_weights[0] * self.user_embeddings[indices[is_stored]]
        return finish_vectors(vectors, is_stored, matrix, self._solve_items, self.config)

    def _propagated(self, matrix: csr_array) -> FloatArray:
        """The layers above 0 of users with these weights. [B, I] -> [B, D]."""
        return _from_sums((matrix @ self.item_messages)[None], np.diff(matrix.indptr))

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
        """Contribution of each event to the listed items' scores, through propagation and the fold-in solve. [N, k].

        For user vectors that come from the history: a trained layer 0 belongs to no event. See explain_newton and
        explain_solve.
        """
        if self.config.solve == "newton" and self.config.solve_steps:
            return explain_newton(histories, item_rows, self._solve_items, self.config)
        roots = np.sqrt(np.diff(histories.starts)).astype(np.float32)
        messages = self.item_messages[histories.items] * histories.weights[:, None] / roots[histories.owners, None]
        return explain_solve(messages, histories, item_rows, self._solve_items, self.config)

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: by `solve_near`. None as `has_deletions` says."""
        if not has_deletions(histories, self.popularity[item_rows], self._solve_items, self.config):
            return None
        deletions = Deletions(self.item_messages[None], _from_sums, self._solve_items, self.config)
        return deletions.scores(histories, events, item_rows)


def _from_sums(sums: FloatArray, lengths: IntArray) -> FloatArray:
    """The layers above 0 of users, from sums of their items' messages [1, B, D] and numbers of items [B]. [B, D]."""
    vectors: FloatArray = sums[0] / np.sqrt(np.maximum(lengths, 1)).astype(np.float32)[:, None]
    return vectors


def propagate(
    graph: "BipartiteGraph", users: "Tensor", items: "Tensor", layer_weights: "Tensor"
) -> "tuple[Tensor, Tensor]":
    """Weighted sum of layers 0..K. users [U, D], items [I, D], layer_weights [K + 1] -> the same shapes.

    Source: He et al. 2020, eq. 7 and 8 (weights 1 / (K + 1)).
    """
    import torch

    from matinee.models.graph.propagation import hop

    user_sum, item_sum = torch.zeros_like(users), torch.zeros_like(items)
    for layer, weight in enumerate(layer_weights):
        if layer:
            users, items = hop(graph, users, items)
        user_sum, item_sum = user_sum + weight * users, item_sum + weight * items
    return user_sum, item_sum

"""The graph that paths walk: items, entities and users, with bounded lists of neighbours."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import IntArray, gather, rows_of, starts_of
from matinee.histories import Histories
from matinee.knowledge_graph import EVENTS, LIKED_WEIGHT, KnowledgeGraph

USER = "user"


@dataclass(frozen=True, slots=True, eq=False)
class WalkGraph:
    """N nodes (items, then entities, then users) and the steps that lead from one to another.

    starts: [N + 1]; targets, steps: [S], node n's are starts[n]:starts[n + 1]. Step 2 r leads along relation r from
    head to tail, step 2 r + 1 back. node_types: [N], indices into `types`; relations: names by r.
    """

    starts: IntArray
    targets: IntArray
    steps: IntArray
    node_types: IntArray
    types: tuple[str, ...]
    relations: tuple[str, ...]

    @property
    def n_nodes(self) -> int:
        """N."""
        return len(self.node_types)

    @classmethod
    def of(
        cls, graph: KnowledgeGraph, histories: Histories, max_neighbours: int, rng: np.random.Generator
    ) -> "WalkGraph":
        """The graph of items and entities with a node for each history, bounded by `_bounded`."""
        first_user = graph.n_nodes
        users, event_kinds = first_user + histories.owners, np.zeros(len(histories.items), dtype=np.int64)
        if histories.mapped is not None:
            event_kinds[histories.mapped >= LIKED_WEIGHT] = 1
        heads = np.concatenate([graph.heads, users])
        tails = np.concatenate([graph.tails, histories.items])
        kinds = np.concatenate([graph.kinds, len(graph.relations) + event_kinds])
        n_nodes = first_user + len(histories)
        sources, targets = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        steps = np.concatenate([2 * kinds, 2 * kinds + 1])
        starts, targets, steps = _bounded(sources, targets, steps, max_neighbours, rng.permutation(n_nodes))
        types = np.full(n_nodes, len(graph.types), dtype=np.int32)
        types[:first_user] = graph.node_types
        return cls(starts, targets, steps, types, (*graph.types, USER), (*graph.relations, *EVENTS))

    def neighbours(self, nodes: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Every step from some nodes [n]: the index into `nodes` it starts from, its target and the step, [m] each."""
        starts, indices = gather(self.starts, nodes)
        origins = np.repeat(np.arange(len(nodes)), np.diff(starts))
        return origins, self.targets[indices], self.steps[indices]

    def knowledge(self, n_items: int, names: tuple[str, ...]) -> KnowledgeGraph:
        """The graph that it was made of, but for triples whose head and tail both had too many neighbours.

        names: of the entities.
        """
        sources, kinds, is_forward = rows_of(self.starts), self.steps // 2, self.steps % 2 == 0
        heads, tails = (np.where(is_forward, *ends) for ends in ((sources, self.targets), (self.targets, sources)))
        relations = self.relations[: -len(EVENTS)]
        triples = np.stack([heads, kinds, tails], axis=1)[kinds < len(relations)]
        heads, kinds, tails = np.unique(triples.astype(np.int32), axis=0).T
        entity_types = self.node_types[n_items : n_items + len(names)]
        return KnowledgeGraph(n_items, self.types[:-1], names, entity_types, relations, heads, kinds, tails)


def _bounded(
    sources: IntArray, targets: IntArray, steps: IntArray, most: int, priority: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Steps by source, at most `most` of each source and step: those whose targets come first in `priority` [N].

    One order of all nodes, not a draw for each list: two movies that share users then keep the same ones of them (a
    bottom-k sketch), so that the paths between them thin out evenly.
    """
    order = np.lexsort((priority[targets], steps, sources))
    sources, targets, steps = sources[order], targets[order], steps[order]
    is_first = np.ones(len(sources), dtype=bool)
    is_first[1:] = (sources[1:] != sources[:-1]) | (steps[1:] != steps[:-1])
    firsts = np.flatnonzero(is_first)
    sizes = np.diff(np.append(firsts, len(sources)))
    kept = np.arange(len(sources)) - np.repeat(firsts, sizes) < most
    n_nodes = len(priority)
    return starts_of(sources[kept], n_nodes), targets[kept].astype(np.int32), steps[kept].astype(np.int16)


def liked_matrix(histories: Histories, n_items: int) -> csr_array:
    """Weights above 0 of the histories. [B, I]."""
    matrix = histories.weighted_matrix(n_items)
    if histories.mapped is not None:
        matrix.data = np.maximum(matrix.data, 0)
        matrix.eliminate_zeros()
    return matrix

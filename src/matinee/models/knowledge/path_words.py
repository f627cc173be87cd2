"""A path of rows as one that can be read: names of its nodes and relations."""

from collections.abc import Sequence

from matinee.arrays import IntArray
from matinee.models.base import Path, PathNode
from matinee.models.knowledge.paths import NONE
from matinee.models.knowledge.walks import WalkGraph
from matinee.vocab import UNKNOWN


def in_words(
    graph: WalkGraph, n_items: int, names: Sequence[str], nodes: IntArray, steps: IntArray, score: float, share: float
) -> Path:
    """A path in words."""
    kept, taken = nodes[nodes != NONE].tolist(), steps[steps != NONE].tolist()
    found = []
    for node in kept:
        entity = node - n_items
        name = names[entity] if 0 <= entity < len(names) and graph.types[graph.node_types[node]] != "user" else ""
        found.append(PathNode(graph.types[graph.node_types[node]], name, node if entity < 0 else UNKNOWN))
    relations = tuple(graph.relations[step // 2] for step in taken)
    return Path(tuple(found), relations, tuple(step % 2 == 0 for step in taken), score, share)

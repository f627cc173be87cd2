"""A path of rows as one that can be read: names of its nodes and relations."""

from collections.abc import Sequence

from matinee.models.base import Path, PathNode
from matinee.models.knowledge.paths import NONE
from matinee.models.knowledge.walks import WalkGraph
from matinee.vocab import UNKNOWN


def in_words(
    graph: WalkGraph,
    n_items: int,
    names: Sequence[str],
    nodes: Sequence[int],
    steps: Sequence[int],
    score: float,
    share: float,
) -> Path:
    """A path in words, of its nodes and the steps between them; NONE behind the end."""
    kept, taken = [node for node in nodes if node != NONE], [step for step in steps if step != NONE]
    found = []
    for node in kept:
        entity = node - n_items
        name = names[entity] if 0 <= entity < len(names) and graph.types[graph.node_types[node]] != "user" else ""
        found.append(PathNode(graph.types[graph.node_types[node]], name, node if entity < 0 else UNKNOWN))
    relations = tuple(graph.relations[step // 2] for step in taken)
    return Path(tuple(found), relations, tuple(step % 2 == 0 for step in taken), score, share)

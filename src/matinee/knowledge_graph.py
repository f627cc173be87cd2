"""A knowledge graph: items, what they have in common, and typed relations between them."""

import hashlib
from dataclasses import dataclass

import numpy as np

from matinee.arrays import IntArray

ITEM = "item"
"""The type of the nodes that are items."""
PERSON = "person"
"""The type of directors, actors, writers and all others."""
ENTITY = "entity"
"""The type of a node of which no relation says more."""
EVENTS = ("rated", "liked")
"""Relations of users to items; an event is of one of them, by its weight."""
LIKED_WEIGHT = 1.0
"""Weight from which an event is of the relation `liked` too: value maps give an average event 1."""


@dataclass(frozen=True, slots=True, eq=False)
class KnowledgeGraph:
    """Triples head -relation-> tail between nodes: node n < I is item row n, node I + e is entity e.

    n_items: I; types: names of node types, the first is ITEM; names, entity_types: [E], of the entities, ordered by
    type and then name; relations: [R] names; heads, kinds, tails: [T] nodes, relations and nodes, each triple once,
    without self-loops. notes: what was left out, one sentence each.
    """

    n_items: int
    types: tuple[str, ...]
    names: tuple[str, ...]
    entity_types: IntArray
    relations: tuple[str, ...]
    heads: IntArray
    kinds: IntArray
    tails: IntArray
    notes: tuple[str, ...] = ()

    @classmethod
    def empty(cls, n_items: int) -> "KnowledgeGraph":
        """Items without any relation."""
        none = np.zeros(0, dtype=np.int32)
        return cls(n_items, (ITEM,), (), none, (), none, none, none)

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def n_nodes(self) -> int:
        """Items and entities: I + E."""
        return self.n_items + len(self.names)

    @property
    def node_types(self) -> IntArray:
        """Type of each node, an index into `types`. [I + E]."""
        return np.concatenate([np.zeros(self.n_items, dtype=np.int32), self.entity_types]).astype(np.int32)

    @property
    def fingerprint(self) -> str:
        """Hash of nodes and triples: 16 hex digits."""
        digest = hashlib.blake2b("\0".join((*self.types, *self.names, *self.relations)).encode(), digest_size=8)
        for column in (self.entity_types, self.heads, self.kinds, self.tails):
            digest.update(np.ascontiguousarray(column, dtype=np.int32).data)
        return digest.hexdigest()

    def without(self, *relations: str) -> "KnowledgeGraph":
        """The graph without the triples of some relations; its nodes stay."""
        kept = ~np.isin(self.kinds, [row for row, name in enumerate(self.relations) if name in relations])
        return KnowledgeGraph(
            self.n_items, self.types, self.names, self.entity_types, self.relations,
            self.heads[kept], self.kinds[kept], self.tails[kept], self.notes,
        )  # fmt: skip

"""The audit of a knowledge graph beside a log: relations, degrees, and items that nothing joins."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from matinee.arrays import IntArray
from matinee.config import ValuesConfig
from matinee.data.statistics import Summary, count_of
from matinee.dataset import Dataset
from matinee.knowledge_graph import LIKED_WEIGHT, KnowledgeGraph
from matinee.shown import Plotted
from matinee.values import resolve

SHOWN_HUBS = 3


@dataclass(frozen=True, slots=True)
class RelationAudit:
    """One relation: its triples, distinct heads and tails, and their degrees.

    per_head, per_tail: triples of each head and each tail; single: tails with one head only, which join nothing; hubs:
    the tails with most heads and their numbers.
    """

    name: str
    triples: int
    heads: int
    tails: int
    per_head: Summary
    per_tail: Summary
    single: int
    hubs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GraphAudit(Plotted):
    """Statistics of a graph.

    nodes: number of each type; relations: the log's own first; isolated: items without a triple of the graph;
    alone: items without a triple or an event; degrees: [I], triples of each item, for the picture.
    """

    name: str
    fingerprint: str
    nodes: dict[str, int]
    triples: int
    relations: tuple[RelationAudit, ...]
    isolated: int
    alone: int
    notes: tuple[str, ...]
    degrees: IntArray = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All but the degrees, ready for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "degrees"}
        return plain | {"relations": [asdict(each) for each in self.relations], "notes": list(self.notes)}

    def rows(self) -> list[tuple[str, str]]:
        """Table rows: label and value."""
        n_items = self.nodes["item"]
        rows = [("graph", f"{self.triples:,} triples ({self.fingerprint})")]
        rows += [(f"nodes: {name}", f"{count:,}") for name, count in self.nodes.items()]
        for each in self.relations:
            hubs = ", ".join(f"{name} {count:,}" for name, count in each.hubs)
            rows += [
                (each.name, f"{each.triples:,} from {each.heads:,} heads to {each.tails:,} tails"),
                (f"{each.name}: per head", str(each.per_head)),
                (f"{each.name}: per tail", f"{each.per_tail}; {count_of(each.single, each.tails)} with one head"),
                *([(f"{each.name}: largest", hubs)] if hubs else []),
            ]
        return [
            *rows,
            ("items without a triple", count_of(self.isolated, n_items)),
            ("items without a triple or an event", count_of(self.alone, n_items)),
        ]


def audit_graph(data: Dataset, graph: KnowledgeGraph) -> GraphAudit:
    """Audit the graph of a data set. Its events are the relation `rated`, of users to items.

    `liked` are the events that weigh at least as much as an average one by the default value map.
    """
    n_items = len(data.items)
    names = (*data.catalogue.titles, *graph.names)
    ends = np.concatenate([graph.heads, graph.tails])
    degrees = np.bincount(ends[ends < n_items], minlength=n_items)
    counts = np.bincount(data.events.item_rows, minlength=n_items)
    types = np.bincount(graph.node_types, minlength=len(graph.types)).tolist()
    events, weights = data.events, resolve(ValuesConfig(), data.events.values, data.kind).weights(data.events.values)
    relations = []
    for name, chosen in (("rated", np.isfinite(weights)), ("liked", weights >= LIKED_WEIGHT)):
        if chosen.any():
            relations.append(_relation(name, events.user_rows[chosen], events.item_rows[chosen], names))
    for kind, name in enumerate(graph.relations):
        of_kind = graph.kinds == kind
        if of_kind.any():
            relations.append(_relation(name, graph.heads[of_kind], graph.tails[of_kind], names))
    return GraphAudit(
        name=data.name,
        fingerprint=graph.fingerprint,
        nodes={"user": len(data.users), **dict(zip(graph.types, types, strict=True))},
        triples=len(graph),
        relations=tuple(relations),
        isolated=int((degrees == 0).sum()),
        alone=int(((degrees == 0) & (counts == 0)).sum()),
        notes=(*graph.notes, *([] if len(graph) else ["the graph has no triples: paths lead through users alone"])),
        degrees=degrees,
    )


def _relation(name: str, heads: IntArray, tails: IntArray, names: tuple[str, ...]) -> RelationAudit:
    _, per_head = np.unique(heads, return_counts=True)
    nodes, per_tail = np.unique(tails, return_counts=True)
    largest = np.lexsort((nodes, -per_tail))[:SHOWN_HUBS]
    return RelationAudit(
        name=name,
        triples=len(heads),
        heads=len(per_head),
        tails=len(per_tail),
        per_head=Summary.of(per_head),
        per_tail=Summary.of(per_tail),
        single=int((per_tail == 1).sum()),
        hubs=tuple((names[nodes[row]], int(per_tail[row])) for row in largest.tolist()),
    )

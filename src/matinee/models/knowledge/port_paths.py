"""The strongest paths of the form `patterns`, from its sums: which ports an event and an arrival share, see there."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, gather, rows_of
from matinee.models.base import Path
from matinee.models.knowledge.path_words import in_words
from matinee.models.knowledge.walks import WalkGraph


@dataclass(frozen=True, slots=True, eq=False)
class PortPaths:
    """What leads from one item to another by a port, of K ports.

    mids, steps: [K], the node of each port and the step that leads there; reach_starts [I + 1] and reach_ports: the
    ports of each item; starts [I + 1], ports and weights [T]: the arrivals of each item, by port, and their exp(s / T);
    temperature: T.
    """

    graph: WalkGraph
    mids: IntArray
    steps: IntArray
    reach_starts: IntArray
    reach_ports: IntArray
    starts: IntArray
    ports: IntArray
    weights: FloatArray
    temperature: float

    @classmethod
    def of(
        cls,
        graph: WalkGraph,
        reach: tuple[IntArray, IntArray],
        arrivals: tuple[IntArray, IntArray, FloatArray],
        temperature: float,
    ) -> Self:
        """From starts and ports of the items, and starts, ports and weights of the arrivals."""
        reach_starts, reach_ports = reach
        n_ports = int(reach_ports.max(initial=-1)) + 1
        _, targets, taken = graph.neighbours(np.arange(len(reach_starts) - 1))
        mids, steps = np.zeros(n_ports, dtype=np.int64), np.zeros(n_ports, dtype=np.int64)
        mids[reach_ports], steps[reach_ports] = targets, taken
        return cls(graph, mids, steps, reach_starts, reach_ports, *arrivals, temperature)

    def find(self, matrix: csr_array, item_rows: IntArray, k: int, names: Sequence[str]) -> list[tuple[Path, ...]]:
        """The k strongest paths from the events of each history [B, I] to its item [B], best first.

        names: of the entities.
        """
        n, n_ports = len(item_rows), len(self.mids)
        picked, indices = gather(self.starts, item_rows)
        keys = rows_of(picked) * n_ports + self.ports[indices]  # ascending
        left, own_ports = gather(self.reach_starts, matrix.indices)
        entries = np.repeat(np.arange(matrix.nnz), np.diff(left))
        wanted = rows_of(matrix.indptr)[entries] * n_ports + self.reach_ports[own_ports]
        firsts = np.searchsorted(keys, wanted)
        shared = np.flatnonzero(np.append(keys, -1)[firsts] == wanted)
        entries, firsts = entries[shared], firsts[shared]
        counts = np.searchsorted(keys, wanted[shared], side="right") - firsts
        ranks = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # of equal ports
        entries, positions = np.repeat(entries, counts), np.repeat(firsts, counts) + ranks
        pairs = rows_of(picked)[positions]
        terms = matrix.data[entries] * self.weights[indices[positions]]
        terms[matrix.indices[entries] == item_rows[pairs]] = 0  # a path ends in another item
        shares = terms / np.bincount(pairs, terms, minlength=n)[pairs].clip(np.finfo(np.float32).tiny)
        best = np.lexsort((-terms, pairs))
        found = []
        for start, stop in pairwise(np.searchsorted(pairs[best], np.arange(n + 1)).tolist()):
            chosen = best[start : min(stop, start + k)]
            chosen = chosen[terms[chosen] > 0]
            columns = matrix.indices[entries[chosen]], pairs[chosen], indices[positions[chosen]], ranks[chosen]
            each = zip(*(column.tolist() for column in columns), shares[chosen].tolist(), strict=True)
            found.append(
                tuple(
                    self._in_words(event, int(item_rows[pair]), arrival, rank, share, names)
                    for event, pair, arrival, rank, share in each
                )
            )
        return found

    def _in_words(self, event: int, item: int, arrival: int, rank: int, share: float, names: Sequence[str]) -> Path:
        """A path from an event's item by an arrival of an item, the rank-th of those of its port."""
        port = int(self.ports[arrival])
        mid, step = int(self.mids[port]), int(self.steps[port])
        nodes, steps = [event, mid], [step]
        if mid != item:
            own = slice(self.graph.starts[item], self.graph.starts[item + 1])
            lasts = np.sort(self.graph.steps[own][self.graph.targets[own] == mid] ^ 1)
            nodes, steps = [*nodes, item], [step, int(lasts[rank])]
        score = self.temperature * float(np.log(self.weights[arrival]))
        return in_words(self.graph, len(self.starts) - 1, names, nodes, steps, score, share)

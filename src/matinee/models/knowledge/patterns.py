"""Paths by their pattern: all paths of 2 and 3 nodes from a history to an item as two sparse matrices.

A path h -> m -> i leaves h by a step and arrives in i by another. With a port for each pair of a first step and the
node m that it leads to, `reach` [I, K] says which ports an item leads to, and an arrival is a port from which an item
can be reached, by a pattern. If a path's score is a sum of terms of its pattern, of m and of i, then the sum over all
paths of exp(score) is history x reach x arrivals: no path is ever listed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, gather, starts_of
from matinee.models.knowledge.walks import WalkGraph

END = -1
"""In place of the second step of a path of two nodes."""
USERS_AT_ONCE = 64
"""Histories whose ports are made dense at once: a few MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """reach: [I, K], 1 where a step leads from an item to a port; arrivals: [T] each, by item.

    starts: [I + 1] of an item's arrivals; ports, kinds, mids: [T], the port, the pattern and the node of the port.
    steps: [P, 2] the two steps of each pattern, END for none; types: [P, 3] the node types, of a pattern of two nodes
    the last is that of the second again.
    """

    reach: csr_array
    starts: IntArray
    ports: IntArray
    kinds: IntArray
    mids: IntArray
    steps: IntArray
    types: IntArray

    @classmethod
    def of(cls, graph: WalkGraph, n_items: int) -> "Patterns":
        """The patterns of a graph's paths, and the arrivals of each item."""
        items = np.arange(n_items)
        origins, mids, steps = graph.neighbours(items)
        keys, ports = np.unique(mids.astype(np.int64) * 2**16 + steps, return_inverse=True)
        reach = csr_array(
            (np.ones(len(ports), dtype=np.float32), ports, starts_of(origins, n_items)), shape=(n_items, len(keys))
        )
        port_mids, port_steps = keys >> 16, keys & 0xFFFF
        of_mid = starts_of(port_mids, graph.n_nodes)
        picked, indices = gather(of_mid, mids)  # every port of the node that an item's own step leads to
        back = np.repeat(np.arange(len(mids)), np.diff(picked))
        direct = np.flatnonzero(port_mids < n_items)  # a step that leads to the item itself
        arriving = np.concatenate([origins[back], port_mids[direct]])
        ports = np.concatenate([indices, direct])
        last = np.concatenate([steps[back] ^ 1, np.full(len(direct), END)])
        order = np.lexsort((last, ports, arriving))
        arriving, ports, last = arriving[order], ports[order], last[order]
        table, kinds = np.unique(
            np.column_stack([port_steps[ports], last, graph.node_types[port_mids[ports]]]), axis=0, return_inverse=True
        )
        types = np.column_stack(
            [np.zeros(len(table), dtype=np.int64), table[:, 2], np.where(table[:, 1] == END, table[:, 2], 0)]
        )
        return cls(
            reach, starts_of(arriving, n_items), ports.astype(np.int32), kinds.reshape(-1).astype(np.int32),
            port_mids[ports].astype(np.int32), table[:, :2].astype(np.int32), types.astype(np.int32),
        )  # fmt: skip

    @property
    def items(self) -> IntArray:
        """The item of each arrival. [T]."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def meet(
    histories: csr_array, reach: csr_array, arrivals: tuple[IntArray, IntArray], pairs: tuple[IntArray, IntArray]
) -> tuple[IntArray, IntArray, FloatArray]:
    """The arrivals that paths of each pair use: index of the pair, arrival, and sum of the events' weights. [n] each.

    histories: [B, I] weights; arrivals: their starts [I + 1] and ports [T]; pairs: owner and item [Q], by owner.
    """
    (starts, ports), (owners, items) = arrivals, pairs
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    reached = (histories @ reach).tocsr()
    firsts = np.arange(0, histories.shape[0], USERS_AT_ONCE)
    for first, start, stop in zip(firsts, *np.searchsorted(owners, [firsts, firsts + USERS_AT_ONCE]), strict=True):
        block = reached[first : first + USERS_AT_ONCE].toarray()
        picked, indices = gather(starts, items[start:stop])
        of_pair = np.repeat(np.arange(start, stop), np.diff(picked))
        used = ports.take(indices)
        weights = block[0].take(used) if len(block) == 1 else block[owners[of_pair] - first, used]
        kept = np.flatnonzero(weights > 0)
        found.append((of_pair.take(kept), indices.take(kept), weights.take(kept)))
    of_pair, indices, weights = (np.concatenate(column) for column in zip(*found, strict=True))
    return of_pair, indices, weights

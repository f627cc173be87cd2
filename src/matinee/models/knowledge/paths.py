"""Paths between the items of a history and listed items: walks from both ends that meet in the middle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import BoolArray, IntArray
from matinee.models.knowledge.walks import WalkGraph

NONE = -1
"""Fills the nodes and steps of paths shorter than the longest."""
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Constants of splitmix64 (Steele, Lea and Flood 2014)."""


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """P paths, ordered by pair.

    pairs: [P], the index of the listed item's pair; events: [P], the index of the event that the path starts from;
    nodes: [P, M], steps: [P, M - 1], NONE behind the end of a shorter path; lengths: [P] nodes, 2 to M.
    """

    pairs: IntArray
    events: IntArray
    nodes: IntArray
    steps: IntArray

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def lengths(self) -> IntArray:
        """Number of nodes of each path. [P]."""
        counts: IntArray = np.count_nonzero(self.nodes != NONE, axis=1)
        return counts

    def take(self, rows: IntArray | BoolArray) -> "Paths":
        """Some of the paths."""
        return Paths(self.pairs[rows], self.events[rows], self.nodes[rows], self.steps[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Walks:
    """W walks of one length from one end. origins: [W] index of the event or pair; owners: [W] of the history."""

    origins: IntArray
    owners: IntArray
    nodes: IntArray  # [W, n]
    steps: IntArray  # [W, n - 1]

    def take(self, rows: IntArray | BoolArray) -> "_Walks":
        return _Walks(self.origins[rows], self.owners[rows], self.nodes[rows], self.steps[rows])


def find_paths(
    graph: WalkGraph,
    events: tuple[IntArray, IntArray],
    pairs: tuple[IntArray, IntArray],
    max_nodes: int,
    *,
    max_walks: int = 0,
    max_paths: int = 0,
    seed: int = 0,
) -> Paths:
    """All simple paths of 2 to max_nodes nodes from each history's events to its listed items.

    events: owner and item row of each event, [N] each; pairs: owner and item row of each listed item, [Q] each; both
    ascending by owner. A path of n nodes takes its first ceil((n - 1) / 2) steps from the lists of the nodes they
    leave; the other steps are in the lists of the nodes they arrive at, as walks from the listed item find them.
    max_walks: of walks with two steps keep that many of each history; max_paths: of paths keep that many of each pair;
    0 keeps all. What is kept follows from the nodes and the seed alone, not from the batch.
    """
    ahead = _walks(graph, *events, -(-(max_nodes - 1) // 2), max_walks, seed)
    back = _walks(graph, *pairs, (max_nodes - 1) // 2, max_walks, seed)
    joined = [_joined(ahead[-(-n // 2)], back[n // 2], graph.n_nodes) for n in range(1, max_nodes)]
    found = [path for path in (_padded(each, max_nodes) for each in joined) if len(path)]
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return Paths(none, none, np.zeros((0, max_nodes), np.int32), np.zeros((0, max_nodes - 1), np.int16))
    columns = [np.concatenate([getattr(path, name) for path in found]) for name in Paths.__dataclass_fields__]
    paths = Paths(*columns)
    paths = paths.take(np.argsort(paths.pairs, kind="stable"))
    return paths.take(_fewest(paths.pairs, priorities(paths.nodes, seed), max_paths)) if max_paths else paths


def priorities(nodes: IntArray, seed: int) -> NDArray[np.uint64]:
    """A pseudo-random number for each row of nodes, the same wherever the row occurs. [n, M] -> [n]."""
    mixed = np.full(len(nodes), (seed + 1) * 0x9E3779B97F4A7C15 % 2**64, dtype=np.uint64)
    for column in nodes.T:
        mixed ^= column.astype(np.int64).view(np.uint64) + np.uint64(2)
        for shift, factor in zip((30, 27), _MIX, strict=True):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _fewest(groups: IntArray, priority: NDArray[np.uint64], most: int) -> IntArray:
    """Indices, ascending, of the `most` elements of lowest priority in each group. groups [n], ascending."""
    order = np.lexsort((priority, groups))
    sizes = np.bincount(groups) if len(groups) else np.zeros(0, dtype=np.int64)
    firsts = np.cumsum(sizes) - sizes
    return np.sort(order[np.arange(len(groups)) - firsts[groups] < most])


def _walks(
    graph: WalkGraph, owners: IntArray, items: IntArray, n_steps: int, max_walks: int, seed: int
) -> list[_Walks]:
    """Simple walks of 0, 1, ... n_steps steps from each item."""
    empty = np.zeros((len(items), 0), dtype=np.int16)
    found = [_Walks(np.arange(len(items)), owners, items.astype(np.int32)[:, None], empty)]
    for _ in range(n_steps):
        last = found[-1]
        origins, targets, steps = graph.neighbours(last.nodes[:, -1])
        nodes = np.column_stack([last.nodes[origins], targets])
        walks = _Walks(
            last.origins[origins], last.owners[origins], nodes, np.column_stack([last.steps[origins], steps])
        )
        walks = walks.take(_are_simple(nodes))
        if max_walks and nodes.shape[1] > 2:
            walks = walks.take(_fewest(walks.owners, priorities(walks.nodes, seed), max_walks))
        found.append(walks)
    return found


def _joined(ahead: _Walks, back: _Walks, n_nodes: int) -> Paths:
    """The simple paths that walks of one owner make which end in the same node."""
    keys = back.owners.astype(np.int64) * n_nodes + back.nodes[:, -1]
    order = np.argsort(keys, kind="stable")
    wanted = ahead.owners.astype(np.int64) * n_nodes + ahead.nodes[:, -1]
    first, last = (np.searchsorted(keys[order], wanted, side=side) for side in ("left", "right"))
    counts = last - first
    left = np.repeat(np.arange(len(wanted)), counts)
    offsets = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    right = order[np.repeat(first, counts) + offsets]
    nodes = np.column_stack([ahead.nodes[left], back.nodes[right, :-1][:, ::-1]])
    steps = np.column_stack([ahead.steps[left], back.steps[right, ::-1] ^ 1])
    paths = Paths(back.origins[right], ahead.origins[left], nodes, steps)
    return paths.take(_are_simple(nodes))


def _padded(paths: Paths, max_nodes: int) -> Paths:
    missing = max_nodes - paths.nodes.shape[1]
    nodes, steps = (np.pad(each, ((0, 0), (0, missing)), constant_values=NONE) for each in (paths.nodes, paths.steps))
    return Paths(paths.pairs, paths.events, nodes, steps)


def _are_simple(nodes: IntArray) -> BoolArray:
    """Whether no node occurs twice. [n, M] -> [n]."""
    simple = np.ones(len(nodes), dtype=bool)
    for later in range(1, nodes.shape[1]):
        for earlier in range(later):
            simple &= nodes[:, later] != nodes[:, earlier]
    return simple

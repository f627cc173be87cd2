"""Boosted regression trees as arrays: LightGBM grows them, and nothing but numpy is needed to apply them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray

BLOCK_CELLS = 2**22
"""Rows times trees that are applied at once."""
MANY_ROWS = 2048
"""From so many rows on, nodes are asked one by one for all rows, rather than level by level for all trees."""


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """T trees with n nodes together; a leaf is its own child.

    roots: [T], the first node of each tree; features: [n], the feature that a node asks for; thresholds: [n] float64,
    up to which a row goes to the first child, 0 in leaves; children: [n, 2]; values: [n] float64, 0 but in leaves.
    """

    roots: IntArray
    features: IntArray
    thresholds: FloatArray
    children: IntArray
    values: FloatArray

    @classmethod
    def none(cls) -> "Trees":
        """No tree."""
        nodes = np.zeros(0, dtype=np.int32)
        return cls(nodes, nodes, np.zeros(0), np.zeros((0, 2), dtype=np.int32), np.zeros(0))

    @classmethod
    def of_model(cls, model: Mapping[str, Any]) -> "Trees":
        """The trees of LightGBM's `dump_model`: numeric features without missing values."""
        roots, nodes = [], _Nodes([], [], [], [])
        for tree in model["tree_info"]:
            roots.append(nodes.append(tree["tree_structure"]))
        return cls(
            np.array(roots, dtype=np.int32),
            np.array(nodes.features, dtype=np.int32),
            np.array(nodes.thresholds),
            np.array(nodes.children, dtype=np.int32).reshape(-1, 2),
            np.array(nodes.values),
        )

    def first(self, n_trees: int) -> "Trees":
        """The first trees alone; the nodes of the others are dropped."""
        end = self.roots[n_trees] if n_trees < len(self.roots) else len(self.features)
        nodes = self.features[:end], self.thresholds[:end], self.children[:end], self.values[:end]
        return Trees(self.roots[:n_trees], *nodes)

    def sums(self, rows: FloatArray) -> FloatArray:
        """The sum of the leaves that each row reaches. [q, F] -> [q] float64."""
        if not len(self.roots):
            return np.zeros(len(rows))
        if len(rows) >= MANY_ROWS and self._are_in_order:
            return self._sums_by_node(np.ascontiguousarray(rows.T))
        size = max(1, BLOCK_CELLS // len(self.roots))
        blocks = [self._sums(rows[start : start + size]) for start in range(0, len(rows), size)]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    def asked(self, n_features: int) -> BoolArray:
        """Whether a node asks for each feature. [F]."""
        found = np.zeros(n_features, dtype=bool)
        found[self.features[self.children[:, 0] != np.arange(len(self.features))]] = True
        return found

    @property
    def _are_in_order(self) -> bool:
        """Whether nodes come before their children and have one parent, roots none: as in all that grew."""
        index = np.arange(len(self.features))[:, None]
        is_leaf = (self.children == index).all(axis=1)
        below = self.children[~is_leaf].ravel()
        are_later = bool((self.children[~is_leaf] > index[~is_leaf]).all())
        return are_later and len(np.unique(np.append(below, self.roots))) == len(below) + len(self.roots)

    def _sums_by_node(self, columns: FloatArray) -> FloatArray:
        """See `sums`. Each node's value for all rows, from those of its children. [F, q] -> [q]."""
        values: dict[int, FloatArray | float] = {}
        leaves = (self.children[:, 0] == np.arange(len(self.features))).tolist()
        nodes = zip(self.features.tolist(), self.thresholds.tolist(), self.children.tolist(), strict=True)
        for node, (feature, threshold, (first, second)) in reversed(list(enumerate(nodes))):
            if leaves[node]:
                values[node] = float(self.values[node])
            else:
                below, above = values.pop(first), values.pop(second)
                values[node] = np.where(columns[feature] > threshold, above, below)
        total = np.zeros(columns.shape[1])
        for root in self.roots.tolist():
            total += values[root]
        return total

    def _sums(self, rows: FloatArray) -> FloatArray:
        index = np.arange(len(rows))[:, None]
        nodes = np.broadcast_to(self.roots, (len(rows), len(self.roots)))  # [q, T]
        for _ in range(len(self.features)):  # at most; far fewer, unless an artefact is made up
            above = rows[index, self.features[nodes]] > self.thresholds[nodes]
            below = self.children[nodes, above.astype(np.int8)]
            if (below == nodes).all():
                break
            nodes = below
        sums: FloatArray = self.values[nodes].sum(axis=1)
        return sums


@dataclass(slots=True)
class _Nodes:
    """Columns of nodes while they are collected."""

    features: list[int]
    thresholds: list[float]
    children: list[Sequence[int]]
    values: list[float]

    def append(self, node: Mapping[str, Any]) -> int:
        """Add a node of LightGBM's and all below it; returns its row."""
        row = len(self.features)
        is_leaf = "leaf_value" in node
        self.features.append(0 if is_leaf else node["split_feature"])
        self.thresholds.append(0.0 if is_leaf else node["threshold"])
        self.values.append(node["leaf_value"] if is_leaf else 0.0)
        self.children.append((row, row))
        if not is_leaf:
            self.children[row] = self.append(node["left_child"]), self.append(node["right_child"])
        return row

"""The form `paths`: an LSTM reads sampled paths, as in the paper. It also reads what is named in a reason of either."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.models.knowledge.config import KPRNConfig
from matinee.models.knowledge.encoder import encode, pattern_scores, sequences
from matinee.models.knowledge.examples import Candidates
from matinee.models.knowledge.paths import Paths, find_paths
from matinee.models.knowledge.pooling import pool
from matinee.models.knowledge.walks import WalkGraph

PATHS_AT_ONCE = 16
"""Histories whose paths are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class PathReader:
    """Finds paths in a graph, and scores them by what was learned. parameters: those of the LSTM, by name."""

    graph: WalkGraph
    parameters: Mapping[str, Any]
    config: KPRNConfig

    def find(self, matrix: csr_array, pairs: Candidates, max_paths: int | None = None) -> Paths:
        """The paths of each pair; events are the entries of the matrix. Some histories at a time bound the memory."""
        found, owners = [], rows_of(matrix.indptr)
        most = self.config.max_paths if max_paths is None else max_paths
        for start in range(0, max(1, matrix.shape[0]), PATHS_AT_ONCE):
            stop = start + PATHS_AT_ONCE
            event, last_event = np.searchsorted(owners, [start, stop])
            pair, last_pair = np.searchsorted(pairs.owners, [start, stop])
            paths = find_paths(
                self.graph,
                (owners[event:last_event], matrix.indices[event:last_event]),
                (pairs.owners[pair:last_pair], pairs.items[pair:last_pair]),
                self.config.max_nodes,
                max_walks=self.config.max_walks,
                max_paths=most,
            )
            found.append(replace(paths, pairs=paths.pairs + pair, events=paths.events + event))
        columns = [np.concatenate([getattr(each, name) for each in found]) for name in Paths.__dataclass_fields__]
        return Paths(*columns)

    def scores(self, paths: Paths) -> FloatArray:
        """The score of each path. [P]."""
        n_relations = len(self.graph.relations)
        types, steps, lengths = sequences(self.graph.node_types[paths.nodes], paths.steps, n_relations)
        if self.config.form == "paths":
            states = encode(self.parameters, types, steps, lengths, np.maximum(paths.nodes, 0))
            scores: FloatArray = states @ self.parameters["readout"]
            return scores
        _, firsts, kinds = np.unique(_keys_of(types, steps), return_index=True, return_inverse=True)
        states = encode(self.parameters, types[firsts], steps[firsts], lengths[firsts])  # each pattern is read once
        last = paths.nodes[np.arange(len(paths)), lengths - 1]
        return pattern_scores(self.parameters, states, kinds, paths.nodes[:, 1], last)

    def pooled(self, matrix: csr_array, candidates: Candidates) -> FloatArray:
        """See PathSums, over sampled paths."""
        paths = self.find(matrix, candidates)
        weights, n_pairs = matrix.data[paths.events], len(candidates.owners)
        return pool(self.scores(paths), weights, paths.pairs, n_pairs, self.config.temperature)

    def of_events(self, matrix: csr_array, item_rows: IntArray) -> FloatArray:
        """See PathSums, over sampled paths."""
        n, k = item_rows.shape
        pairs = Candidates(np.repeat(np.arange(n), k), item_rows.ravel(), np.zeros(n * k, dtype=np.float32))
        paths = self.find(matrix, pairs)
        sums = np.zeros((matrix.nnz, k))
        terms = matrix.data[paths.events] * np.exp(self.scores(paths) / self.config.temperature)
        np.add.at(sums, (paths.events, paths.pairs % k), terms)
        return sums


def _keys_of(types: IntArray, steps: IntArray) -> IntArray:
    """A number for each path that those of one pattern share. types, steps [P, M] -> [P]."""
    keys = np.zeros(len(types), dtype=np.int64)
    for column in (*types.T, *steps.T):
        keys = keys * (int(column.max(initial=0)) + 2) + column + 1
    return keys

"""KPRN: candidates of a first stage re-ranked by the paths of a knowledge graph (Wang et al. 2019)."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray, rows_of, starts_of
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.knowledge_graph import KnowledgeGraph
from matinee.models import create
from matinee.models.base import Explains, Path, Recommender, is_exact
from matinee.models.derived import derived
from matinee.models.held_out import hold_out
from matinee.models.knowledge.config import KPRNConfig
from matinee.models.knowledge.drops import deviations, of_events, pooled_drops, pooled_without_each, sums_of_events
from matinee.models.knowledge.encoder import NODE_SHAPES, SHAPES, encode, initialise, pattern_scores, sequences
from matinee.models.knowledge.examples import Candidates, Examples, candidates_of, examples_of, ndcg
from matinee.models.knowledge.path_words import in_words
from matinee.models.knowledge.paths import Paths, find_paths
from matinee.models.knowledge.patterns import Patterns, meet
from matinee.models.knowledge.pooling import pool
from matinee.models.knowledge.walks import WalkGraph, liked_matrix
from matinee.training.run import Run
from matinee.vocab import UNKNOWN

if TYPE_CHECKING:
    from matinee.models.knowledge.training import Pools

PATTERN_SHAPES = {"node_embeddings": ("nodes", "dim"), "W_middle": ("dim", "dim"), "W_last": ("dim", "dim")}
"""What the form `patterns` learns beside the LSTM."""
GRAPH = ("starts", "targets", "steps", "node_types", "type_names", "relation_names", "node_names")
ARRIVALS = ("reach_starts", "reach_ports", "arrival_starts", "arrival_ports", "arrival_weights")
FIRST = "first_"
"""Before the names of what the first stage learned."""
MIXES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Weights of the paths that are tried on users who are not trained on; 0 is the first stage."""
CHECK_SHARE = 0.2
"""Share of the users that choose among MIXES."""
HELD_ELEMENTS = 2**25
"""Arrivals that training holds at once, 8 bytes each; of more, those of a step are found again at each step."""
PATHS_AT_ONCE = 16
"""Histories whose paths are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class KPRNState:
    """B histories, and the first stage's state of them."""

    histories: Histories
    first: Any


class KPRN(Recommender[KPRNState]):
    """score(u, i) = a z(u, i) + b T log(1 + Σ_p w_p exp(s_p / T)) over the paths p from the history of u to i.

    z is the first stage's score of i, standardised over its candidates, w_p the weight of the event that p starts from.
    An LSTM reads the path: at each node its type, the relation that leaves it, and the node; s_p is a readout of its
    last state. Trained on events held out of each user's history, against other candidates.
    Source: Wang et al. 2019, eq. 3 to 9.

    Two forms. `paths` is the paper's. `patterns` reads only types and relations, s_p = a + q · e_m + r · e_i with a, q
    and r from the LSTM and e the embeddings of the path's middle and last node: the sum over all paths is then a
    product of sparse matrices (see `patterns`).

    Fold-in: paths start from the events of the history that weigh above 0; nothing is learned for a visitor. Without a
    path to any candidate, the list is the first stage's. Items that are no candidates score below all that are, in
    the first stage's order.

    Differs from the paper: candidates and z come from a first stage; the softmax over a user's candidates in place of
    the cross-entropy (`loss = "bce"`); a path of score 0 for every pair; no start node for the user.
    """

    name = "kprn"
    memory_reason = "its first stage does"
    smaller_models = "another first stage (--set first_stage=ials), or ials alone"
    Config = KPRNConfig
    trained_by_torch = True
    learned: ClassVar[tuple[str, ...]] = ()
    uses_weights = True
    reads_graph = True
    config: KPRNConfig
    starts: IntArray  # [N + 1] steps of each node
    targets: IntArray  # [S]
    steps: IntArray  # [S]
    node_types: IntArray  # [N]
    type_names: str  # joined by line ends
    relation_names: str
    node_names: IntArray  # [bytes] UTF-8 names of the entities, joined by line ends
    scales: FloatArray  # [4] log a, log b, bias of the cross-entropy, log c
    mix: float  # factor of the paths' part, one of MIXES
    reach_starts: IntArray  # patterns only: see Patterns
    reach_ports: IntArray
    arrival_starts: IntArray
    arrival_ports: IntArray
    arrival_weights: FloatArray  # exp(s / T) of each arrival

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        if self.config.first_stage == self.name:
            raise MatineeError(f"{self.name}: first_stage = {self.name} would re-rank itself; use ease")
        self.first_stage = create(self.config.first_stage, **self.config.first_settings)
        if self.first_stage.predicts_values or not self.first_stage.reads_history:
            raise MatineeError(f"{self.name}: first_stage = {self.first_stage.name} makes no candidates; use ease")
        of_form = ARRIVALS if self.config.form == "patterns" else ()
        firsts = tuple(FIRST + name for name in self.first_stage.learned)
        self.learned = (*GRAPH, *self._shapes, "scales", "mix", *of_form, *firsts)  # type: ignore[misc]

    @property
    def _shapes(self) -> dict[str, tuple[str, ...]]:
        return SHAPES | (PATTERN_SHAPES if self.config.form == "patterns" else NODE_SHAPES)

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: that of its first stage."""
        return self.first_stage.least_memory(train)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Without a graph in the training data, paths lead through users alone."""
        known = train.graph or KnowledgeGraph.empty(train.n_items)
        seed = int(run.rng.integers(2**31))
        rest, held = hold_out(train, self.config.held_out, run.rng)
        users = np.flatnonzero(np.bincount(train.histories.owners[held], minlength=train.n_users))
        users = np.sort(run.rng.permutation(users)[: self.config.max_users])
        examples = examples_of(self._fit_first(rest, run, seed), train, held, self.config.candidates, users)
        first = self._fit_first(train, run, seed)
        for name in first.learned:
            setattr(self, FIRST + name, getattr(first, name))
        events = [part.histories for part in (rest, train)]
        if not self.config.user_paths:
            events = [part.keep(np.zeros(len(part.items), dtype=bool)) for part in events]
        most = self.config.max_neighbours
        graphs = [WalkGraph.of(known, part, most, np.random.default_rng(seed)) for part in events]
        self._set_graph(graphs[1], known)
        self._train(examples, graphs, train, run)
        return self

    def _fit_first(self, train: TrainingData, run: Run, seed: int) -> Recommender[Any]:
        """A first stage of its own for some training data."""
        model = create(self.config.first_stage, **self.config.first_settings)
        model.value_map = self.value_map
        return model.fit(train, Run(rng=np.random.default_rng(seed), device=run.device, memory=run.memory))

    def _set_graph(self, graph: WalkGraph, known: KnowledgeGraph) -> None:
        self.starts, self.targets, self.steps, self.node_types = (
            np.ascontiguousarray(each) for each in (graph.starts, graph.targets, graph.steps, graph.node_types)
        )
        self.type_names, self.relation_names = "\n".join(graph.types), "\n".join(graph.relations)
        joined = "\n".join(name.replace("\n", " ") for name in known.names)
        self.node_names = np.frombuffer(joined.encode("utf-8", "replace"), dtype=np.uint8)
        self.mix = 1.0

    def _train(self, examples: Examples, graphs: list[WalkGraph], train: TrainingData, run: Run) -> None:
        from matinee.models.knowledge.training import losses
        from matinee.training.loop import train_epochs
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array, to_tensor

        order = run.rng.permutation(len(examples.histories))
        n_check = int(CHECK_SHARE * len(order))
        taught = examples.users(np.sort(order[n_check:]))
        check = examples.users(np.sort(order[:n_check])) if n_check else taught
        dim, (of_rest, whole) = self.config.dim, graphs
        sizes = {"types": len(whole.types), "steps": 2 * len(whole.relations) + 1, "dim": dim, "gates": 4 * dim}
        generator = torch_generator(run)
        parameters = initialise(sizes | {"nodes": whole.n_nodes}, self._shapes, generator)
        parameters["scales"] = to_tensor(np.array([-0.7, -1.5, -1.0, 0.0], dtype=np.float32), generator.device)
        elements = self._elements(taught, of_rest, train.n_items)
        of_all = Patterns.of(whole, train.n_items) if self.config.form == "patterns" else None

        def learned() -> dict[str, Any]:
            arrays = {name: to_array(value) for name, value in parameters.items()}
            return arrays if of_all is None else arrays | self._arrivals(of_all, arrays)

        trainer = TorchTrainer(
            parameters,
            lambda: losses(parameters, taught, elements, self.config, run.rng),
            learned,
            self.config,
        )
        train_epochs(self, trainer, train, run)
        self.mix = self._best_mix(check, of_rest, train.n_items)

    def _elements(self, examples: Examples, graph: WalkGraph, n_items: int) -> "Pools":
        """What the examples' scores are pooled from."""
        from matinee.models.knowledge.training import Elements, Meetings, score_paths, score_patterns

        pairs, matrix = examples.candidates, liked_matrix(examples.histories, n_items)
        if self.config.form == "patterns":
            patterns = Patterns.of(graph, n_items)
            read = sequences(patterns.types, patterns.steps, len(graph.relations))
            score = score_patterns(read, patterns.kinds, patterns.mids, patterns.items)
            return Meetings(matrix, patterns, pairs.owners, pairs.items, score).held(HELD_ELEMENTS)
        paths = self._paths(graph, matrix, pairs)
        read = sequences(graph.node_types[paths.nodes], paths.steps, len(graph.relations))
        score = score_paths(*read, np.maximum(paths.nodes, 0))
        starts = starts_of(paths.pairs, len(pairs.owners))
        return Elements(starts, np.arange(len(paths)), matrix.data[paths.events], score)

    def _best_mix(self, check: Examples, graph: WalkGraph, n_items: int) -> float:
        """The weight of the paths with the best lists of users who were not trained on; the smallest of equals."""
        matrix = liked_matrix(check.histories, n_items)
        if self.config.form == "patterns":
            patterns = Patterns.of(graph, n_items)
            arrays = {name: getattr(self, name) for name in (*self._shapes, "scales")}
            pooled = self._sums(matrix, check.candidates, patterns.reach, self._arrivals(patterns, arrays))
        else:
            pooled = self._pooled_paths(graph, matrix, check.candidates)
        found = [ndcg(self._combined(check.candidates, pooled, mix), check) for mix in MIXES]
        return MIXES[int(np.argmax(found))]

    def _arrivals(self, patterns: Patterns, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """ARRIVALS of a graph's patterns with some parameters."""
        n_relations = (len(arrays["step_embeddings"]) - 1) // 2
        states = encode(arrays, *sequences(patterns.types, patterns.steps, n_relations))
        scores = pattern_scores(arrays, states, patterns.kinds, patterns.mids, patterns.items)
        return {
            "reach_starts": patterns.reach.indptr.astype(np.int64),
            "reach_ports": patterns.reach.indices.astype(np.int32),
            "arrival_starts": patterns.starts,
            "arrival_ports": patterns.ports,
            "arrival_weights": np.exp(scores / np.float32(self.config.temperature)),
        }

    def fold_in(self, histories: Histories) -> KPRNState:
        """The histories, and the first stage's state of them."""
        return KPRNState(histories, self._first().fold_in(histories))

    def score(self, state: KPRNState) -> FloatArray:
        """See Recommender. Candidates first, by both stages, then the others by the first."""
        scores = self._first().score(state.first)
        candidates = candidates_of(scores, state.histories, self.config.candidates)
        found = self._combined(candidates, self._pooled(state.histories, candidates), self.mix)
        lowest = np.zeros(len(scores), dtype=np.float32)
        np.minimum.at(lowest, candidates.owners, found)
        scores -= scores.max(axis=1, keepdims=True) + 1 - lowest[:, None]
        scores[candidates.owners, candidates.items] = found
        return scores

    def _combined(self, candidates: Candidates, pooled: FloatArray, mix: float) -> FloatArray:
        """The score of each candidate from both stages. [Q]."""
        first, paths, _, by_rank = np.exp(self.scales)
        scores: FloatArray = first * candidates.scores - by_rank * candidates.log_ranks + mix * paths * pooled
        return scores

    def paths_to(self, histories: Histories, item_rows: IntArray, k: int = 3) -> list[tuple[Path, ...]]:
        """See HasPaths."""
        graph, matrix = self._graph(), liked_matrix(self.weigh(histories).counted(), self._n_items)
        n = len(item_rows)
        pairs = Candidates(np.arange(n), np.asarray(item_rows), np.zeros(n, dtype=np.float32))
        paths = self._paths(graph, matrix, pairs, max_paths=0)
        scores = self._scores_of(graph, paths)
        terms = matrix.data[paths.events] * np.exp(scores / self.config.temperature)
        shares = terms / np.bincount(paths.pairs, terms, minlength=n)[paths.pairs]
        names = self._names
        best = np.lexsort((-terms, paths.pairs))
        first = np.searchsorted(paths.pairs, np.arange(n + 1))  # paths are ordered by pair
        found = []
        for start, stop in pairwise(first.tolist()):
            rows = best[start : min(stop, start + k)]
            each = zip(paths.nodes[rows], paths.steps[rows], scores[rows].tolist(), shares[rows].tolist(), strict=True)
            found.append(tuple(in_words(graph, self._n_items, names, *row) for row in each))
        return found

    def have_paths(self, histories: Histories, item_rows: IntArray) -> BoolArray:
        """See HasPaths."""
        matrix = liked_matrix(self.weigh(histories).counted(), self._n_items)
        found = np.zeros(item_rows.shape, dtype=bool)
        np.logical_or.at(found, rows_of(matrix.indptr), self._sums_of_entries(matrix, item_rows) > 0)
        return found

    def drops(self, histories: Histories, item_rows: IntArray) -> FloatArray | None:
        """See HasDrops. The first stage's contributions, standardised, and what the pooled score loses of its paths.

        None where the first stage has no contributions.
        """
        first, matrix = self._first(), liked_matrix(histories, self._n_items)
        if not is_exact(first):
            return None
        assert isinstance(first, Explains)
        scores = first.score(first.fold_in(histories))
        scales = deviations(scores, candidates_of(scores, histories, self.config.candidates))
        by_first, by_paths, _, _ = np.exp(self.scales)
        lost = pooled_drops(matrix, self._sums_of_entries(matrix, item_rows), self.config.temperature)
        explained = first.explain(histories, item_rows) / scales[histories.owners, None]
        found: FloatArray = by_first * explained + self.mix * by_paths * of_events(matrix, lost, histories)
        return found.astype(np.float32)

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: without the paths from an event, and with the candidates that the others have.

        None for the form `paths`, which draws others in place of these.
        """
        if self.config.form == "paths":
            return None
        shorter, n_items = histories.without_each(events), self._n_items
        rows = item_rows[histories.owners[events]]  # [E, k]
        candidates = candidates_of(self._first_without_each(histories, events), shorter, self.config.candidates)
        positions = np.full((len(events), n_items), UNKNOWN)
        positions[candidates.owners, candidates.items] = np.arange(len(candidates.owners))
        listed = np.take_along_axis(positions, rows, axis=1)
        matrix = liked_matrix(histories, n_items)
        sums = of_events(matrix, self._sums_of_entries(matrix, item_rows), histories)
        pooled = pooled_without_each(sums, histories.owners, events, self.config.temperature)
        by_first = self._combined(candidates, np.zeros(len(candidates.owners), dtype=np.float32), self.mix)
        scores: FloatArray = by_first[listed] + self.mix * np.exp(self.scales[1]) * pooled
        others = np.flatnonzero((listed == UNKNOWN).any(axis=1))  # without these events an item is no candidate
        if len(others):
            whole = self.score(self.fold_in(shorter.take(others)))
            scores[others] = np.take_along_axis(whole, rows[others], axis=1)
        return scores.astype(np.float32)

    def _first_without_each(self, histories: Histories, events: IntArray) -> FloatArray:
        """The first stage's scores of all items without each of E events. [E, I]."""
        first = self._first()
        if not first.adds_up:
            return first.score(first.fold_in(histories.without_each(events)))
        owners = histories.owners[events]
        each = histories.take(owners)
        is_event = np.arange(len(each.items)) == (each.starts[:-1] + events - histories.starts[owners])[each.owners]
        whole = first.score(first.fold_in(histories))[owners]
        return whole - first.score(first.fold_in(each.keep(is_event)))

    def _sums_of_entries(self, matrix: csr_array, item_rows: IntArray) -> FloatArray:
        """Σ w exp(s / T) over the paths from each entry of the histories to k items each. [nnz, k]."""
        if self.config.form == "patterns":
            return self._sums_by_patterns(matrix, item_rows)
        graph, (n, k) = self._graph(), item_rows.shape
        pairs = Candidates(np.repeat(np.arange(n), k), item_rows.ravel(), np.zeros(n * k, dtype=np.float32))
        paths = self._paths(graph, matrix, pairs)
        sums = np.zeros((matrix.nnz, k))
        terms = matrix.data[paths.events] * np.exp(self._scores_of(graph, paths) / self.config.temperature)
        np.add.at(sums, (paths.events, paths.pairs % k), terms)
        return sums

    def _sums_by_patterns(self, matrix: csr_array, item_rows: IntArray) -> FloatArray:
        """See `sums_of_events`. The last of a single history are kept: its drops and what is left need the same."""
        if len(item_rows) != 1:
            return sums_of_events(matrix, self._reach, self._arrivals_by_item, item_rows)
        key = matrix.indices.tobytes(), matrix.data.tobytes(), item_rows.tobytes()
        kept, found = self._last_sums, None
        if kept and kept[-1][0] == key:
            found = kept[-1][1]
        if found is None:
            found = sums_of_events(matrix, self._reach, self._arrivals_by_item, item_rows)
            kept[:] = [(key, found)]
        return found

    @derived("reach_ports", "arrival_ports", "arrival_weights")
    def _last_sums(self) -> list[tuple[tuple[bytes, ...], FloatArray]]:
        """What `_sums_by_patterns` has found last, for what."""
        return []

    @derived("node_types")
    def _n_items(self) -> int:
        return int(np.count_nonzero(self.node_types == 0))

    def _first(self) -> Recommender[Any]:
        """The fitted first stage."""
        first = copy(self.first_stage)
        for name in first.learned:
            setattr(first, name, getattr(self, FIRST + name))
        first.value_map = self.value_map
        return first

    @property
    def knowledge(self) -> KnowledgeGraph:
        """See ReadsGraph."""
        return self._graph().knowledge(self._n_items, self._names)

    @derived("node_names")
    def _names(self) -> tuple[str, ...]:
        """Names of the entities."""
        return tuple(self.node_names.tobytes().decode("utf-8", "replace").split("\n")) if len(self.node_names) else ()

    def _graph(self) -> WalkGraph:
        types, relations = (tuple(names.split("\n")) for names in (self.type_names, self.relation_names))
        return WalkGraph(self.starts, self.targets, self.steps, self.node_types, types, relations)

    def _pooled(self, histories: Histories, candidates: Candidates) -> FloatArray:
        """The pooled score of the paths of each candidate. [Q]."""
        matrix = liked_matrix(histories, self._n_items)
        if self.config.form == "paths":
            return self._pooled_paths(self._graph(), matrix, candidates)
        return self._sums(matrix, candidates, self._reach, {name: getattr(self, name) for name in ARRIVALS})

    @derived("reach_starts", "reach_ports", "node_types")
    def _reach(self) -> csr_array:
        """See Patterns. [I, K]."""
        ones = np.ones(len(self.reach_ports), dtype=np.float32)
        n_ports = int(self.reach_ports.max(initial=0)) + 1
        return csr_array((ones, self.reach_ports, self.reach_starts), shape=(self._n_items, n_ports))

    @derived("arrival_starts", "arrival_ports", "arrival_weights", "reach_ports")
    def _arrivals_by_item(self) -> csr_array:
        """The weights of the arrivals of each item. [I, K]."""
        arrivals = self.arrival_weights, self.arrival_ports, self.arrival_starts
        return csr_array(arrivals, shape=self._reach.shape)

    def _sums(
        self, matrix: csr_array, candidates: Candidates, reach: csr_array, arrivals: Mapping[str, Any]
    ) -> FloatArray:
        """The pooled score of each candidate, over all paths by their patterns. [Q]."""
        of_item = arrivals["arrival_starts"], arrivals["arrival_ports"]
        pairs, indices, weights = meet(matrix, reach, of_item, (candidates.owners, candidates.items))
        terms = weights.astype(np.float64) * arrivals["arrival_weights"][indices]
        sums = np.bincount(pairs, terms, minlength=len(candidates.owners))
        pooled: FloatArray = (self.config.temperature * np.log1p(sums)).astype(np.float32)
        return pooled

    def _pooled_paths(self, graph: WalkGraph, matrix: csr_array, candidates: Candidates) -> FloatArray:
        paths = self._paths(graph, matrix, candidates)
        weights, n_pairs = matrix.data[paths.events], len(candidates.owners)
        return pool(self._scores_of(graph, paths), weights, paths.pairs, n_pairs, self.config.temperature)

    def _paths(self, graph: WalkGraph, matrix: csr_array, pairs: Candidates, max_paths: int | None = None) -> Paths:
        """The paths of each pair; events are the entries of the matrix. Some histories at a time bound the memory."""
        found, owners = [], rows_of(matrix.indptr)
        most = self.config.max_paths if max_paths is None else max_paths
        for start in range(0, max(1, matrix.shape[0]), PATHS_AT_ONCE):
            stop = start + PATHS_AT_ONCE
            event, last_event = np.searchsorted(owners, [start, stop])
            pair, last_pair = np.searchsorted(pairs.owners, [start, stop])
            paths = find_paths(
                graph,
                (owners[event:last_event], matrix.indices[event:last_event]),
                (pairs.owners[pair:last_pair], pairs.items[pair:last_pair]),
                self.config.max_nodes,
                max_walks=self.config.max_walks,
                max_paths=most,
            )
            found.append(replace(paths, pairs=paths.pairs + pair, events=paths.events + event))
        columns = [np.concatenate([getattr(each, name) for each in found]) for name in Paths.__dataclass_fields__]
        return Paths(*columns)

    def _scores_of(self, graph: WalkGraph, paths: Paths) -> FloatArray:
        """The score of each path. [P]."""
        arrays = {name: getattr(self, name) for name in self._shapes}
        types, steps, lengths = sequences(graph.node_types[paths.nodes], paths.steps, len(graph.relations))
        if self.config.form == "paths":
            states = encode(arrays, types, steps, lengths, np.maximum(paths.nodes, 0))
            scores: FloatArray = states @ arrays["readout"]
            return scores
        _, firsts, kinds = np.unique(_keys_of(types, steps), return_index=True, return_inverse=True)
        states = encode(arrays, types[firsts], steps[firsts], lengths[firsts])  # each pattern is read once
        last = paths.nodes[np.arange(len(paths)), lengths - 1]
        return pattern_scores(arrays, states, kinds, paths.nodes[:, 1], last)


def _keys_of(types: IntArray, steps: IntArray) -> IntArray:
    """A number for each path that those of one pattern share. types, steps [P, M] -> [P]."""
    keys = np.zeros(len(types), dtype=np.int64)
    for column in (*types.T, *steps.T):
        keys = keys * (int(column.max(initial=0)) + 2) + column + 1
    return keys

"""KPRN: candidates of a first stage re-ranked by the paths of a knowledge graph (Wang et al. 2019)."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
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
from matinee.models.knowledge.drops import deviations, of_events, pooled_drops, pooled_without_each
from matinee.models.knowledge.encoder import NODE_SHAPES, SHAPES, encode, initialise, pattern_scores, sequences
from matinee.models.knowledge.examples import Candidates, Examples, candidates_of, examples_of, ndcg
from matinee.models.knowledge.path_sums import MOST_CELLS, PathSums
from matinee.models.knowledge.path_words import in_words
from matinee.models.knowledge.patterns import Patterns
from matinee.models.knowledge.port_paths import PortPaths
from matinee.models.knowledge.read_paths import PathReader
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
STEP, ELEMENT = 200, 28
"""Bytes of an event while the steps of the graph are sorted, and of an arrival while it is found."""
HELD_ELEMENTS = 2**25
"""Arrivals that training holds at once, 8 bytes each; of more, those of a step are found again at each step."""


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
        """See Recommender: its first stage, the steps of the graph, the sums of pairs, and what training holds of them.

        Where the elements of all examples are too many to be held, those of a step count.
        """
        config, n_items = self.config, train.n_items
        per_user = min(config.candidates, n_items) * config.max_neighbours
        elements = min(config.max_users, train.n_users) * per_user
        held = elements if elements <= HELD_ELEMENTS else config.batch_size * per_user
        sums = 4 * n_items**2 if n_items**2 <= MOST_CELLS else 0
        graph = STEP * len(train.histories.items) if config.user_paths else 0
        return self.first_stage.least_memory(train) + graph + sums + ELEMENT * held

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
        paths = PathReader(graph, {}, self.config).find(matrix, pairs)
        read = sequences(graph.node_types[paths.nodes], paths.steps, len(graph.relations))
        score = score_paths(*read, np.maximum(paths.nodes, 0))
        starts = starts_of(paths.pairs, len(pairs.owners))
        return Elements(starts, np.arange(len(paths)), matrix.data[paths.events], score)

    def _best_mix(self, check: Examples, graph: WalkGraph, n_items: int) -> float:
        """The weight of the paths with the best lists of users who were not trained on; the smallest of equals."""
        matrix = liked_matrix(check.histories, n_items)
        if self.config.form == "patterns":
            patterns = Patterns.of(graph, n_items)
            weights = self._arrivals(patterns, self._parameters)["arrival_weights"]
            arrivals = weights, patterns.ports, patterns.starts
            pooled = PathSums.of(patterns.reach, arrivals, self.config.temperature).pooled(matrix, check.candidates)
        else:
            pooled = PathReader(graph, self._parameters, self.config).pooled(matrix, check.candidates)
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
        scores, candidates = self._first_scores(state.histories, state.first)
        pooled = np.zeros(len(candidates.owners), dtype=np.float32)
        if self.mix:
            pooled = self._sums.pooled(liked_matrix(state.histories, self._n_items), candidates)
        found = self._combined(candidates, pooled, self.mix)
        lowest = np.zeros(len(scores), dtype=np.float32)
        np.minimum.at(lowest, candidates.owners, found)
        combined: FloatArray = scores - (scores.max(axis=1, keepdims=True) + 1 - lowest[:, None])
        combined[candidates.owners, candidates.items] = found
        return combined

    def _combined(self, candidates: Candidates, pooled: FloatArray, mix: float) -> FloatArray:
        """The score of each candidate from both stages. [Q]."""
        first, paths, _, by_rank = np.exp(self.scales)
        scores: FloatArray = first * candidates.scores - by_rank * candidates.log_ranks + mix * paths * pooled
        return scores

    def paths_to(self, histories: Histories, item_rows: IntArray, k: int = 3) -> list[tuple[Path, ...]]:
        """See HasPaths."""
        matrix = liked_matrix(self.weigh(histories).counted(), self._n_items)
        if self.config.form == "patterns":
            return self._port_paths.find(matrix, np.asarray(item_rows), k, self._names)
        reader, n = self._reader, len(item_rows)
        pairs = Candidates(np.arange(n), np.asarray(item_rows), np.zeros(n, dtype=np.float32))
        paths = reader.find(matrix, pairs, max_paths=0)
        scores = reader.scores(paths)
        terms = matrix.data[paths.events] * np.exp(scores / self.config.temperature)
        shares = terms / np.bincount(paths.pairs, terms, minlength=n)[paths.pairs]
        names = self._names
        best = np.lexsort((-terms, paths.pairs))
        first = np.searchsorted(paths.pairs, np.arange(n + 1))  # paths are ordered by pair
        found = []
        for start, stop in pairwise(first.tolist()):
            rows = best[start : min(stop, start + k)]
            columns = paths.nodes[rows], paths.steps[rows], scores[rows], shares[rows]
            each = zip(*(column.tolist() for column in columns), strict=True)
            found.append(tuple(in_words(reader.graph, self._n_items, names, *row) for row in each))
        return found

    def have_paths(self, histories: Histories, item_rows: IntArray) -> BoolArray:
        """See HasPaths."""
        matrix = liked_matrix(self.weigh(histories).counted(), self._n_items)
        found = np.zeros(item_rows.shape, dtype=bool)
        np.logical_or.at(found, rows_of(matrix.indptr), self._sums.of_events(matrix, item_rows) > 0)
        return found

    def drops(self, histories: Histories, item_rows: IntArray) -> FloatArray | None:
        """See HasDrops. The first stage's contributions, standardised, and what the pooled score loses of its paths.

        None where the first stage has no contributions.
        """
        first = self._first()
        if not is_exact(first):
            return None
        assert isinstance(first, Explains)
        scales = deviations(*self._first_scores(histories))
        by_first, by_paths, _, _ = np.exp(self.scales)
        found: FloatArray = by_first * (first.explain(histories, item_rows) / scales[histories.owners, None])
        if self.mix:
            matrix = liked_matrix(histories, self._n_items)
            lost = pooled_drops(matrix, self._sums.of_events(matrix, item_rows), self.config.temperature)
            found += self.mix * by_paths * of_events(matrix, lost, histories)
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
        positions = np.full((len(events), n_items), UNKNOWN, dtype=np.int32)
        positions[candidates.owners, candidates.items] = np.arange(len(candidates.owners))
        listed = np.take_along_axis(positions, rows, axis=1)
        by_first = self._combined(candidates, np.zeros(len(candidates.owners), dtype=np.float32), self.mix)
        scores: FloatArray = by_first[listed]
        if self.mix:
            matrix = liked_matrix(histories, n_items)
            sums = of_events(matrix, self._sums.of_events(matrix, item_rows), histories)
            pooled = pooled_without_each(sums, histories.owners, events, self.config.temperature)
            scores = scores + self.mix * np.exp(self.scales[1]) * pooled
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
        whole = self._first_scores(histories)[0][histories.owners[events]]
        return whole - first.score(first.fold_in(histories.alone(events)))

    def _first_scores(self, histories: Histories, state: object = None) -> tuple[FloatArray, Candidates]:
        """The first stage's scores of all items [B, I], by its state if that is known, and the candidates.

        Those of the last single history are kept: a list, its reasons and their drops need the same ones.
        """
        first, kept = self._first(), self.__dict__.get("_scores_kept")
        columns = histories.items, histories.weights, histories.values, histories.times, histories.user_rows
        key = (id(first), *(column.tobytes() for column in columns)) if len(histories) == 1 else ()
        if key and kept and kept[0] == key:
            found: tuple[FloatArray, Candidates] = kept[1]
            return found
        scores = first.score(first.fold_in(histories) if state is None else state)
        found = scores, candidates_of(scores, histories, self.config.candidates)
        if key:
            self._scores_kept = key, found
        return found

    @property
    def _sums(self) -> PathSums | PathReader:
        """What sums over paths, by the form."""
        return self._path_sums if self.config.form == "patterns" else self._reader

    @derived("reach_starts", "reach_ports", "arrival_starts", "arrival_ports", "arrival_weights", "node_types")
    def _path_sums(self) -> PathSums:
        ones = np.ones(len(self.reach_ports), dtype=np.float32)
        n_ports = int(self.reach_ports.max(initial=0)) + 1
        reach = csr_array((ones, self.reach_ports, self.reach_starts), shape=(self._n_items, n_ports))
        arrivals = self.arrival_weights, self.arrival_ports, self.arrival_starts
        return PathSums.of(reach, arrivals, self.config.temperature)

    @derived("reach_starts", "reach_ports", "arrival_starts", "arrival_ports", "arrival_weights", "starts")
    def _port_paths(self) -> PortPaths:
        arrivals = self.arrival_starts, self.arrival_ports, self.arrival_weights
        return PortPaths.of(self._graph(), (self.reach_starts, self.reach_ports), arrivals, self.config.temperature)

    @property
    def _reader(self) -> PathReader:
        return PathReader(self._graph(), self._parameters, self.config)

    @property
    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._shapes}

    @derived("node_types")
    def _n_items(self) -> int:
        return int(np.count_nonzero(self.node_types == 0))

    def _first(self) -> Recommender[Any]:
        """The fitted first stage; the same one until it learns something else, for what it derives is kept with it."""
        now = [*(getattr(self, FIRST + name) for name in self.first_stage.learned), self.value_map]
        kept, first = self.__dict__.get("_first_kept", ((), None))
        if first is None or any(old is not new for old, new in zip(kept, now, strict=True)):
            first = copy(self.first_stage)
            for name in first.learned:
                setattr(first, name, getattr(self, FIRST + name))
            first.value_map = self.value_map
            self._first_kept = now, first
        found: Recommender[Any] = first
        return found

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

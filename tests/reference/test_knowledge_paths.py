"""Paths of a knowledge graph against a plain depth-first search."""

import numpy as np
import pytest

from matinee.histories import Histories
from matinee.knowledge_graph import KnowledgeGraph
from matinee.models.knowledge.paths import NONE, Paths, find_paths
from matinee.models.knowledge.walks import WalkGraph

N_ITEMS, N_ENTITIES, N_USERS = 8, 5, 6


def random_graph(seed: int, max_neighbours: int = 1000) -> WalkGraph:
    """Items, entities of two types, and relations between all of them, cycles among items too."""
    rng = np.random.default_rng(seed)
    triples = {
        (int(head), int(kind), int(tail))
        for head, kind, tail in zip(
            rng.integers(0, N_ITEMS + 2, 30),
            rng.integers(0, 3, 30),
            rng.integers(0, N_ITEMS + N_ENTITIES, 30),
            strict=True,
        )
        if head != tail
    }
    heads, kinds, tails = (np.array(column, dtype=np.int32) for column in zip(*sorted(triples), strict=True))
    names = tuple(f"e{i}" for i in range(N_ENTITIES))
    types = np.array([1, 1, 2, 2, 2], dtype=np.int32)
    graph = KnowledgeGraph(N_ITEMS, ("item", "a", "b"), names, types, ("r", "s", "t"), heads, kinds, tails)
    histories = Histories.of([rng.choice(N_ITEMS, 3, replace=False).tolist() for _ in range(N_USERS)])
    return WalkGraph.of(graph, histories, max_neighbours, rng)


def depth_first(graph: WalkGraph, item: int, target: int, max_nodes: int) -> set[tuple]:
    """Every simple path, its steps by the rule of find_paths."""
    lists = {
        node: list(
            zip(
                graph.targets[graph.starts[node] : graph.starts[node + 1]].tolist(),
                graph.steps[graph.starts[node] : graph.starts[node + 1]].tolist(),
                strict=True,
            )
        )
        for node in range(graph.n_nodes)
    }
    found = set()

    def visit(nodes: tuple[int, ...], steps: tuple[int, ...], n_nodes: int) -> None:
        if len(nodes) == n_nodes:
            if nodes[-1] == target:
                found.add((nodes, steps))
            return
        forwards = len(steps) < -(-(n_nodes - 1) // 2)
        for node in range(graph.n_nodes):
            if node in nodes:
                continue
            if forwards:
                ways = [step for other, step in lists[nodes[-1]] if other == node]
            else:
                ways = [step ^ 1 for other, step in lists[node] if other == nodes[-1]]
            for step in ways:
                visit((*nodes, node), (*steps, step), n_nodes)

    for n_nodes in range(2, max_nodes + 1):
        visit((item,), (), n_nodes)
    return found


def as_set(paths: Paths, pair: int, event: int) -> set[tuple]:
    chosen = (paths.pairs == pair) & (paths.events == event)
    rows = zip(paths.nodes[chosen].tolist(), paths.steps[chosen].tolist(), strict=True)
    listed = [(tuple(n for n in nodes if n != NONE), tuple(s for s in steps if s != NONE)) for nodes, steps in rows]
    assert len(set(listed)) == len(listed)
    return set(listed)


EVENTS = np.array([0, 0, 1, 2, 2]), np.array([0, 3, 5, 0, 1])
PAIRS = np.array([0, 0, 0, 1, 2, 2]), np.array([1, 6, 0, 2, 7, 4])


@pytest.mark.parametrize("max_neighbours", [1000, 3, 1])
@pytest.mark.parametrize("seed", range(6))
def test_paths_are_those_of_a_depth_first_search(seed: int, max_neighbours: int) -> None:
    graph = random_graph(seed, max_neighbours)
    for max_nodes in (2, 3, 4, 5):
        paths = find_paths(graph, EVENTS, PAIRS, max_nodes)
        expected = 0
        for pair, (owner, target) in enumerate(zip(*PAIRS, strict=True)):
            for event, (of, item) in enumerate(zip(*EVENTS, strict=True)):
                wanted = depth_first(graph, int(item), int(target), max_nodes) if of == owner else set()
                assert as_set(paths, pair, event) == wanted
                expected += len(wanted)
        assert len(paths) == expected
        assert (np.diff(paths.pairs) >= 0).all()
    assert expected > 0 or max_neighbours == 1


def test_neighbours_are_bounded_for_each_relation_and_follow_from_the_seed() -> None:
    whole, bounded, again = random_graph(3), random_graph(3, 2), random_graph(3, 2)
    np.testing.assert_array_equal(bounded.targets, again.targets)
    edges = [
        set(
            zip(
                np.repeat(np.arange(g.n_nodes), np.diff(g.starts)).tolist(),
                g.steps.tolist(),
                g.targets.tolist(),
                strict=True,
            )
        )
        for g in (whole, bounded)
    ]
    assert edges[1] < edges[0]
    for node in range(whole.n_nodes):
        for step in range(2 * len(whole.relations)):
            counts = [sum(edge[:2] == (node, step) for edge in each) for each in edges]
            assert counts[1] == min(counts[0], 2)


def test_sampled_paths_are_the_same_in_a_batch_and_alone() -> None:
    graph = random_graph(5)
    whole = find_paths(graph, EVENTS, PAIRS, 5)
    sampled = find_paths(graph, EVENTS, PAIRS, 5, max_paths=4, seed=7)
    counts = np.bincount(whole.pairs, minlength=6)
    assert np.bincount(sampled.pairs, minlength=6).tolist() == np.minimum(counts, 4).tolist()
    alone = find_paths(graph, (EVENTS[0][3:], EVENTS[1][3:]), (PAIRS[0][4:], PAIRS[1][4:]), 5, max_paths=4, seed=7)
    of_last = sampled.take(sampled.pairs >= 4)
    np.testing.assert_array_equal(of_last.nodes, alone.nodes)
    np.testing.assert_array_equal(of_last.steps, alone.steps)
    other = find_paths(graph, EVENTS, PAIRS, 5, max_paths=4, seed=8)
    assert not np.array_equal(other.nodes, sampled.nodes)
    few = find_paths(graph, EVENTS, PAIRS, 5, max_walks=10)
    assert 0 < len(few) < len(whole)


def test_histories_without_events_or_paths_have_none() -> None:
    graph = random_graph(1)
    none = np.zeros(0, dtype=np.int64)
    assert len(find_paths(graph, (none, none), PAIRS, 5)) == 0
    assert len(find_paths(graph, EVENTS, (none, none), 5)) == 0
    lonely = WalkGraph.of(KnowledgeGraph.empty(4), Histories.of([[0], [1]]), 9, np.random.default_rng(1))
    assert len(find_paths(lonely, (np.array([0]), np.array([0])), (np.array([0]), np.array([3])), 5)) == 0

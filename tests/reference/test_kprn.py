"""KPRN's parts against plain loops, torch against numpy, and its lists against its first stage."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import matinee as mt
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.knowledge_graph import KnowledgeGraph
from matinee.models import create
from matinee.models.base import HasDrops, HasPaths
from matinee.models.held_out import hold_out
from matinee.models.knowledge.config import KPRNConfig
from matinee.models.knowledge.encoder import (
    NODE_SHAPES,
    SHAPES,
    encode,
    encode_tensors,
    initialise,
    pattern_scores,
    sequences,
)
from matinee.models.knowledge.examples import Candidates, Examples, candidates_of, ndcg
from matinee.models.knowledge.kprn import KPRN, PATTERN_SHAPES
from matinee.models.knowledge.paths import find_paths
from matinee.models.knowledge.patterns import Patterns, meet
from matinee.models.knowledge.pooling import pool, pool_tensors
from matinee.models.knowledge.training import score_patterns, softmax_loss
from matinee.models.knowledge.walks import WalkGraph, liked_matrix
from matinee.ranking.explain import explain
from matinee.ranking.rank import rank
from matinee.training.run import Run
from matinee.vocab import UNKNOWN

FORMS = ("patterns", "paths")


def genres(n_items: int) -> KnowledgeGraph:
    """Even items share an entity, odd items another, and items 0 and 3 a person."""
    items = np.arange(n_items, dtype=np.int32)
    heads = np.concatenate([items, [0, 3]]).astype(np.int32)
    tails = np.concatenate([n_items + items % 2, [n_items + 2, n_items + 2]]).astype(np.int32)
    kinds = np.concatenate([np.zeros(n_items), [1, 1]]).astype(np.int32)
    types = np.array([1, 1, 2], dtype=np.int32)
    return KnowledgeGraph(
        n_items,
        ("item", "genre", "person"),
        ("even", "odd", "Ann\nB"),
        types,
        ("genre", "starring"),
        heads,
        kinds,
        tails,
    )


@pytest.fixture(scope="module")
def train() -> TrainingData:
    data = two_groups(24, 12)
    histories = Histories.from_events(data.events, np.arange(24, dtype=np.int32))
    return TrainingData(histories, 12, genres(12))


def test_a_walked_graph_gives_the_knowledge_back_that_it_was_made_of(train: TrainingData) -> None:
    known = genres(12)
    walked = WalkGraph.of(known, train.histories, 200, np.random.default_rng(1))
    found = walked.knowledge(12, known.names)
    order = np.lexsort((known.tails, known.kinds, known.heads))
    for column in ("heads", "kinds", "tails"):
        assert getattr(found, column).tolist() == getattr(known, column)[order].tolist()
    for same in ("types", "names", "relations"):
        assert getattr(found, same) == getattr(known, same)
    assert found.entity_types.tolist() == known.entity_types.tolist()
    few = WalkGraph.of(known, train.histories, 1, np.random.default_rng(1)).knowledge(12, known.names)
    assert len(few) == len(known)  # a genre of six items names one of them, each of them its genre


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest, train: TrainingData) -> KPRN:
    return create("kprn", form=request.param, candidates=5, epochs=2).fit(train, Run.seeded(1))


def test_training_scores_arrivals_as_serving_does() -> None:
    rng, generator = np.random.default_rng(2), torch.Generator().manual_seed(2)
    sizes = {"types": 3, "steps": 7, "dim": 4, "gates": 16, "nodes": 9}
    parameters = initialise(sizes, SHAPES | PATTERN_SHAPES, generator)
    read = sequences(rng.integers(0, 3, (5, 3)), np.array([[0, 1], [2, -1], [3, 4], [5, 0], [1, -1]]), 3)
    kinds, mids, items, some = (rng.integers(0, n, 40) for n in (5, 9, 6, 40))
    found = score_patterns(read, kinds.astype(np.int32), mids, items)(parameters, some)
    arrays = {name: value.numpy() for name, value in parameters.items()}
    states, nodes = encode(arrays, *read), arrays["node_embeddings"]
    for value, arrival in zip(found.numpy(), some, strict=True):
        state = states[kinds[arrival]]
        by_middle = (state @ arrays["W_middle"]) @ nodes[mids[arrival]]
        by_last = (state @ arrays["W_last"]) @ nodes[items[arrival]]
        assert value == pytest.approx(state @ arrays["readout"] + by_middle + by_last, abs=1e-5)
    served = pattern_scores(arrays, states, kinds[some], mids[some], items[some])
    np.testing.assert_allclose(found.numpy(), served, atol=1e-5)


def test_pooling_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    scores, weights = rng.normal(size=30).astype(np.float32), rng.random(30).astype(np.float32)
    pairs = np.sort(rng.integers(0, 7, 30))
    pairs[pairs == 3] = 4
    for temperature in (0.3, 1.0, 4.0):
        expected = []
        for pair in range(8):
            total = 1.0
            for score, weight, of in zip(scores, weights, pairs, strict=True):
                total += weight * np.exp(score / temperature) if of == pair else 0
            expected.append(temperature * np.log(total))
        assert expected[3] == expected[7] == 0
        np.testing.assert_allclose(pool(scores, weights, pairs, 8, temperature), expected, rtol=1e-5, atol=1e-6)
        tensors = map(torch.from_numpy, (scores, weights, pairs))
        np.testing.assert_allclose(pool_tensors(*tensors, 8, temperature), expected, rtol=1e-5, atol=1e-6)


def test_the_lstm_in_numpy_is_that_in_torch_and_torchs_own() -> None:
    rng = np.random.default_rng(2)
    sizes = {"types": 3, "steps": 7, "nodes": 20, "dim": 5, "gates": 20}
    parameters = initialise(sizes, SHAPES | NODE_SHAPES, torch.Generator().manual_seed(1))
    types, steps, nodes = (rng.integers(0, n, (9, 4)) for n in (3, 7, 20))
    lengths = np.array([2, 3, 4] * 3)
    arrays = {name: value.numpy() for name, value in parameters.items()}
    ours = encode(arrays, types, steps, lengths, nodes)
    tensors = [torch.from_numpy(each) for each in (types, steps, lengths, nodes)]
    np.testing.assert_allclose(ours, encode_tensors(parameters, *tensors), rtol=1e-5, atol=1e-6)
    lstm = torch.nn.LSTMCell(15, 5)
    with torch.no_grad():  # torch orders the gates as we do: input, forget, cell, output
        lstm.weight_ih.copy_(torch.cat([parameters[f"W_{name}"] for name in ("type", "step", "node")]).T)
        lstm.weight_hh.copy_(parameters["U"].T)
        lstm.bias_ih.copy_(parameters["b"])
        lstm.bias_hh.zero_()
        for row in range(9):
            state = None
            for position in range(lengths[row]):
                read = [
                    parameters["type_embeddings"][types[row, position]],
                    parameters["step_embeddings"][steps[row, position]],
                ]
                read.append(parameters["node_embeddings"][nodes[row, position]])
                state = lstm(torch.cat(read)[None], state)
            np.testing.assert_allclose(ours[row], state[0][0], rtol=1e-4, atol=1e-6)


def test_the_loss_and_its_gradient_by_hand() -> None:
    logits = torch.tensor([1.0, 0.0, 2.0, 0.5, 0.5], requires_grad=True)
    users, targets = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([True, False, True, False, True])
    loss = softmax_loss(logits, users, targets, n_users=2)
    loss.backward()
    first = np.exp([1.0, 0.0, 2.0]) / np.exp([1.0, 0.0, 2.0]).sum()
    by_hand = ((-np.log(first[0]) - np.log(first[2])) / 2 + np.log(2)) / 2
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)
    gradient = [*((first - [0.5, 0, 0.5]) / 2), 0.25, -0.25]
    np.testing.assert_allclose(logits.grad, gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_sums_over_patterns_are_sums_over_the_paths_of_2_and_3_nodes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known = genres(12)
    linked = replace(
        known,
        heads=np.append(known.heads, [1, 2]).astype(np.int32),
        kinds=np.append(known.kinds, [1, 1]).astype(np.int32),
        tails=np.append(known.tails, [5, 7]).astype(np.int32),
    )
    histories = Histories.of([rng.choice(12, 4, replace=False).tolist() for _ in range(9)])
    graph = WalkGraph.of(linked, histories, 3, rng)
    patterns = Patterns.of(graph, 12)
    owners, items = np.nonzero(histories.matrix(12).toarray() == 0)
    pairs, arrivals, weights = meet(
        histories.matrix(12), patterns.reach, (patterns.starts, patterns.ports), (owners, items)
    )
    paths = find_paths(graph, (histories.owners, histories.items), (owners, items), 3)
    counted = {}
    for pair, arrival, weight in zip(pairs.tolist(), arrivals.tolist(), weights.tolist(), strict=True):
        kind = patterns.kinds[arrival]
        key = (pair, int(patterns.mids[arrival]), *(step for step in patterns.steps[kind].tolist() if step >= 0))
        counted[key] = counted.get(key, 0) + weight
    expected = {}
    for pair, nodes, steps in zip(paths.pairs.tolist(), paths.nodes.tolist(), paths.steps.tolist(), strict=True):
        key = (pair, nodes[1], *(step for step in steps if step >= 0))
        expected[key] = expected.get(key, 0) + 1
    assert counted == expected
    assert any(len(key) == 3 for key in expected)  # a path of two nodes
    lengths = sequences(patterns.types, patterns.steps, len(graph.relations))[2]
    np.testing.assert_array_equal(lengths, 2 + (patterns.steps[:, 1] >= 0))


def test_scores_come_from_the_first_stage_and_the_pooled_paths(model: KPRN, train: TrainingData) -> None:
    histories = Histories.of([[0, 2], [1, 3, 5], [4]])
    scores = model.score(model.fold_in(histories))
    first = model._first()
    raw = first.score(first.fold_in(histories))
    candidates = candidates_of(raw, histories, 5)
    a, b, _, c = np.exp(model.scales.astype(np.float64))
    reader, everything = model._reader, histories.matrix(12)
    for owner in range(3):
        own = candidates.items[candidates.owners == owner]
        for rank_, item in enumerate(own):
            z = candidates.scores[(candidates.owners == owner)][rank_]
            pair = Candidates(np.array([0]), np.array([item]), np.zeros(1, np.float32))
            paths = reader.find(everything[[owner]], pair)
            pooled = np.log1p(np.exp(reader.scores(paths).astype(np.float64)).sum())
            assert scores[owner, item] == pytest.approx(a * z - c * np.log1p(rank_) + model.mix * b * pooled, abs=1e-4)
        others = np.setdiff1d(np.arange(12), own)
        assert scores[owner, others].max() < scores[owner, own].min()
        np.testing.assert_array_equal(
            np.argsort(-scores[owner, others], kind="stable"), np.argsort(-raw[owner, others], kind="stable")
        )


def test_sums_without_a_table_of_pairs_are_those_with_it(train: TrainingData) -> None:
    sums = create("kprn", epochs=1, candidates=5).fit(train, Run.seeded(1))._path_sums
    without = replace(sums, of_pairs=None)
    histories = Histories.of([[0, 2], [], [1, 3, 5]])
    matrix, items = histories.matrix(12), np.array([[4, 5], [0, 1], [7, 8]])
    pairs = Candidates(np.repeat(np.arange(3), 2), items.ravel(), np.zeros(6, np.float32))
    np.testing.assert_allclose(without.of_events(matrix, items), sums.of_events(matrix, items), rtol=1e-5)
    np.testing.assert_allclose(without.pooled(matrix, pairs), sums.pooled(matrix, pairs), rtol=1e-5)
    by_event = sums.of_events(matrix, items)
    expected = np.log1p([by_event[:2].sum(0), np.zeros(2), by_event[2:].sum(0)]).ravel()
    np.testing.assert_allclose(sums.pooled(matrix, pairs), expected, rtol=1e-5)


def test_the_strongest_paths_are_named_and_their_shares_add_up(model: KPRN) -> None:
    assert isinstance(model, HasPaths)
    found = model.paths_to(Histories.of([[0, 2]]), [3], k=1000)[0]
    assert sum(path.share for path in found) == pytest.approx(1, abs=1e-5)
    shares = [path.share for path in found]
    assert shares == sorted(shares, reverse=True)
    people = [path for path in found if path.relations == ("starring", "starring")]
    assert [(node.type, node.name, node.item_row) for node in people[0].nodes] == [
        ("item", "", 0), ("person", "Ann B", -1), ("item", "", 3),
    ]  # fmt: skip
    assert people[0].forwards == (True, False)
    assert {path.nodes[0].item_row for path in found} <= {0, 2}
    assert all(node.name == "" for path in found for node in path.nodes if node.type in ("user", "item"))
    assert model.paths_to(Histories.of([[0, 2]]), [3], k=2)[0] == found[:2]


def test_the_paths_of_ports_are_those_that_walks_find(model: KPRN) -> None:
    reader, n_items = model._reader, model._n_items
    histories = Histories.of([[0, 2, 5], [1], [3, 4]])
    matrix, items = liked_matrix(histories, n_items), np.array([7, 6, 8])
    walked = reader.find(matrix, Candidates(np.arange(3), items, np.zeros(3, np.float32)), max_paths=0)
    scores = reader.scores(walked)
    for pair, found in enumerate(model.paths_to(histories, items, k=10_000)):
        mine = np.flatnonzero(walked.pairs == pair)
        assert len(found) == len(mine)
        np.testing.assert_allclose(sorted(path.score for path in found), np.sort(scores[mine]), rtol=1e-4, atol=1e-5)
        of_items = sorted(tuple(node.item_row for node in path.nodes) for path in found)
        nodes = [[node for node in row if node >= 0] for row in walked.nodes[mine].tolist()]
        assert of_items == sorted(tuple(node if node < n_items else UNKNOWN for node in row) for row in nodes)


def test_a_history_without_paths_has_the_list_of_the_first_stage(train: TrainingData) -> None:
    lonely = replace(train, graph=None)
    for form in FORMS:
        model = create("kprn", form=form, user_paths=False, epochs=1, candidates=4).fit(lonely, Run.seeded(1))
        history = Histories.of([[0, 2]])
        assert model.paths_to(history, [4]) == [()]
        first = model._first()
        np.testing.assert_array_equal(rank(model, history, 10).items, rank(first, history, 10).items)


@pytest.mark.parametrize("candidates", [3, 6, 100])
@pytest.mark.parametrize("valued", [False, True])
def test_scores_without_an_event_are_those_of_the_shorter_history(
    train: TrainingData, valued: bool, candidates: int
) -> None:
    model = create("kprn", epochs=1, candidates=candidates, max_nodes=3).fit(train, Run.seeded(1))
    model.mix = 0.7
    histories = Histories.of([[0, 2, 4], [7], [1, 3, 0, 5, 6]])
    if valued:
        mapped = np.array([1, -1, 0.5, 2, 1, -0.5, 2, 1, 1], dtype=np.float32)
        histories = replace(histories, mapped=mapped)
    rows, events = np.stack([rng.permutation(12)[:5] for rng in map(np.random.default_rng, range(3))]), [0, 1, 3, 5, 8]
    found = model.scores_without_each(histories, np.array(events), rows)
    assert found is not None
    for event, scores in zip(events, found, strict=True):
        owner = histories.owners[event]
        whole = model.score(model.fold_in(histories.keep(np.arange(9) != event)))[owner]
        np.testing.assert_allclose(scores, whole[rows[owner]], rtol=1e-4, atol=2e-5)


def test_paths_start_from_likes_only(model: KPRN) -> None:
    disliked = replace(Histories.of([[0, 2]]), mapped=np.array([-1, 1], dtype=np.float32))
    reader = model._reader
    matrix = liked_matrix(disliked, 12)
    paths = reader.find(matrix, Candidates(np.array([0]), np.array([3]), np.zeros(1, np.float32)))
    assert set(paths.nodes[:, 0].tolist()) <= {2}


def test_held_out_events_are_a_share_of_each_users_likes() -> None:
    values = np.array([1, 1, -1, 1, 1, 1, 1, 1, 1], dtype=np.float32)
    histories = replace(Histories.of([[0, 1, 2, 3, 4, 5], [0, 1], [2]]), mapped=values)
    rest, held = hold_out(TrainingData(histories, 6), 0.5, np.random.default_rng(1))
    assert held.sum() == 2
    assert not held[2]
    assert not held[6:].any()
    assert len(rest.histories.items) == 7


def test_ndcg_by_hand() -> None:
    pairs = Candidates(np.array([0, 0, 0, 1, 1]), np.arange(5), np.zeros(5, np.float32))
    examples = Examples(Histories.of([[9], [9]]), pairs, np.array([True, False, True, False, False]))
    found = ndcg(np.array([1.0, 3.0, 2.0, 0.0, 0.0]), examples)
    assert found == pytest.approx((1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3)))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"first_stage": "kprn"}, "would re-rank itself"),
        ({"first_stage": "eas"}, "did you mean 'ease'"),
        ({"first_stage": "popularity"}, "makes no candidates"),
        ({"first_stage": "vbmf"}, "makes no candidates"),
        ({"first_settings": {"l3": 1}}, "unknown key 'l3'"),
        ({"max_nodes": 5}, "needs form = paths"),
        ({"held_out": 1}, "held_out"),
    ],
)
def test_wrong_settings_are_refused_with_the_fix(settings: dict, problem: str) -> None:
    with pytest.raises(MatineeError, match=problem):
        create("kprn", **settings)


def test_any_model_may_be_the_first_stage(train: TrainingData) -> None:
    for name in ("item-knn", "user-knn", "bpr"):
        model = create("kprn", first_stage=name, candidates=5, epochs=1).fit(train, Run.seeded(1))
        assert rank(model, Histories.of([[0, 2], [1]]), 5).items.shape == (2, 5)


def test_arrivals_that_are_found_again_at_each_step_train_the_same_model(
    train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = KPRN(epochs=2).fit(train, Run.seeded(3))
    monkeypatch.setattr("matinee.models.knowledge.kprn.HELD_ELEMENTS", 1)
    found_again = KPRN(epochs=2).fit(train, Run.seeded(3))
    for name in ("node_embeddings", "readout", "scales", "arrival_weights"):
        np.testing.assert_array_equal(getattr(held, name), getattr(found_again, name))


def test_longer_paths_train_and_serve(train: TrainingData) -> None:
    model = create("kprn", form="paths", max_nodes=5, candidates=4, epochs=1, max_paths=10).fit(train, Run.seeded(1))
    assert any(len(path.nodes) == 5 for path in model.paths_to(Histories.of([[0, 2]]), [3], k=500)[0])
    assert KPRNConfig(form="paths", max_nodes=5).max_nodes == 5


def test_recommend_says_that_no_path_led_to_the_list() -> None:
    rng = np.random.default_rng(1)
    rows = [(user, item) for user in range(12) for item in rng.choice(9, 4, replace=False)]
    data = mt.events({"user": [f"u{user}" for user, _ in rows], "item": [f"i{item}" for _, item in rows]})
    model = mt.fit("kprn", data, user_paths=False, epochs=1)
    assert any("no path of the knowledge graph" in note for note in mt.recommend(model, history=["i1"], k=3).notes)
    model = mt.fit("kprn", data, epochs=1)
    assert mt.recommend(model, history=["i1"], k=3).notes == ()


def test_a_fit_takes_triples_and_says_what_it_skipped() -> None:
    triples = mt.graph({"head": [1, 2, 999999], "relation": ["directed_by"] * 3, "tail": ["John Lasseter"] * 3})
    data = mt.load("bundled")
    few = mt.keep(data, sample_users=60)
    model = mt.fit("kprn", few, graph=triples, epochs=1, first_stage="item-knn")
    assert "directed_by" in model.model.relation_names
    assert any("skipped" in note for note in model.manifest["notes"])
    with pytest.raises(MatineeError, match="has no effect on ease"):
        mt.fit("ease", few, graph=triples)


def test_candidates_are_the_best_outside_the_history_with_standardised_scores() -> None:
    scores = np.array([[9, 1, 5, 3, 2], [1, 1, 1, 1, 1]], dtype=np.float32)
    found = candidates_of(scores, Histories.of([[0], [4, 1]]), 3)
    assert found.items.tolist() == [2, 3, 4, 0, 2, 3]
    assert found.owners.tolist() == [0, 0, 0, 1, 1, 1]
    of_first = np.array([5, 3, 2]) - 10 / 3
    np.testing.assert_allclose(found.scores, [*(of_first / of_first.std()), 0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(found.log_ranks, np.log([1, 2, 3, 1, 2, 3]), rtol=1e-6)
    assert candidates_of(scores[:1], Histories.of([[0, 1, 2, 3, 4]]), 3).items.tolist() == []


@pytest.mark.parametrize("form", FORMS)
def test_drops_are_those_of_the_first_stage_and_of_the_paths(form: str, train: TrainingData) -> None:
    model = create("kprn", form=form, candidates=6, epochs=2, max_paths=1000).fit(train, Run.seeded(1))
    assert isinstance(model, HasDrops)
    model.mix = 0.7
    histories, items = Histories.of([[0, 2, 5], [], [1]]), np.array([[3, 4], [0, 1], [6, 7]])
    found = model.drops(histories, items)
    first = model._first()
    raw = first.score(first.fold_in(histories))
    candidates = candidates_of(raw, histories, 6)
    a, b, _, _ = np.exp(model.scales.astype(np.float64))
    parts = first.explain(histories, items)
    for event, owner in enumerate(histories.owners):
        deviation = raw[owner, candidates.items[candidates.owners == owner]].std()
        own = [row for row, other in zip(histories.items, histories.owners, strict=True) if other == owner]
        for column, item in enumerate(items[owner]):
            paths = model.paths_to(Histories.of([own]), [int(item)], k=10_000)[0]
            every = [np.exp(path.score) for path in paths]
            kept = [np.exp(path.score) for path in paths if path.nodes[0].item_row != histories.items[event]]
            lost = np.log1p(sum(every)) - np.log1p(sum(kept))
            wanted = a * parts[event, column] / deviation + 0.7 * b * lost
            assert found[event, column] == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_drops_are_unknown_without_contributions_of_the_first_stage(train: TrainingData) -> None:
    model = create("kprn", first_stage="cdae", candidates=5, epochs=1).fit(train, Run.seeded(1))
    histories, items = Histories.of([[0, 2]]), np.array([[3, 4]])
    assert model.drops(histories, items) is None
    assert explain(model, histories, items).method == "left-out"
    by_parts = create("kprn", candidates=5, epochs=1).fit(train, Run.seeded(1))
    found = explain(by_parts, histories, items)
    assert (found.method, found.n_examined) == ("parts", 2)
    np.testing.assert_array_equal(found.contributions, by_parts.drops(histories, items))
    repeated = Histories.of([[0, 2, 0]])
    halves = by_parts.drops(repeated, items)
    np.testing.assert_allclose(halves[0], halves[2])

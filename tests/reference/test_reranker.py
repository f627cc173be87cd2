"""Rerank's features against plain counts, its trees, and its lists."""

import sys
from copy import copy

import lightgbm
import numpy as np
import pytest

from matinee import extras
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.knowledge_graph import KnowledgeGraph
from matinee.models import create
from matinee.models.ensembles.examples import Examples, union_of_best
from matinee.models.ensembles.facts import DAY, ItemFacts, _ranks, features_of
from matinee.models.ensembles.rerank import OF_TREES, Reranker
from matinee.models.ensembles.trees import Trees
from matinee.ranking.rank import rank
from matinee.training.run import Run


@pytest.fixture(scope="module")
def train() -> TrainingData:
    data = two_groups(40, 12)
    heads = np.arange(12, dtype=np.int32)
    tails = (12 + heads % 2).astype(np.int32)
    none = np.zeros(12, dtype=np.int32)
    graph = KnowledgeGraph(
        12, ("item", "genre"), ("even", "odd"), np.array([1, 1], dtype=np.int32), ("genre",), heads, none, tails
    )
    return TrainingData(Histories.from_events(data.events, np.arange(40, dtype=np.int32)), 12, graph)


@pytest.fixture(scope="module")
def model(train: TrainingData) -> Reranker:
    return create("rerank", parts="ease,popularity", candidates=6, n_trees=20).fit(train, Run.seeded(1))


def test_features_are_those_of_a_plain_count() -> None:
    histories = Histories(
        np.array([0, 3, 5]), np.array([0, 1, 2, 1, 3]), np.ones(5, dtype=np.float32),
        np.array([1, 2, 3, 4, 11]) * DAY, np.array([0, 1]),
    )  # fmt: skip
    heads, tails = np.arange(4, dtype=np.int32), np.array([4, 5, 4, 4], dtype=np.int32)
    graph = KnowledgeGraph(
        4,
        ("item", "genre"),
        ("a", "b"),
        np.array([1, 1], dtype=np.int32),
        ("genre",),
        heads,
        np.zeros(4, np.int32),
        tails,
    )
    facts = ItemFacts.of(TrainingData(histories, 4, graph))
    scores = [np.array([[0, 1, 2, 3], [3, 2, 1, 0]], dtype=np.float32)]
    owners, items = np.array([0, 1, 1]), np.array([3, 0, 2])
    found = features_of(facts, scores, histories, owners, items)
    z = np.array([1.5, 1.5, -0.5]) / np.std([0, 1, 2, 3])
    np.testing.assert_allclose(found[:, 0], z, rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], np.log1p([0, 0, 1]), rtol=1e-6)
    np.testing.assert_allclose(found[:, 2], np.log1p([1, 1, 1]), rtol=1e-6)
    np.testing.assert_allclose(found[:, 3], np.log1p([0, 10, 8]), rtol=1e-6)
    np.testing.assert_allclose(found[:, 4], [2 / 3, 1 / 2, 1 / 2], rtol=1e-6)  # share of the history with the genre
    np.testing.assert_allclose(found[:, 5], np.log1p([3, 2, 2]), rtol=1e-6)
    means = [np.log1p([1, 2, 1]).mean(), np.log1p([2, 1]).mean()]
    np.testing.assert_allclose(found[:, 6], [means[0], means[1], means[1]], rtol=1e-6)
    np.testing.assert_allclose(found[:, 7], np.log1p([8, 0, 0]), rtol=1e-6)


def test_ranks_go_by_score_then_by_position() -> None:
    rng = np.random.default_rng(5)
    lengths = [0, 4, 1, 30, 0, 7]
    owners = np.repeat(np.arange(6), lengths)
    scores = rng.choice(np.array([-3.5, -0.0, 0.0, 1e-30, -1e-30, 2, 7e8], np.float32), len(owners))
    expected = [rank for own in range(6) for rank in np.argsort(np.argsort(-scores[owners == own], kind="stable"))]
    assert _ranks(scores, owners, 6).tolist() == expected


def with_trees(model: Reranker, *grown: dict[str, object]) -> Reranker:
    """A model with these trees, as LightGBM dumps them, in place of its own."""
    changed = copy(model)
    for learned, name in OF_TREES.items():
        setattr(changed, learned, getattr(Trees.of_model({"tree_info": grown}), name))
    return changed


def weighted_sums(model: Reranker, parts: list[np.ndarray]) -> np.ndarray:
    scaled = [(each - each.mean(axis=1, keepdims=True)) / each.std(axis=1, keepdims=True) for each in parts]
    return sum(weight * each for weight, each in zip(model.weights, scaled, strict=True))


def test_candidates_come_first_and_the_others_keep_the_order_of_the_weighted_sum(
    model: Reranker, train: TrainingData
) -> None:
    histories = train.histories.take(np.arange(5))
    model = with_trees(model, {"tree_structure": {"leaf_value": 0.7}})
    scores = model.score(model.fold_in(histories))
    parts = [part.score(part.fold_in(histories)) for part in model.fitted_parts]
    owners, items = union_of_best(parts, histories, 6)
    listed = np.zeros(scores.shape, dtype=bool)
    listed[owners, items] = True
    sums = weighted_sums(model, parts)
    for user in range(5):
        assert scores[user][listed[user]].min() > scores[user][~listed[user]].max()
        others = np.flatnonzero(~listed[user])
        in_order = sums[user][others][np.argsort(-scores[user][others], kind="stable")]
        assert np.diff(in_order).max() < 1e-5, "equal ones in any order, as they are rounded"


def test_without_a_tree_scores_are_the_weighted_sums_and_a_part_without_weight_is_not_asked(
    model: Reranker, train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = train.histories.take(np.arange(5))
    model = with_trees(model)
    parts = [part.score(part.fold_in(histories)) for part in model.fitted_parts]
    np.testing.assert_allclose(model.score(histories), weighted_sums(model, parts), rtol=1e-5, atol=1e-6)
    model.weights = np.array([0, 1], dtype=np.float32)
    monkeypatch.setattr(type(model.fitted_parts[0]), "score", None)
    np.testing.assert_allclose(model.score(histories), weighted_sums(model, parts), rtol=1e-5, atol=1e-6)


def examples(targets_follow: bool) -> Examples:
    """80 users with ten candidates each; a part's scores say nothing, and popularity says all or nothing."""
    rng = np.random.default_rng(5)
    owners, items = np.repeat(np.arange(80), 10), np.tile(np.arange(10), 80)
    features = rng.normal(size=(800, 8)).astype(np.float32)
    popular = features[:, 2].reshape(80, 10).argmax(axis=1)
    wanted = popular if targets_follow else rng.integers(0, 10, 80)
    is_target = items == wanted[owners]
    ones = np.ones(80, dtype=np.int64)
    return Examples(owners, items, features, features[:, :1], is_target, ones, 5 * ones)


def one_part(**settings: float) -> Reranker:
    model = create("rerank", parts="ease,popularity", least_rows=5, **settings)
    model.parts = model.parts[:1]  # the features have one part's
    return model


def test_trees_find_what_the_scores_do_not_say_and_the_same_seed_gives_the_same() -> None:
    model, taught = one_part(learning_rate=0.2), examples(targets_follow=True)
    order, again = (model._grow(taught, seed=3) for _ in range(2))
    for name in OF_TREES.values():
        np.testing.assert_array_equal(getattr(order.trees, name), getattr(again.trees, name))
    first = order.scores(taught.features).reshape(80, 10).argmax(axis=1)
    assert (first == np.flatnonzero(taught.is_target) % 10).mean() > 0.9


def test_trees_that_help_nobody_else_are_not_kept() -> None:
    noise = examples(targets_follow=False)
    assert len(one_part()._grow(noise, seed=3).trees.roots) < 75


def split_of(feature: int, threshold: float, *leaves: float) -> dict[str, object]:
    """A tree of two leaves, as LightGBM dumps it."""
    below, above = ({"leaf_value": leaf} for leaf in leaves)
    node = {"split_feature": feature, "threshold": threshold, "left_child": below, "right_child": above}
    return {"tree_structure": node}


@pytest.mark.parametrize("grown", [[], [{"tree_structure": {"leaf_value": 0.7}}], ["rank", "shared"]])
def test_scores_without_an_event_are_those_of_the_shorter_history_whatever_trees_ask(
    grown: list[object], train: TrainingData
) -> None:
    model = create("rerank", parts="ease,popularity", candidates=12).fit(train, Run.seeded(1))
    if grown == ["rank", "shared"]:
        grown = [split_of(1, 0.8, 0.3, -0.2), split_of(6, 0.5, -0.1, 0.4)]
    model = with_trees(model, *grown)
    history = train.histories.take(np.array([3]))
    events = np.arange(len(history.items))
    rows = np.setdiff1d(np.arange(12), history.items)[None]
    rest = history.without_each(events)
    expected = model.score(model.fold_in(rest))[:, rows[0]]
    found = model.scores_without_each(history, events, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    scores = [part.score(part.fold_in(rest)) for part in model.fitted_parts]
    owners, items = union_of_best(scores, rest, 12)
    facts = ItemFacts(model.popularity, model.ages, model.entities, model.end)
    plain = model.order.scores(features_of(facts, scores, rest, owners, items))
    whole = np.full((len(events), 12), np.nan)
    whole[owners, items] = plain
    np.testing.assert_allclose(found, whole[:, rows[0]], rtol=1e-4, atol=1e-5)


def test_trees_give_what_lightgbm_gives() -> None:
    rng = np.random.default_rng(2)
    rows, wanted = rng.normal(size=(500, 6)).astype(np.float32), rng.integers(0, 2, 500)
    data = lightgbm.Dataset(rows, label=wanted)
    grown = lightgbm.train({"num_leaves": 9, "verbosity": -1, "num_threads": 1}, data, num_boost_round=20)
    trees = Trees.of_model(grown.dump_model())
    others = np.concatenate([rows, rng.normal(size=(500, 6)).astype(np.float32)])
    for first in (0, 1, 7, 20):
        expected = grown.predict(others, num_iteration=first) if first else np.zeros(1000)
        np.testing.assert_allclose(trees.first(first).sums(others), expected, rtol=1e-12, atol=1e-12)
        many = trees.first(first).sums(np.tile(others, (3, 1)))
        np.testing.assert_allclose(many, np.tile(expected, 3), rtol=1e-12, atol=1e-12)
    assert trees.sums(rows[:0]).shape == (0,)


def test_a_made_up_tree_that_goes_round_ends() -> None:
    children = np.array([[1, 1], [0, 0]], dtype=np.int32)
    round_and_round = Trees(np.zeros(1, np.int32), np.zeros(2, np.int32), np.zeros(2), children, np.ones(2))
    assert round_and_round.sums(np.zeros((3, 1), np.float32)).tolist() == [1, 1, 1]
    twice = Trees(np.zeros(1, np.int32), np.zeros(2, np.int32), np.zeros(2), np.ones((2, 2), np.int32), np.ones(2))
    assert twice.sums(np.zeros((5000, 1), np.float32)).tolist() == [1] * 5000


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (OSError("libgomp.so.1: cannot open shared object file"), "cannot start .libgomp.*apt-get install libgomp1"),
        (None, r"which is not installed: pip install 'matinee\[rerank\]'"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_missing_and_a_fitted_model_needs_none_of_it(
    train: TrainingData, model: Reranker, monkeypatch: pytest.MonkeyPatch, broken: OSError | None, message: str
) -> None:
    def fail(package: str) -> None:
        raise broken

    if broken is None:
        monkeypatch.setitem(sys.modules, "lightgbm", None)
    else:
        monkeypatch.setattr(extras, "import_module", fail)
    with pytest.raises(MatineeError, match=message):
        create("rerank").fit(train, Run.seeded(1))
    assert rank(model, train.histories.take(np.arange(3)), 2).items.shape == (3, 2)


def test_more_candidates_than_lightgbm_orders_are_refused_before_any_fit() -> None:
    wide = TrainingData(Histories.of([[0, 1, 2]]), 20_000)
    with pytest.raises(MatineeError, match="10,000 at most; lower candidates"):
        create("rerank", candidates=4000).fit(wide, Run.seeded(1))


def test_short_histories_weigh_the_parts_equally_without_a_tree() -> None:
    short = Histories.of([[0, 1], [1, 2], [2, 3], [3, 0]])
    model = create("rerank", parts="ease,ials").fit(TrainingData(short, 4), Run.seeded(1))
    assert len(model.tree_roots) == 0
    np.testing.assert_allclose(model.weights, 1 / 2)
    assert rank(model, short, 2).items.shape == (4, 2)

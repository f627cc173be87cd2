"""Explanations of a batch, citations and the deletion of reasons, against plain loops."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from matinee.config import ValuesConfig
from matinee.data.synthetic import two_groups
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking import explain as explaining
from matinee.ranking.explain import explain, only, scores_of, without
from matinee.ranking.reasons import MAX_REASONS, REASON_SHARE, cite, liking, reasons_that_hold
from matinee.training.run import Run
from matinee.values import resolve
from matinee.vocab import UNKNOWN
from toy_models import SumOfRows


class LeftOut(SumOfRows):
    """A model that does not say what its scores are made of."""

    name = "left-out"
    explain = None


@pytest.fixture(scope="module")
def table() -> list[list[float]]:
    return np.random.default_rng(0).normal(size=(9, 9)).round(3).tolist()


BATCH = Histories.of([[0, 2, 4], [], [1, 3, 0, 5, 6, 7, 8], [7]])
ROWS = np.array([[1, 3], [2, 0], [4, 2], [0, UNKNOWN]])


@pytest.mark.parametrize("kind", [SumOfRows, LeftOut])
@pytest.mark.parametrize("block", [1, 3, 1000])
def test_a_batch_is_explained_as_each_history_alone(
    kind: type[SumOfRows], block: int, table: list[list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "BLOCK_HISTORIES", block)
    model = kind(table)
    found = explain(model, BATCH, ROWS, max_events=5)
    assert found.n_examined == (11 if kind is SumOfRows else 9)
    for user in range(4):
        alone = explain(model, BATCH.take(np.array([user])), ROWS[[user]], max_events=5)
        events = slice(BATCH.starts[user], BATCH.starts[user + 1])
        np.testing.assert_allclose(found.contributions[events], alone.contributions, atol=1e-6)
        np.testing.assert_allclose(found.scores[user], alone.scores[0], atol=1e-6)


def test_leaving_out_equals_the_exact_parts_of_a_sum(table: list[list[float]]) -> None:
    exact, left_out = (explain(kind(table), BATCH, ROWS) for kind in (SumOfRows, LeftOut))
    assert (exact.method, left_out.method) == ("exact", "left-out")
    np.testing.assert_allclose(exact.contributions, left_out.contributions, atol=1e-5)
    assert not exact.contributions[-1, 1], "an item that is UNKNOWN has no parts"


@pytest.mark.parametrize("name", ["ease", "item-knn", "user-knn", "ials", "bpr", "pmi", "lightgcn", "markov"])
def test_a_batch_of_real_models_is_explained_as_each_history_alone(name: str) -> None:
    data = two_groups(24, 12)
    train = TrainingData(Histories.from_events(data.events, np.arange(24, dtype=np.int32)), 12)
    model = create(name, **({"dim": 4} if name in ("ials", "bpr", "lightgcn") else {})).fit(train, Run.seeded(1))
    rows = np.arange(12)[None].repeat(4, axis=0)
    histories = Histories.of([[0, 2, 4], [1], [1, 3, 0, 5, 6], [7, 9]])
    found = explain(model, histories, rows)
    for user in range(4):
        alone = explain(model, histories.take(np.array([user])), rows[[user]])
        events = slice(histories.starts[user], histories.starts[user + 1])
        np.testing.assert_allclose(found.contributions[events], alone.contributions, rtol=1e-4, atol=1e-5)


def test_histories_without_and_with_only_some_events() -> None:
    rows = np.array([2, 0, 2, 3])
    events = np.array([[3, 5], [1, UNKNOWN], [UNKNOWN, UNKNOWN], [10, UNKNOWN]])
    left, kept = without(BATCH, rows, events), only(BATCH, rows, events)
    assert [part.tolist() for part in np.split(left.items, left.starts[1:-1])] == [
        [3, 5, 6, 7, 8],
        [0, 4],
        [1, 3, 0, 5, 6, 7, 8],
        [],
    ]
    assert [part.tolist() for part in np.split(kept.items, kept.starts[1:-1])] == [[1, 0], [2], [], [7]]


def cited_by_loop(contributions: np.ndarray, weights: np.ndarray, starts: np.ndarray) -> list[list[list[int]]]:
    found = []
    for first, stop in pairwise(starts):
        per_item = []
        for column in range(contributions.shape[1]):
            liked = [n for n in range(first, stop) if weights[n] > 0 and contributions[n, column] > 0]
            best = sorted(liked, key=lambda n: (-contributions[n, column], n))[:MAX_REASONS]
            least = REASON_SHARE * contributions[best[0], column] if best else 0
            per_item.append([n for n in best if contributions[n, column] >= least])
        found.append(per_item)
    return found


def test_citations_equal_a_loop_and_never_cite_what_is_disliked() -> None:
    rng = np.random.default_rng(3)
    starts = np.concatenate([[0], np.cumsum(rng.integers(0, 6, size=200))])
    contributions = rng.normal(size=(starts[-1], 4)).round(1)
    weights = rng.choice([-1.0, 0.0, 0.5, 1.0], size=starts[-1])
    found = cite(contributions, weights, starts)
    as_lists = [[[int(n) for n in cell if n != UNKNOWN] for cell in user] for user in found]
    assert as_lists == cited_by_loop(contributions, weights, starts)
    assert (weights[found[found != UNKNOWN]] > 0).all()


class Normalised(SumOfRows):
    """Explains by parts of a sum, but scores by their mean: without a strong event nothing falls below the mean."""

    name = "normalised"

    def score(self, state: Histories) -> np.ndarray:
        return super().score(state) * 0 + np.float32(1)


def test_a_reason_whose_deletion_changes_nothing_does_not_hold(table: list[list[float]]) -> None:
    history = Histories.of([[0, 2, 4, 6]])
    rows = np.array([1, 3, 5])
    model = SumOfRows(table)
    held, _ = reasons_that_hold(model, history, rows, scores_of(model, history, rows[None])[0])
    assert (held != UNKNOWN).any()
    constant = Normalised(table)
    none, found = reasons_that_hold(constant, history, rows, scores_of(constant, history, rows[None])[0])
    assert found.contributions.any()
    assert (none == UNKNOWN).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [SumOfRows, LeftOut])
def test_reasons_that_hold_equal_a_loop(kind: type[Recommender], seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = kind(rng.normal(size=(12, 12)).tolist())
    items = rng.permutation(12)[:6].tolist()
    history, rows = Histories.of([items]), np.setdiff1d(np.arange(12), items)
    scores = scores_of(model, history, rows[None])[0]
    held, found = reasons_that_hold(model, history, rows, scores)
    drops = np.stack(
        [
            scores - scores_of(model, Histories.of([items[:n] + items[n + 1 :]]), rows[None])[0]
            for n in range(len(items))
        ]
    )
    cited = cite(found.contributions, np.ones(len(items)), history.starts)[0]
    for column in range(len(rows)):
        names = [n for n in cited[column] if n != UNKNOWN]
        others = [drops[n, column] for n in range(len(items)) if n not in names]
        wanted = [n for n in names if drops[n, column] > 0 and drops[n, column] >= np.mean(others)]
        assert [n for n in held[column] if n != UNKNOWN] == wanted


def test_a_low_rating_is_no_reason_even_where_all_ratings_weigh_the_same() -> None:
    history = Histories.of([[0, 1, 2, 3]], [[1.0, 2.0, 2.5, np.nan]])
    model = SumOfRows([[1.0] * 5] * 5)
    assert liking(model, history).tolist() == [1, 1, 1, 1], "without a scale, values may be anything"
    model.value_map = resolve(ValuesConfig(map="unary"), np.array([0.5, 5.0]))
    assert liking(model, history).tolist() == [0, 0, 1, 1]
    model.value_map = resolve(ValuesConfig(map="unary"), np.array([1.0, 10.0]))
    assert liking(model, history).tolist() == [0, 0, 0, 1]


SMALL = {
    "ials": {"dim": 4},
    "bpr": {"dim": 4},
    "bpr solve": {"dim": 4, "fold_in": "solve"},
    "lightgcn": {"dim": 4},
    "markov": {"steps": 2},
    "user-knn": {"neighbours": 7},
    "user-knn tf-idf": {"neighbours": 5, "similarity": "cosine", "weighting": "tf-idf", "shrinkage": 2},
    "user-knn dot": {"neighbours": 5, "similarity": "dot", "weighting": "tf-idf"},
    "sasrec": {"dim": 4, "epochs": 1, "max_length": 3, "heads": 2},
    "sasrec hstu": {"dim": 4, "epochs": 1, "learning_rate": 0.05, "max_length": 4, "heads": 2, "block": "hstu"},
    "sasrec post": {"dim": 4, "epochs": 1, "max_length": 9, "norm": "post"},
    "gru4rec": {"dim": 4, "hidden": 6, "epochs": 1, "max_length": 3},
    "gru4rec deep": {"dim": 4, "hidden": 6, "epochs": 1, "max_length": 9, "layers": 2, "tied": False},
    "linear-gru": {"dim": 4, "hidden": 6, "epochs": 1, "max_length": 3},
    "sasrec flat": {"dim": 4, "epochs": 1, "max_length": 3, "layers": 0},
}
"""Settings for twelve items and histories of five."""


def fitted(name: str) -> Recommender:
    data = two_groups(24, 12)
    train = TrainingData(Histories.from_events(data.events, np.arange(24, dtype=np.int32)), 12)
    return create(name.split()[0], **SMALL.get(name, {})).fit(train, Run.seeded(1))


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(
    "name", ["ease", "item-knn", "pmi", "ials", "bpr solve", "markov", "linear-gru", *(n for n in SMALL if "rec" in n)]
)
def test_scores_without_each_event_equal_those_of_the_shorter_histories(name: str, valued: bool) -> None:
    model, rng = fitted(name), np.random.default_rng(5)
    histories = Histories.of([[0, 2, 4], [7], [], [1, 3, 0, 5, 6]])
    if valued:
        histories = replace(histories, mapped=rng.choice([-1.0, 0.5, 2.0], 9).astype(np.float32))
    rows = np.arange(12)[None].repeat(4, axis=0)
    scores = model.score(model.fold_in(histories))
    for event, owner in enumerate(histories.owners):
        rest = model.score(model.fold_in(histories.keep(np.arange(9) != event)))[owner]
        if model.adds_up:
            found = scores[owner] - model.explain(histories, rows)[event]
        else:
            found = model.scores_without_each(histories, np.array([event]), rows)[0]
        np.testing.assert_allclose(found, rest, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["gru4rec", "gru4rec deep", "linear-gru"])
def test_what_a_list_has_read_is_read_once(name: str) -> None:
    model, rows = fitted(name), np.arange(12)[None]
    for items in ([0, 2], [1, 3, 0], [1, 3, 0, 5], [4, 1, 3, 0, 5, 6, 7, 2, 9, 8, 11]):
        history, events = Histories.of([items]), np.arange(len(items))
        rest = model.score(model.fold_in(history.without_each(events)))
        twice = [model.score(model.fold_in(history)) for _ in range(2)]
        np.testing.assert_array_equal(*twice)
        np.testing.assert_allclose(twice[0], model.score(model.fold_in(Histories.of([items, [3]])))[:1], atol=1e-6)
        np.testing.assert_allclose(model.scores_without_each(history, events, rows), rest, rtol=1e-4, atol=2e-5)


def test_histories_without_an_event_and_of_it_alone() -> None:
    histories = Histories.of([[0, 2, 4], [7], [], [1, 3, 0, 5, 6]])
    events = np.array([0, 2, 3, 4, 8, 6, 6])
    rest, alone = histories.without_each(events), histories.alone(events)
    kept = [[2, 4], [0, 2], [], [3, 0, 5, 6], [1, 3, 0, 5], [1, 3, 5, 6], [1, 3, 5, 6]]
    assert [rest.items[start:stop].tolist() for start, stop in pairwise(rest.starts)] == kept
    assert [alone.items[start:stop].tolist() for start, stop in pairwise(alone.starts)] == [
        [0], [4], [7], [1], [6], [0], [0],
    ]  # fmt: skip
    for each in (rest, alone):
        assert each.user_rows.tolist() == histories.user_rows[histories.owners[events]].tolist()


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
@pytest.mark.parametrize("solve", ["newton", "plain"])
@pytest.mark.parametrize("valued", [False, True])
def test_graph_models_without_an_event_are_those_of_the_shorter_histories(name: str, solve: str, valued: bool) -> None:
    rng = np.random.default_rng(7)
    logs = [rng.choice(60, size, replace=False).tolist() for size in rng.integers(5, 40, 80)]
    model = create(name, dim=8, epochs=5, solve=solve).fit(TrainingData(Histories.of(logs), 60), Run.seeded(1))
    histories = Histories.of([rng.choice(60, size, replace=False).tolist() for size in (40, 23, 2)])
    if valued:
        histories = replace(histories, mapped=rng.uniform(-0.2, 1.5, 65).astype(np.float32))
    rows, events = np.arange(60)[None].repeat(3, axis=0), np.arange(65)
    scores = model.score(model.fold_in(histories))[histories.owners]
    rest = model.score(model.fold_in(histories.without_each(events)))
    found = model.scores_without_each(histories, events, rows)
    np.testing.assert_allclose(found, rest, rtol=0, atol=1e-4 * np.abs(scores - rest).max() + 1e-6)
    assert model.scores_without_each(Histories.of([[1]]), np.array([0]), rows[:1]) is None, "nothing is left"


@pytest.mark.parametrize("dim", [2, 20])
def test_autorec_without_each_rating_is_that_of_the_shorter_histories(dim: int) -> None:
    rng = np.random.default_rng(6)
    logs = [rng.choice(30, size, replace=False).tolist() for size in rng.integers(3, 20, 50)]
    train = TrainingData(Histories.of(logs, [rng.integers(1, 6, len(log)).tolist() for log in logs]), 30)
    model = create("autorec", dim=dim, epochs=2).fit(train, Run.seeded(1))
    values = [5, 1, np.nan, 2.5, 4, 9, 3, 3, 1, 2]  # one event without a rating, and one off the scale
    history = Histories.of([[0, 3, 4, 9, 7, 12, 20, 21, 22, 23], [5], []], [values, [2.0], []])
    rows, events = np.arange(30)[None].repeat(3, axis=0), np.arange(11)
    rest = model.score(model.fold_in(history.without_each(events)))
    np.testing.assert_allclose(model.scores_without_each(history, events, rows), rest, rtol=1e-4, atol=1e-5)
    scores = model.score(model.fold_in(history))
    drops = explaining.drops_without_each(model, history, events, rows, scores)
    np.testing.assert_allclose(drops, scores[history.owners] - rest, atol=2e-5)


@pytest.mark.parametrize("name", [name for name in SMALL if "knn" in name])
@pytest.mark.parametrize("valued", [False, True])
def test_neighbours_without_an_event_are_found_among_few_users(
    name: str, valued: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    logs = [rng.choice(40, size, replace=False).tolist() for size in rng.integers(3, 25, 200)]
    model = create(name.split()[0], **SMALL[name]).fit(TrainingData(Histories.of(logs), 40), Run.seeded(1))
    history = Histories.of([rng.choice(40, 15, replace=False).tolist()])
    if valued:  # no ties between neighbours: the shorter histories are the truth
        history = replace(history, mapped=rng.uniform(-0.3, 1, 15).astype(np.float32))
    rows, events = np.arange(40)[None], np.arange(15)
    found = model.scores_without_each(history, events, rows)
    _, near = model._similarities_without_each(history, np.argsort(history.weights)[:-1])
    assert len(near) < 200
    monkeypatch.setattr(model, "_near_without_any", lambda products, *rest: np.arange(len(products)))
    np.testing.assert_allclose(found, model.scores_without_each(history, events, rows), rtol=1e-5)
    if valued:
        rest = [model.score(model.fold_in(history.keep(events != event)))[0] for event in events]
        np.testing.assert_allclose(found, rest, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ease", "item-knn", "ials"])
def test_the_deletion_of_a_repeated_item_is_scored(name: str) -> None:
    model, history = fitted(name), Histories.of([[0, 2, 0, 4]])
    rows = np.array([[1, 3, 5]])
    scores = scores_of(model, history, rows)
    found = explaining.drops_without_each(model, history, np.array([0]), rows, scores)
    wanted = scores - scores_of(model, Histories.of([[2, 0, 4]]), rows)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["ease", "item-knn", "user-knn", "pmi", "ials", "bpr", "lightgcn", "markov"])
def test_every_reason_of_a_list_passes_the_deletion_test_on_that_list(name: str) -> None:
    model, items = fitted(name), [0, 2, 4, 7, 9]
    history, rows = Histories.of([items]), np.setdiff1d(np.arange(12), items)
    scores = scores_of(model, history, rows[None])[0]
    held, _ = reasons_that_hold(model, history, rows, scores)
    shorter = Histories.of([items[:n] + items[n + 1 :] for n in range(5)])
    drops = scores - scores_of(model, shorter, rows[None].repeat(5, axis=0))  # [5, k]
    for column, events in enumerate(held):
        for event in events[events != UNKNOWN]:
            others = [drops[n, column] for n in range(5) if n not in events]
            assert drops[event, column] > 0
            assert drops[event, column] >= np.mean(others) - 1e-4 * abs(np.mean(others))

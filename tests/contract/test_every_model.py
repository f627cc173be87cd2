"""What every model must do. Numbers in the names follow the list in docs/adding-a-model.md."""

import subprocess
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matinee.config import EvaluationConfig, ValuesConfig
from matinee.data.splits import Split
from matinee.data.synthetic import cycle, missing_item, two_groups, two_tastes
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.evaluate import evaluate
from matinee.histories import EventSource, Histories, TrainingData
from matinee.models import create, model_class, model_names
from matinee.models.base import Explains, HasItemBias, Recommender
from matinee.ranking import rank as ranking
from matinee.ranking.rank import Ranking, rank
from matinee.store import artefact
from matinee.store.artefact import Artefact
from matinee.store.sql import SqlEvents
from matinee.training.configs import EpochsConfig
from matinee.training.run import Run
from matinee.values import resolve
from released import FLOORS

NAMES = sorted(model_names())
COLLABORATIVE = [name for name in NAMES if model_class(name).reads_history and not model_class(name).ordered]
ORDERED = [name for name in NAMES if model_class(name).ordered]
ANY_FLOOR = 0.01
"""NDCG@10 of a model without a line in floors.toml: twice what a random list has."""


def small(name: str, n_users: int = 24) -> Dataset:
    """Two groups of 12 items: clicks, or ratings for a model that predicts them."""
    return (two_tastes if model_class(name).predicts_values else two_groups)(n_users, 12)


def everything(data: Dataset) -> TrainingData:
    users = np.arange(len(data.users), dtype=np.int32)
    return TrainingData(Histories.from_events(data.events, users), len(data.items))


def assert_same_lists(one: Ranking, other: Ranking) -> None:
    """Same items in the same order, scores within 1e-6; only near-ties closer than that may swap."""
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-6, atol=1e-6)
    differ = one.items != other.items
    near = np.zeros_like(differ)
    gaps = np.abs(np.diff(one.scores, axis=1)) <= 1e-6
    near[:, 1:] |= gaps
    near[:, :-1] |= gaps
    near[:, -1] = True  # the last item may swap with the first one outside the list
    assert not (differ & ~near).any()


@pytest.fixture(scope="module")
def some_histories(bundled_split: Split) -> Histories:
    return bundled_split.training().histories.take(np.arange(0, 600, 6))


@pytest.mark.parametrize("name", NAMES)
def test_1a_memory_and_sql_give_the_same_lists(
    name: str, fitted: dict[str, Recommender], bundled: Dataset, log_url: str
) -> None:
    users = [int(user) for user in bundled.users.ids[::9]]
    memory = EventSource(bundled.events, bundled.users)
    sql = SqlEvents(log_url, bundled.items)
    events = bundled.events
    before = int(np.quantile(events.times, 0.6))
    model = copy(fitted[name])
    model.value_map = resolve(ValuesConfig(map="default"), events.values)
    one = rank(model, memory.histories(users, before=before), 10)
    other = rank(model, sql.histories(users, before=before), 10)
    sql.close()
    assert_same_lists(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_1b_a_batch_equals_one_user_at_a_time(
    name: str, fitted: dict[str, Recommender], some_histories: Histories
) -> None:
    whole = rank(fitted[name], some_histories, 10)
    for user in range(0, len(some_histories), 5):
        single = rank(fitted[name], some_histories.take(np.array([user])), 10)
        assert_same_lists(single, Ranking(whole.items[[user]], whole.scores[[user]]))


@pytest.mark.parametrize("name", NAMES)
def test_1c_block_sizes_change_nothing(
    name: str, fitted: dict[str, Recommender], some_histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rank(fitted[name], some_histories, 10)
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 200_000)
    assert_same_lists(rank(fitted[name], some_histories, 10), whole)


@pytest.mark.parametrize("name", NAMES)
def test_2_never_a_seen_masked_or_disallowed_item(
    name: str, fitted: dict[str, Recommender], some_histories: Histories, bundled: Dataset
) -> None:
    model = fitted[name]
    first = rank(model, some_histories, 5)
    masked = Histories.of(first.items.tolist())
    allowed = np.zeros(len(bundled.items), dtype=bool)
    allowed[::2] = True
    second = rank(model, some_histories, 20, masked=masked, allowed=allowed)
    for user in range(len(some_histories)):
        listed = set(second.items[user].tolist())
        seen = set(some_histories.items[some_histories.starts[user] : some_histories.starts[user + 1]].tolist())
        assert not listed & (seen | set(first.items[user].tolist()))
        assert all(item % 2 == 0 for item in listed)
        assert len(listed) == 20


@pytest.mark.parametrize("name", NAMES)
def test_2_ties_break_by_item_row(name: str) -> None:
    data = small(name)
    model = create(name).fit(everything(data), Run.seeded(1))
    histories = Histories.of([[0, 2], [1]])
    scores = model.score(model.fold_in(histories)).astype(np.float64)
    listed = rank(model, histories, 12)
    for row, seen in enumerate(([0, 2], [1])):
        order = sorted(set(range(12)) - set(seen), key=lambda item: (-scores[row, item], item))
        assert listed.items[row, : len(order)].tolist() == order
        assert (listed.items[row, len(order) :] == -1).all()


@pytest.mark.parametrize("name", NAMES)
def test_3_odd_histories_give_well_formed_lists(name: str, fitted: dict[str, Recommender], bundled: Dataset) -> None:
    n_items = len(bundled.items)
    source = EventSource(bundled.events, bundled.users)
    empty_and_unknown = source.histories(["nobody", 10**9])
    assert empty_and_unknown.starts.tolist() == [0, 0, 0]
    histories = Histories.of([[], [7], [-1, 7, -1], list(range(n_items)), list(range(n_items - 3))])
    listed = rank(fitted[name], histories, 10)
    assert listed.items.shape == (5, 10)
    assert (listed.items[0] >= 0).all()
    assert (listed.items[3] == -1).all()
    assert np.isneginf(listed.scores[3]).all()
    assert sorted(listed.items[4].tolist()) == [-1] * 7 + [n_items - 3, n_items - 2, n_items - 1]
    np.testing.assert_array_equal(listed.items[1], listed.items[2])
    for row in listed.items:
        known = row[row >= 0]
        assert len(set(known.tolist())) == len(known)
    assert rank(fitted[name], Histories.of([]), 10).items.shape == (0, 10)


@pytest.mark.parametrize("name", NAMES)
def test_4_same_seed_same_arrays_and_inputs_are_not_mutated(name: str) -> None:
    train = everything(small(name))
    before = [column.copy() for column in (train.histories.items, train.histories.values, train.histories.starts)]
    other = everything(small(name, 12))
    one = create(name).fit(train, Run.seeded(3))
    two = create(name).fit(other, Run.seeded(9)).fit(train, Run.seeded(3))  # the second fit forgets the first
    for attribute in one.learned:
        left, right = getattr(one, attribute), getattr(two, attribute)
        left, right = (value.toarray() if hasattr(value, "toarray") else value for value in (left, right))
        np.testing.assert_array_equal(left, right)
    histories = Histories.of([[0, 2, 4], [3]])
    state = one.fold_in(histories)
    np.testing.assert_array_equal(one.score(state), one.score(state))  # scoring leaves the state as it was
    rank(one, histories, 3)
    np.testing.assert_array_equal(histories.items, [0, 2, 4, 3])
    for was, column in zip(
        before, (train.histories.items, train.histories.values, train.histories.starts), strict=True
    ):
        np.testing.assert_array_equal(was, column)


@pytest.mark.parametrize("name", NAMES)
def test_4_scores_are_a_new_array_that_rank_may_overwrite(name: str) -> None:
    model = create(name).fit(everything(small(name)), Run.seeded(3))
    histories = Histories.of([[0, 2], [1]])
    first = rank(model, histories, 5)
    rank(model, histories, 5, allowed=np.zeros(12, dtype=bool))
    again = rank(model, histories, 5)
    np.testing.assert_array_equal(first.items, again.items)
    np.testing.assert_array_equal(first.scores, again.scores)


@pytest.mark.parametrize("name", NAMES)
def test_5_save_load_in_a_fresh_process_same_ranking(name: str, tmp_path: Path) -> None:
    data = small(name)
    train = everything(data)
    model = create(name).fit(train, Run.seeded(1))
    artefact.save(Artefact.of(model, data, train), tmp_path / "model")
    here = rank(model, Histories.of([[0, 2], [1], []]), 5)
    np.savez(tmp_path / "here.npz", items=here.items, scores=here.scores)
    script = f"""
import sys
from pathlib import Path
import numpy as np
from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.store.artefact import load
loaded = load(Path({str(tmp_path / "model")!r}))
there = rank(loaded.model, Histories.of([[0, 2], [1], []]), 5)
here = np.load({str(tmp_path / "here.npz")!r})
assert np.array_equal(there.items, here["items"]) and np.array_equal(there.scores, here["scores"])
assert not any(name.split(".")[:2] == ["matinee", "data"] for name in sys.modules), "the data readers were imported"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "model").glob("*.pkl"))


@pytest.mark.parametrize("name", NAMES)
def test_5_an_unknown_key_names_the_closest(name: str) -> None:
    field = next(iter(model_class(name).Config.model_fields))
    with pytest.raises(MatineeError, match=f"unknown key '{field[:-1]}'; did you mean '{field}'"):
        create(name, **{field[:-1]: 1})


@pytest.mark.parametrize("name", COLLABORATIVE)
def test_6_two_taste_groups_are_separated(name: str) -> None:
    data = small(name)
    train = everything(data)
    model = create(name).fit(train, Run.seeded(1))
    listed = rank(model, train.histories, 1)
    users = np.arange(len(data.users))
    np.testing.assert_array_equal(listed.items[:, 0], missing_item(users, 12))


@pytest.mark.parametrize("name", ORDERED)
def test_6_the_next_item_of_a_fixed_cycle_is_known(name: str) -> None:
    data = cycle(60, 12, 6)
    train = everything(data)
    model = create(name).fit(train, Run.seeded(1))
    listed = rank(model, train.histories, 1)
    np.testing.assert_array_equal(listed.items[:, 0], (np.arange(60) + 6) % 12)
    forwards, backwards = (model.score(model.fold_in(Histories.of([walk]))) for walk in ([3, 4, 5], [5, 4, 3]))
    assert forwards.argmax() == 6
    assert not np.allclose(forwards, backwards)


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(model_class(name), Explains)])
def test_contributions_sum_to_the_score(name: str, fitted: dict[str, Recommender], some_histories: Histories) -> None:
    model = fitted[name]
    assert isinstance(model, Explains)
    listed = rank(model, some_histories, 10)
    parts = model.explain(some_histories, listed.items)  # [N, k]
    sums = model.item_bias_of(listed.items) if isinstance(model, HasItemBias) else np.zeros(listed.items.shape)
    sums = sums.astype(np.float64)
    np.add.at(sums, some_histories.owners, parts)
    # one history here holds 2,000 events whose terms nearly cancel: EASE's score, a float32 sum of them, is itself off
    allowed = np.where(some_histories.lengths > 1000, 3e-5, 1e-5)[:, None] * np.abs(listed.scores)
    assert (np.abs(sums - listed.scores) <= allowed).all()


@pytest.mark.parametrize("name", NAMES)
def test_9_quality_floor_on_the_bundled_data(
    name: str, fitted: dict[str, Recommender], bundled_split: Split, last_split: Split
) -> None:
    cut = last_split if model_class(name).ordered else bundled_split
    models = [fitted[name]]
    if name == "rerank":  # its trees follow the rounding of their inputs, which another processor does otherwise
        models += [create(name).fit(cut.training(), Run.seeded(seed)) for seed in (2, 3)]
    config = EvaluationConfig(k=(10,), samples=100)
    reports = [evaluate(model, cut, config, rng=np.random.default_rng(1)) for model in models]
    measured = float(np.median([report.metrics["ndcg@10"].mean for report in reports]))
    if name in FLOORS:
        assert FLOORS[name] <= measured <= FLOORS[name] + 0.02
    else:
        assert measured >= ANY_FLOOR


def scores_of(model: Recommender, histories: Histories) -> np.ndarray:
    scores = model.score(model.fold_in(histories)).astype(np.float64)
    return (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True)


@pytest.mark.parametrize("name", [name for name in NAMES if "user_state" in model_class(name).Config.model_fields])
def test_7_fold_in_of_the_training_history_against_the_stored_row(
    name: str, fitted: dict[str, Recommender], bundled_split: Split
) -> None:
    train = bundled_split.training()
    model = copy(fitted[name])
    folded = scores_of(model, train.histories)
    model.config = model.config.model_copy(update={"user_state": "stored"})
    correlation = (folded * scores_of(model, train.histories)).mean(axis=1).mean()
    assert 0 < 1 - correlation <= model.fold_in_tolerance


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(model_class(name).Config, EpochsConfig)])
def test_8_interrupted_and_resumed_equals_uninterrupted(name: str, tmp_path: Path) -> None:
    train = everything(small(name))
    whole = create(name, epochs=6).fit(train, Run.seeded(3))
    checkpoint = tmp_path / "checkpoint"

    def interrupt(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        if epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create(name, epochs=6).fit(train, replace(Run.seeded(3, interrupt), checkpoint=checkpoint))
    assert checkpoint.exists()
    resumed = create(name, epochs=6).fit(train, replace(Run.seeded(3), checkpoint=checkpoint, resume=True))
    assert [row["loss"] for row in resumed.curves] == [row["loss"] for row in whole.curves]
    for attribute in whole.learned:
        np.testing.assert_array_equal(getattr(resumed, attribute), getattr(whole, attribute))

"""Replay against a plain loop through the live engine, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation import replay as measuring
from matinee.evaluation.replay import in_two_arms, paired, values_of, windows_of
from matinee.histories import EventSource
from matinee.recommender import Engine
from matinee.workflow import replaying

DAY = 86_400


def log(n_users: int = 30, n_items: int = 25, length: int = 14, seed: int = 1) -> Dataset:
    """People of two tastes over 100 days; some come late, some items too, and some things are watched again."""
    rng = np.random.default_rng(seed)
    users, items, times = [], [], []
    for user in range(n_users):
        own = np.arange(user % 2, n_items, 2)
        for _ in range(length):
            at = int(rng.integers(50 if user % 5 == 0 else 0, 100))
            users.append(user)
            items.append(int(rng.choice(own[own < n_items * (0.6 + at / 250)])))
            times.append(at * DAY + int(rng.integers(0, 20)) * 3600)
    return mt.events({"user": users, "item": items, "time": times})


@pytest.fixture(scope="module")
def data() -> Dataset:
    return log()


def plain_loop(data: Dataset, model: str, begins: list[int], k: int) -> list[int]:
    """The rank of each event that is new to its user, by one list of the engine at a time, in order of time."""
    events, ends = data.events, [*begins[1:], int(data.events.times.max()) + 1]
    ranks: dict[int, int] = {}
    for begin, end in zip(begins, ends, strict=True):
        labels = np.where(events.times < begin, 0, -1).astype(np.int8)
        split = mt.split(data, "random")
        fitted = mt.fit(model, type(split)(data, split.config, labels), seed=42)
        for event in np.flatnonzero((events.times >= begin) & (events.times < end)).tolist():
            user, item = int(events.user_rows[event]), int(events.item_rows[event])
            start = int(np.searchsorted(events.user_rows, user))
            if item in events.item_rows[start:event]:
                continue
            source = EventSource(events.take(slice(start, event)), data.users)
            listed = Engine([fitted], source).recommend(data.users.id(user), k)
            rows = [each.item_row for each in listed]
            ranks[event] = rows.index(item) + 1 if item in rows else 0
    return [ranks[event] for event in sorted(ranks)]


@pytest.mark.parametrize("model", ["item-knn", "linear-next"])
def test_every_list_is_that_of_the_live_engine(model: str, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[np.ndarray] = []
    whole = replaying.ranks_of

    def ranks_of(*arguments: Any) -> Any:
        result = whole(*arguments)
        found.append(result[0])
        return result

    monkeypatch.setattr(replaying, "ranks_of", ranks_of)
    replayed = mt.replay(data, model, retrain_every="20d", k=5)
    begins = [each["begin"] for each in replayed.windows]
    events = np.concatenate([each.events for each in windows_of(data, 0.5, 20 * DAY, by_events=False)])
    in_order = np.concatenate(found)[np.argsort(events)]
    assert in_order.tolist() == plain_loop(data, model, begins, 5)
    assert (in_order > 0).any()


def test_no_model_sees_an_event_of_its_window_or_later(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    latest: list[int] = []
    whole = replaying.fit

    def fit(model: Any, split: Any, **settings: Any) -> Any:
        latest.append(int(split.training().histories.times.max()))
        return whole(model, split, **settings)

    monkeypatch.setattr(replaying, "fit", fit)
    replayed = mt.replay(data, "popularity", retrain_every="10d")
    for end, window in zip(latest, replayed.windows, strict=True):
        assert end < window["begin"]
    assert latest == sorted(latest)


def test_sizes_and_shares_of_windows_are_those_of_a_plain_count(data: Dataset) -> None:
    events = data.events
    for window in windows_of(data, 0.5, 15 * DAY, by_events=False):
        inside = np.flatnonzero((events.times >= window.begin) & (events.times < window.end))
        expected = []
        for event in inside.tolist():
            earlier = events.take(slice(0, event))
            if not (
                (earlier.user_rows == events.user_rows[event]) & (earlier.item_rows == events.item_rows[event])
            ).any():
                expected.append(event)
        assert window.events.tolist() == expected
        assert window.repeated == len(inside) - len(expected)
        before = events.take(events.times < window.begin)
        assert window.is_cold_item.tolist() == [events.item_rows[event] not in before.item_rows for event in expected]
        assert window.is_cold_user.tolist() == [events.user_rows[event] not in before.user_rows for event in expected]


def test_windows_of_a_number_of_events_hold_about_so_many_and_cover_the_rest(data: Dataset) -> None:
    windows = windows_of(data, 0.6, 40, by_events=True)
    sizes = [len(each.events) + each.repeated for each in windows]
    assert sum(sizes) == (data.events.times >= windows[0].begin).sum()
    assert all(20 <= size <= 65 for size in sizes)
    assert [each.end for each in windows[:-1]] == [each.begin for each in windows[1:]]


def test_metrics_of_ranks_by_hand() -> None:
    found = values_of(np.array([1, 0, 3]))
    assert found["hit-rate"].tolist() == [1, 0, 1]
    assert found["ndcg"].tolist() == [1, 0, 0.5]
    assert found["mrr"].tolist() == [1, 0, 1 / 3]


def test_two_models_are_compared_on_all_events_and_in_two_arms(data: Dataset) -> None:
    replayed = mt.replay(data, "popularity", "item-knn", retrain_every="25d", k=5)
    ndcg = next(each for each in replayed.differences if each.metric == "ndcg")
    gap = replayed.scores["item-knn"]["ndcg"].mean - replayed.scores["popularity"]["ndcg"].mean
    assert ndcg.difference.mean == pytest.approx(gap)
    assert ndcg.difference.low <= gap <= ndcg.difference.high
    assert {each.metric for each in replayed.arms} == {"hit-rate", "ndcg", "mrr"}
    same = mt.replay(data, "popularity", "popularity", retrain_every="25d", k=5)
    assert same.models == ("popularity", "popularity (2)")
    assert all(each.difference.mean == 0 and each.p == 1 for each in same.differences)
    assert "A/B test" in repr(replayed)


def test_arms_and_pairs_are_those_of_plain_means() -> None:
    rng = np.random.default_rng(3)
    users = rng.integers(0, 40, 400)
    one, other = rng.random(400), rng.random(400) + 0.5
    in_second = users % 2 == 1
    arms = in_two_arms("ndcg", one, other, in_second, users, np.random.default_rng(1))
    assert arms.difference.mean == pytest.approx(other[in_second].mean() - one[~in_second].mean())
    both = paired("ndcg", one, other, users, np.random.default_rng(1))
    assert both.difference.mean == pytest.approx((other - one).mean())
    assert both.p < 0.01
    assert both.difference.high - both.difference.low < arms.difference.high - arms.difference.low


def test_an_interrupted_replay_goes_on(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = mt.replay(data, "item-knn", retrain_every="10d", k=5)
    whole = measuring.ranks_of

    def fail(*arguments: Any) -> Any:
        if len(list(tmp_path.glob("replay/window-*"))) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(replaying, "ranks_of", fail)
    with pytest.raises(KeyboardInterrupt):
        mt.replay(data, "item-knn", retrain_every="10d", k=5, folder=tmp_path / "replay")
    steps: list[int] = []
    monkeypatch.setattr(replaying, "ranks_of", whole)
    continued = mt.replay(
        data, "item-knn", retrain_every="10d", k=5, folder=tmp_path / "replay",
        on_window=lambda number, total, what: steps.append(number),
    )  # fmt: skip
    assert set(steps) == set(range(2, len(expected.windows)))
    assert continued.to_json() | {"seconds": 0} == expected.to_json() | {"seconds": 0}
    with pytest.raises(MatineeError, match="has a replay of other data or settings"):
        mt.replay(data, "item-knn", retrain_every="11d", k=5, folder=tmp_path / "replay")
    file = next(iter(sorted((tmp_path / "replay").glob("window-*"))))
    file.write_bytes(b"nothing")
    with pytest.raises(MatineeError, match="is damaged; delete it"):
        mt.replay(data, "item-knn", retrain_every="10d", k=5, folder=tmp_path / "replay")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"retrain_every": "soon"}, "is not a duration"),
        ({"retrain_every": 0}, "give at least 1"),
        ({"retrain_every": -5}, "give at least 1"),
        ({"first": 0.0}, "not between 0 and 1"),
        ({"first": 1.5}, "not between 0 and 1"),
        ({"k": 0}, "at least one item"),
        ({"model": "eas"}, "did you mean 'ease'"),
        ({"model": "vbmf"}, "makes no lists"),
        ({"against": "eas"}, "did you mean 'ease'"),
        ({"l3": 5}, "unknown key 'l3'"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(data: Dataset, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(MatineeError, match=problem) as caught:
        mt.replay(data, **({"model": "ease"} | settings))
    assert "\n" not in str(caught.value)


def test_a_log_without_times_or_of_one_second_is_refused() -> None:
    untimed = mt.events({"user": [1, 2, 3], "item": [1, 2, 3]})
    with pytest.raises(MatineeError, match="has no times"):
        mt.replay(untimed, "popularity")
    at_once = mt.events({"user": [1, 2, 3], "item": [1, 2, 3], "time": [5, 5, 5]})
    with pytest.raises(MatineeError, match="nothing to train on"):
        mt.replay(at_once, "popularity")


def test_a_replay_as_a_table(data: Dataset) -> None:
    replayed = mt.replay(data, "popularity", retrain_every=60)
    frame = replayed.to_frame()
    assert len(frame) == len(replayed.windows)
    assert {"begin", "end", "events", "could_be_hit", "cold_users", "ndcg", "coverage"} <= set(frame.columns)
    assert 0 < frame["coverage"].max() <= 1

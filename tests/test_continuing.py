"""A model that continues from the running one: by the counts of the users that changed, or from its arrays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.dataset import Dataset
from matinee.histories import Histories
from matinee.models import create
from matinee.models.base import FitsFromCounts, Recommender
from matinee.models.item_strips import count_in_strips
from matinee.models.linear import ease
from matinee.store.versions.counts import CountsFolder
from matinee.training.run import Run
from matinee.workflow.continuing import Running, changed, fit_again
from matinee.workflow.data import whole

COUNTED = [
    ("ease", {"l2": 20.0}),
    ("ease", {"l2": 20.0, "user_power": 0.5, "dropout": 0.3}),
    ("sparse-ease", {"l2": 20.0, "neighbours": 8, "dropout": 0.3}),
    ("item-knn", {"neighbours": 8}),
    ("item-knn", {"neighbours": 8, "weighting": "none", "similarity": "jaccard"}),
    ("pmi", {}),
    ("pmi", {"pair_weight": "user"}),
    ("pmi", {"form": "vectors", "dim": 4}),
    ("markov", {}),
]


def events_of(n_users: int, n_items: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    users = rng.integers(n_users, size=900)
    items = rng.integers(n_items, size=900) * rng.integers(1, 3, size=900) % n_items
    pairs = np.unique(np.column_stack([users, items]), axis=0)
    n = len(pairs)
    return {"user": pairs[:, 0], "item": pairs[:, 1], "value": rng.integers(1, 6, size=n), "time": rng.permutation(n)}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return mt.events(events_of(60, 30))


def before_of(data: Dataset, n_new: int) -> Dataset:
    """The data without the newest events, and without the users and items that only these have."""
    order = np.argsort(data.events.times, kind="stable")[: len(data.events) - n_new]
    events = data.events
    ids = data.users.ids[events.user_rows[order]], data.items.ids[events.item_rows[order]]
    return mt.events({"user": ids[0], "item": ids[1], "value": events.values[order], "time": events.times[order]})


def fitted_on_all(like: Recommender, data: Dataset) -> Recommender:
    model = type(like)(**like.config.model_dump(exclude_unset=True))
    model.value_map = like.value_map
    train = whole(data).training()
    return model.fit(replace(train, histories=model.weigh(train.histories)), Run.seeded(1))


def counts_of(running: Running, data: Dataset, n_items: int):
    model, train = running.model, whole(data).training()
    assert isinstance(model, FitsFromCounts)
    return count_in_strips(model.strips(replace(train, histories=model.weigh(train.histories), n_items=n_items)))


@pytest.mark.parametrize(("name", "settings"), COUNTED)
@pytest.mark.parametrize("n_new", [1, 60, 400])
def test_an_update_by_new_events_equals_a_fit_on_all(data, name, settings, n_new, monkeypatch) -> None:
    before = before_of(data, n_new)
    artefact = mt.fit(name, before, **settings)
    counts = counts_of(Running.of(artefact, before), before, len(before.items))
    running = Running.of(artefact, data, counts)
    taken = []
    real = type(artefact.model).strips
    monkeypatch.setattr(
        type(artefact.model), "strips", lambda model, train: taken.append(train.n_users) or real(model, train)
    )
    updated, kept = fit_again(running, whole(data).training(), 1, warm=False)
    changed_users = len(np.unique(data.events.user_rows[np.argsort(data.events.times)[-n_new:]]))
    if len(before.items) == len(data.items) or not artefact.model.counts_need_same_items:
        assert max(taken) == changed_users  # counted for these alone
    wanted = fitted_on_all(artefact.model, data)
    histories = Histories.of([[0, 3, 7], [5], []])
    np.testing.assert_allclose(
        updated.score(updated.state_of(histories)), wanted.score(wanted.state_of(histories)), rtol=2e-4, atol=2e-5
    )
    again, _ = fit_again(
        Running(updated, whole(data).training().histories, running.item_rows, running.user_rows, kept)
        if len(before.items) == len(data.items)
        else Running.of(mt.fit(name, data, **settings), data, kept),
        whole(data).training(), 1, warm=False,
    )  # fmt: skip
    np.testing.assert_allclose(
        again.score(again.state_of(histories)), updated.score(updated.state_of(histories)), atol=1e-6
    )


def test_counts_follow_items_that_come_between_the_old_ones() -> None:
    log = events_of(60, 30)
    is_new = np.isin(log["item"], [0, 13, 29])
    before, data = mt.events({name: column[~is_new] for name, column in log.items()}), mt.events(log)
    for name, settings in COUNTED:
        artefact = mt.fit(name, before, **settings)
        running = Running.of(artefact, data, counts_of(Running.of(artefact, before), before, len(before.items)))
        updated, _ = fit_again(running, whole(data).training(), 1, warm=False)
        wanted, histories = fitted_on_all(artefact.model, data), Histories.of([[0, 13, 7]])
        found = updated.score(updated.state_of(histories))
        np.testing.assert_allclose(found, wanted.score(wanted.state_of(histories)), rtol=2e-4, atol=2e-5)


def test_a_history_that_changed_is_found_whatever_changed_in_it() -> None:
    def of(items: list[list[int]], values: list[list[float]]) -> Histories:
        return replace(Histories.of(items, values), user_rows=np.arange(len(items), dtype=np.int32))

    before = of([[1, 2], [3, 4], [5], [6]], [[1, 1], [1, 1], [2], [3]])
    now = of([[2, 1], [3, 4], [5], [6, 7]], [[1, 1], [1, 1], [3], [3, 3]])
    gone, came = changed(before, now)
    assert gone.tolist() == came.tolist() == [0, 2, 3]


def test_settings_that_weigh_by_all_events_are_fitted_from_the_start(data) -> None:
    train = whole(data).training()
    assert not create("ease", item_power=0.5).can_count(train)
    assert not create("item-knn", weighting="bm25", similarity="dot").can_count(train)
    few = replace(train, n_items=10 * train.n_users)
    assert not ease.EASE().can_count(few)


def test_damaged_counts_are_counted_again(data, tmp_path: Path) -> None:
    folder = CountsFolder(tmp_path)
    counts = count_in_strips(mt.fit("pmi", data).model.strips(whole(data).training()))
    dense = np.arange(9, dtype=np.float32).reshape(3, 3)
    folder.replace({"aaa": counts, "bbb": dense})
    np.testing.assert_array_equal(folder.read("aaa").toarray(), counts.toarray())
    np.testing.assert_array_equal(folder.read("bbb"), dense)
    assert folder.read("ccc") is None
    file = next(folder.path.glob("aaa.*"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert folder.read("aaa") is None
    folder.replace({"ccc": dense})
    assert len(list(folder.path.iterdir())) == 1


@pytest.mark.parametrize("name", ["ials", "bpr", "lightgcn", "cdae", "mult-vae", "sasrec"])
def test_training_starts_from_the_running_arrays(data, name) -> None:
    before = before_of(data, 60)
    settings = {"epochs": 8, "dim": 8}
    artefact = mt.fit(name, before, **settings)
    running = Running.of(artefact, data)
    warm, _ = fit_again(running, whole(data).training(), 1, warm=True)
    assert len(warm.curves) == 2
    assert warm.config.epochs == 8
    cold, _ = fit_again(running, whole(data).training(), 1, warm=False)
    assert len(cold.curves) == 8
    assert warm.curves[0]["loss"] < cold.curves[0]["loss"]

"""Known against unseen users: a second fit without some users, who keep their inputs and targets."""

from dataclasses import replace

import numpy as np
import pytest

import matinee as mt
from matinee.config import EvaluationConfig
from matinee.data.labels import TRAIN
from matinee.data.splits import Split
from matinee.data.synthetic import zipf_log
from matinee.evaluation.task import Task
from matinee.experiment import Experiment
from matinee.workflow.planned_fits import Hooks, PlannedFit, measure
from matinee.workflow.unseen import difference, left_out, without_users


@pytest.fixture(scope="module")
def split() -> Split:
    return mt.split(zipf_log(150, 80, 2500, np.random.default_rng(2)))


@pytest.mark.parametrize("on", ["test", "valid"])
@pytest.mark.parametrize("inputs", ["train", "train+valid"])
def test_users_left_out_of_a_fit_keep_what_they_are_measured_by(split: Split, on: str, inputs: str) -> None:
    config = EvaluationConfig(on=on, inputs=inputs)  # type: ignore[arg-type]
    users = np.unique(split.targets("test").user_rows)[::3]
    without = without_users(split, users, config)
    assert not np.isin(without.training().histories.user_rows, users).any()
    both = [Task.of(each, config) for each in (split, without)]
    for name in ("histories", "targets"):
        before, after = (getattr(task, name) for task in both)
        assert before.user_rows.tolist() == after.user_rows.tolist()
        assert before.items.tolist() == after.items.tolist()
        assert before.starts.tolist() == after.starts.tolist()
    masked = [None if task.masked is None else task.masked.items.tolist() for task in both]
    assert masked[0] == masked[1]
    others = ~np.isin(split.data.events.user_rows, users)
    assert (split.labels[others] == without.labels[others]).all()
    assert (split.labels == TRAIN).sum() > (without.labels == TRAIN).sum()


def test_the_difference_is_that_of_the_users_left_out(split: Split) -> None:
    experiment = Experiment(model="item-knn")
    known = mt.evaluate(mt.fit("item-knn", split), split)
    users = left_out(split, known, 42)
    assert len(users) == round(0.2 * known.users)
    without = without_users(split, users, experiment.evaluation)
    unseen = mt.evaluate(mt.fit("item-knn", without), without)
    found = difference(known, unseen, users, 42)
    theirs = np.isin(known.user_rows, users)
    means = [float(report.per_user["ndcg@10"].values[theirs].mean()) for report in (known, unseen)]
    row = found["metrics"]["ndcg@10"]
    assert (row["known"], row["unseen"]) == pytest.approx(means)
    assert row["difference"]["mean"] == pytest.approx(means[1] - means[0])
    assert row["difference"]["low"] <= row["difference"]["mean"] <= row["difference"]["high"]
    assert "coverage@10" not in found["metrics"]
    measured = measure(PlannedFit("item-knn", experiment, 42, unseen=True), split, Hooks())
    assert measured.report.unseen == found
    assert measure(PlannedFit("item-knn", experiment, 42), split, Hooks()).report.unseen is None


def test_a_visitor_gets_about_what_a_known_user_gets(split: Split) -> None:
    for name in ("popularity", "user-knn"):
        found = measure(PlannedFit(name, Experiment(model=name), 42, unseen=True), split, Hooks()).report.unseen
        assert found is not None
        assert abs(found["metrics"]["ndcg@10"]["difference"]["mean"]) < 0.1


def test_few_users_and_splits_with_unseen_users_say_nothing(split: Split) -> None:
    report = mt.evaluate("popularity", split)
    assert not len(left_out(split, replace(report, user_rows=report.user_rows[:50]), 42))
    new_users = mt.split(split.data, "new-users")
    assert not len(left_out(new_users, mt.evaluate("popularity", new_users), 42))

"""Jobs on a Ray cluster: the same bytes as by one worker here, also when a node is killed in mid-job."""

import operator
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import matinee as mt
from cluster_fixtures import LOOPBACK, NODE
from matinee.data.synthetic import missing_item, two_groups
from matinee.errors import MatineeError
from matinee.experiment import Experiment
from matinee.lists import everyone
from matinee.lists.everyone import UserLists, require_length
from matinee.lists.file import write
from matinee.models import item_strips, model_class
from matinee.models.factors import ials
from matinee.ranking.rank import rank
from matinee.scale import cluster as module
from matinee.scale.choice import runner_of
from matinee.scale.runner import Here, Runner
from matinee.store.versions.counts import CountsFolder
from matinee.training.run import Run
from matinee.tuning import side_by_side as trials
from matinee.workflow import counting, refitting, together
from matinee.workflow import side_by_side as fits
from matinee.workflow.comparing import Course, measure_all
from matinee.workflow.data import whole
from matinee.workflow.planned_fits import PlannedFit
from matinee.workflow.refitting import Refit, refits
from ranks_in_threads import side_by_side
from slow_lists import SlowLists

pytestmark = [
    pytest.mark.slow,
    pytest.mark.service,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Ray's own files
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def runner(ray_cluster: Any) -> Iterator[Runner]:
    with runner_of(ray_cluster.address) as opened:
        yield opened


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> UserLists:
    """Eight parts of three users."""
    monkeypatch.setattr(everyone, "PART_ROWS", 3 * 3)
    return everyone.for_users(mt.fit("ials", two_groups(24, 12), dim=4, epochs=2), "all", 3)


def test_results_come_in_the_order_of_the_parts(runner):
    assert runner.workers == 3
    assert list(runner.map(partial(operator.mul, 3), range(20))) == list(range(0, 60, 3))
    job = partial(np.add, np.arange(500_000.0))  # in the memory that the workers of a node share
    assert [float(found[-1]) for found in runner.map(job, [1, 2, 3])] == [500_000, 500_001, 500_002]


def test_an_error_names_the_part_and_keeps_its_kind(runner):
    with pytest.raises(MatineeError, match="part 2: k = 0: a list has at least one item"):
        list(runner.map(require_length, [1, 0, 2]))
    with pytest.raises(MatineeError, match="part 3: unexpected ZeroDivisionError"):
        list(runner.map(partial(operator.truediv, 1), [2, 1, 0, 3]))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_lists_are_those_of_one_worker_byte_for_byte(ending, runner, lists, tmp_path):
    write(lists, tmp_path / f"here.{ending}", runner=Here(1))
    assert write(lists, tmp_path / f"there.{ending}", runner=runner).parts == 8
    assert (tmp_path / f"here.{ending}").read_bytes() == (tmp_path / f"there.{ending}").read_bytes()


@pytest.mark.parametrize("name", ["ease", "item-knn", "linear-next"])
def test_counts_are_those_of_one_worker_bit_for_bit(name, runner, monkeypatch):
    monkeypatch.setattr(item_strips, "STRIP_COST", 20)
    train = whole(two_groups(240, 30)).training()
    here, there = (counting.count_by_parts(model_class(name)(), train, each) for each in (Here(1), runner))
    assert len(item_strips.strip_ranges(model_class(name)().strips(train).costs)) > 5
    assert (here != there).sum() == 0


def test_ials_by_blocks_is_that_of_one_process_bit_for_bit(runner, monkeypatch):
    monkeypatch.setattr(ials, "BLOCK_VALUES", 400)
    train = whole(two_groups(240, 30)).training()
    here = model_class("ials")(dim=4, epochs=2).fit(train, Run.seeded(3))
    there = counting.fit_by_parts(model_class("ials")(dim=4, epochs=2), train, Run.seeded(3), runner)
    assert np.array_equal(here.items, there.items)


def test_one_fit_by_several_nodes_is_that_of_as_many_processes(runner, monkeypatch, tmp_path):
    monkeypatch.setattr(together, "runner_of", lambda address: nullcontext(runner))
    train, settings = whole(two_groups(24, 12)).training(), {"epochs": 2, "dim": 4, "batch_size": 7}
    there = together.fit_together(model_class("mult-vae")(**settings), train, Run.seeded(3), "10.0.0.1:6379")
    here = side_by_side(
        3, tmp_path, lambda share: model_class("mult-vae")(**settings).fit(train, replace(Run.seeded(3), share=share))
    )
    assert np.array_equal(there.encoder, here[0].encoder)
    assert np.array_equal(there.output, here[0].output)


def test_a_search_and_a_comparison_are_the_same_as_here(runner, monkeypatch):
    for each in (trials, fits):
        monkeypatch.setattr(each, "runner_of", lambda address: nullcontext(runner))
    split = mt.split(two_groups(60, 30))
    found = [mt.tune("ease", split, trials=5, on=on) for on in (None, "10.0.0.1:6379")]
    assert len({str((each.settings, each.value)) for each in found}) == 1
    assert len({str([(each.settings, each.value) for each in one.trials]) for one in found}) == 1
    planned = [PlannedFit(name, Experiment(model=name), 1) for name in ("ease", "popularity")]
    here, there = (measure_all(planned, [1, 2], split, Course(on=on)) for on in (None, "10.0.0.1:6379"))
    for one, other in zip(here, there, strict=True):
        assert one.measured.keys() == other.measured.keys()
        for seed, measured in one.measured.items():
            assert measured.report.metrics["ndcg@10"].mean == other.measured[seed].report.metrics["ndcg@10"].mean
    wrong = [PlannedFit("ials", Experiment(model="ials", settings={"dim": 500}), 1)]
    assert "dim = 500 is more than" in measure_all(wrong, [1], split, Course(on="10.0.0.1:6379"))[0].problems[0]


def test_a_retraining_fits_the_models_of_one_worker_bit_for_bit(runner, monkeypatch, tmp_path):
    runners = {1: Here(1), "10.0.0.1:6379": runner}
    monkeypatch.setattr(refitting, "runner_of", lambda workers: nullcontext(runners[workers]))
    data = two_groups(24, 12)
    artefacts = [mt.fit("item-knn", data), mt.fit("ials", data, dim=4, epochs=2)]
    job = Refit([mt.split(data).training(), whole(data).training()], seed=42, warm=False, threads=1)
    here, there = ([*refits(artefacts, data, CountsFolder(tmp_path), job, workers)] for workers in runners)
    for name, one, other in zip(["similarities", "items"], here, there, strict=True):
        for fitted, again in zip(one, other, strict=True):
            assert (getattr(fitted.model, name) != getattr(again.model, name)).sum() == 0
        assert (getattr(one[0].model, name) != getattr(one[1].model, name)).sum() > 0


def test_a_node_of_another_version_is_named(runner, monkeypatch):
    monkeypatch.setattr(module, "__version__", "0.0.1")
    with pytest.raises(MatineeError, match=r"part 1: node .* has matinee .* and not 0\.0\.1; install the same"):
        list(runner.map(abs, [1]))


def kill_a_node(cluster: Any) -> None:
    cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)


def test_a_node_that_is_killed_in_mid_job_changes_no_byte(runner, ray_cluster, lists, tmp_path, capsys):
    write(lists, tmp_path / "here.csv", runner=Here(1))
    killed_at = []

    def kill(done: int, total: int) -> None:
        if done == 2:
            kill_a_node(ray_cluster)
            killed_at.append(total - done)

    write(SlowLists(lists, 0.5), tmp_path / "there.csv", kill, runner)
    assert killed_at == [6]
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert capsys.readouterr().out == ""  # Ray's words are notes


def test_a_node_that_is_killed_during_a_fit_by_blocks_changes_no_bit(runner, ray_cluster, monkeypatch):
    monkeypatch.setattr(ials, "BLOCK_VALUES", 400)
    train, n_left = whole(two_groups(240, 30)).training(), len(ray_cluster.worker_nodes) - 1

    def kill(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        if epoch == 2:
            kill_a_node(ray_cluster)

    here = model_class("ials")(dim=4, epochs=4).fit(train, Run.seeded(3))
    there = counting.fit_by_parts(model_class("ials")(dim=4, epochs=4), train, Run.seeded(3, kill), runner)
    assert len(ray_cluster.worker_nodes) == n_left
    assert np.array_equal(here.items, there.items)


def test_a_fit_goes_on_without_the_nodes_that_are_killed_during_it(ray_cluster, monkeypatch, caplog):
    """Of three nodes the head is left, and what the fit has learned in the end is known by construction."""
    import ray

    ray.shutdown()  # the fit opens its own connection, again after each loss
    monkeypatch.setattr(together, "PATIENCE", 1.0)
    while len(ray_cluster.worker_nodes) < 2:
        ray_cluster.add_node(**NODE, node_ip_address=LOOPBACK)
    data, epochs = two_groups(24, 12), []

    def kill(epoch: int, n_epochs: int, metrics: dict[str, float]) -> None:
        if epoch == 4 and 4 not in epochs:
            kill_a_node(ray_cluster)
            kill_a_node(ray_cluster)
        elif epoch > 4 and "goes on" not in caplog.text:
            time.sleep(0.5)  # a worker ends a moment after its node
        epochs.append(epoch)

    model = model_class("lightgcn")(dim=8, epochs=12, batch_size=32, learning_rate=0.05)
    together.fit_together(model, whole(data).training(), Run.seeded(3, kill), ray_cluster.address)
    assert sorted(set(epochs)) == list(range(1, 13))
    assert "the fit goes on from its last epoch" in caplog.text
    histories = whole(data).training().histories
    best = rank(model, histories, 1).items[:, 0]
    assert np.array_equal(best, missing_item(np.arange(24), 12))

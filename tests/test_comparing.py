"""The fits of a comparison: seeds, interrupted runs that go on, changed settings, and fits side by side."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matinee.data.splits import Split
from matinee.experiment import Experiment
from matinee.workflow import prepare
from matinee.workflow.comparing import Course, ModelResult, forget_all, measure_all
from matinee.workflow.planned_fits import Hooks, Measured, PlannedFit, measure
from matinee.workflow.run_folder import RunFolder
from matinee.workflow.side_by_side import Progress, jobs_for, run_side_by_side


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.csv"
    draw = np.random.default_rng(1)
    rows = sorted({(user, int(item)) for user in range(40) for item in draw.integers(0, 30, 12)})
    path.write_text("user,item,rating\n" + "\n".join(f"{u},{i},{draw.integers(1, 6)}" for u, i in rows) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def split(log: Path) -> Split:
    return prepare(Experiment(data=str(log)))


def planned(model: str, log: Path, **settings: object) -> PlannedFit:
    return PlannedFit(model, Experiment(model=model, data=str(log), settings=settings), 42)


def folder_of(path: Path, split: Split) -> RunFolder:
    return RunFolder(path, split.data.fingerprint)


class Counter:
    """Counts the fits that run, and those that were kept."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, int]] = []
        self.kept: list[tuple[str, int]] = []
        self.changes: list[str] = []

    def on_outcome(self, fit: PlannedFit, outcome: object, kept: bool) -> None:
        (self.kept if kept else self.ran).append((fit.label, fit.seed))

    def on_plan(self, fit: PlannedFit, change: str | None) -> None:
        self.changes += [change] if change else []


def run(fits: list[PlannedFit], seeds: list[int], split: Split, folder: RunFolder) -> tuple[list[ModelResult], Counter]:
    counter = Counter()
    course = Course(folder=folder, on_outcome=counter.on_outcome, on_plan=counter.on_plan)
    return measure_all(fits, seeds, split, course), counter


def test_a_model_without_random_numbers_is_fitted_once(log: Path, split: Split, tmp_path: Path) -> None:
    fits = [planned("ease", log), planned("ials", log, epochs=2)]
    results, counter = run(fits, [42, 43, 44], split, folder_of(tmp_path, split))
    assert counter.ran == [("ease", 42), ("ials", 42), ("ials", 43), ("ials", 44)]
    draw = np.random.default_rng
    one, three = results[0].report([42, 43, 44], draw(0)), results[1].report([42, 43, 44], draw(0))
    assert one is not None
    assert three is not None
    assert [row["seed"] for row in one.seeds] == [42]
    scores = [row["metrics"]["ndcg@10"] for row in three.seeds]
    assert len(set(scores)) == 3
    assert three.metrics["ndcg@10"].mean == pytest.approx(np.mean(scores))


def test_what_is_kept_comes_back_the_same(log: Path, split: Split, tmp_path: Path) -> None:
    fit, folder = planned("vbmf", log, epochs=2), folder_of(tmp_path, split)  # it predicts values too
    found = measure(fit, split, Hooks())
    folder.keep(fit, found)
    again = folder.find(fit)
    assert again is not None
    assert again.drew == found.drew
    assert again.report.to_json() == found.report.to_json()
    for name, each in found.report.per_user.items():
        np.testing.assert_array_equal(again.report.per_user[name].values, each.values)
        assert again.report.per_user[name].mean == pytest.approx(each.mean, nan_ok=True)
    folder.forget(fit)
    assert folder.find(fit) is None
    assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_the_same_command_goes_on_and_a_changed_setting_is_noticed(log: Path, split: Split, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "runs" / "compare", split)
    fits = [planned("ease", log, l2=20.0), planned("popularity", log)]
    _, first = run(fits, [42], split, folder)
    _, second = run(fits, [42], split, folder)
    assert (len(first.ran), second.ran, len(second.kept)) == (2, [], 2)
    fits[0] = planned("ease", log, l2=30.0)
    _, third = run(fits, [42], split, folder)
    assert third.ran == [("ease", 42)]
    assert third.changes == ["l2 was 20.0 and is 30.0"]
    tuned = replace(fits[1], tuned=True, search_seconds=5.0, unseen=True)
    assert folder.changes(tuned) == "tuned was off and is on with seconds = 5.0; unseen was off and is on"
    other = replace(folder, fingerprint="another")
    _, fourth = run(fits, [42], split, other)
    assert len(fourth.ran) == 2
    assert all("data was" in change for change in fourth.changes)
    for each in (folder, other):
        forget_all([ModelResult(fit) for fit in [*fits, planned("ease", log, l2=20.0)]], [42], each)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("damage", ["cut", "json", "gone"])
def test_a_damaged_result_is_measured_again(damage: str, log: Path, split: Split, tmp_path: Path) -> None:
    fit, folder = planned("popularity", log), folder_of(tmp_path, split)
    run([fit], [42], split, folder)
    (kept,) = tmp_path.glob("popularity-*")
    if damage == "cut":
        arrays = kept / "per_user.safetensors"
        arrays.write_bytes(arrays.read_bytes()[:-100])
    elif damage == "json":
        (kept / "measured.json").write_text("{", "utf-8")
    else:
        (kept / "per_user.safetensors").unlink()
    _, again = run([fit], [42], split, folder)
    assert again.ran == [("popularity", 42)]


def test_a_fit_that_fails_costs_itself_alone(log: Path, split: Split, tmp_path: Path) -> None:
    wrong = planned("bpr", log, epochs=3, learning_rate=1e30)  # it diverges
    results, _ = run([planned("popularity", log), wrong], [42, 43], split, folder_of(tmp_path, split))
    draw = np.random.default_rng(0)
    assert results[0].report([42, 43], draw) is not None
    assert results[1].report([42, 43], draw) is None
    assert len(results[1].problems) == 1  # the other seed is not tried


@pytest.mark.slow
def test_side_by_side_gives_what_one_process_gives(log: Path, split: Split) -> None:
    fits = [planned("ease", log), planned("ials", log, epochs=2)]
    alone = {fit.label: measure(fit, split, Hooks()).report.to_json()["metrics"] for fit in fits}
    outcomes = {
        fit.label: outcome for fit, outcome in run_side_by_side(list(fits), split, 2, Progress(), lambda fit: None)
    }
    for label, outcome in outcomes.items():
        assert isinstance(outcome, Measured), outcome
        found = outcome.report.to_json()["metrics"]
        assert {name: each["mean"] for name, each in found.items()} == pytest.approx(
            {name: each["mean"] for name, each in alone[label].items()}, abs=1e-6
        )


def test_jobs() -> None:
    assert jobs_for(3, None) == 1
    assert jobs_for(10, 3) == 3
    assert jobs_for(2, 8) == 2


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on(stop: signal.Signals, log: Path, tmp_path: Path) -> None:
    """Stopped during the second of three models; the repeated command runs two more fits, not three."""
    command = [sys.executable, "-m", "matinee", "compare", "ease", "ials", "popularity", "--data", str(log), "-v"]
    command += ["--set", "ials.epochs=100000", "--metric", "ndcg@5", "-k", "5"]
    kept = tmp_path / "runs" / "compare"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: len(list(kept.glob("ease-seed42-*/measured.json"))) == 1 or process.poll() is not None)
        time.sleep(0.2)
        os.kill(process.pid, stop)
        _, err = process.communicate(timeout=60)
    if stop == signal.SIGINT:
        assert "repeat the command to go on" in err
        assert process.returncode == 130
    command[command.index("ials.epochs=100000")] = "ials.epochs=2"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "ease: kept from before" in done.stderr
    assert "popularity: done" in done.stderr
    assert not list(kept.glob("*.part"))

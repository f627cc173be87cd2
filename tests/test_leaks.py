"""A planted leak is found and fails --strict, and no model can read the targets it is measured on."""

import gc
import types
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from matinee.arrays import FloatArray
from matinee.cli.running import run
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.audit import require_no_leaks, strict_problems
from matinee.data.splits import Split, split
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.evaluate import evaluate, validation
from matinee.evaluation.task import Task
from matinee.experiment import Experiment
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.training.configs import EpochsConfig
from matinee.training.run import Run
from matinee.workflow import load, prepare

N_USERS, N_ITEMS, N_EVENTS = 30, 40, 12


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A split in files: each user's events in time order, all of train before all of test, without a leak."""
    draw = np.random.default_rng(3)
    tables: dict[str, list[str]] = {"train": [], "test": []}
    for user in range(N_USERS):
        for at, item in enumerate(draw.permutation(N_ITEMS)[:N_EVENTS]):
            part = "train" if at < 9 else "test"
            tables[part].append(f"{user},{item},1,{at * 1000 + user}")
    for part, lines in tables.items():
        (tmp_path / f"{part}.csv").write_text("user,item,rating,time\n" + "\n".join(lines) + "\n", "utf-8")
    return tmp_path


def plant(parts: Path, kind: str) -> int:
    """Plant a leak in a split without one. Returns how many targets it gives away."""
    train, test = ((parts / f"{part}.csv") for part in ("train", "test"))
    leaked = test.read_text("utf-8").splitlines()[1:4]
    with train.open("a", encoding="utf-8") as file:
        for line in leaked:
            user, item, rating, time = line.split(",")
            if kind == "repeated":  # the target itself, at a time before the cut
                file.write(f"{user},{item},{rating},1\n")
            elif kind == "future":  # an event of the same user after the targets
                file.write(f"{user},{(int(item) + 1) % N_ITEMS},{rating},{int(time) + 99_000}\n")
            else:  # of another user: the popularity of the future
                file.write(f"{N_USERS - 1},{item},{rating},{int(time) + 99_000}\n")
    return len(leaked)


def cut(parts: Path) -> Split:
    return prepare(Experiment(split=SplitConfig(split="files", path=str(parts))))


def test_a_split_without_a_leak_passes(parts: Path) -> None:
    require_no_leaks(cut(parts))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("repeated", "3 of 90 .* targets repeat a given user and item"),
        ("future", "older than an event in train, .* older than a given event of the same user"),
        ("another", "older than an event in train"),
    ],
)
def test_a_planted_leak_is_found_and_fails_strict(
    kind: str, sentence: str, parts: Path, monkeypatch: Any, capsys: Any
) -> None:
    plant(parts, kind)
    assert strict_problems(cut(parts))
    with pytest.raises(MatineeError, match=sentence):
        require_no_leaks(cut(parts))
    monkeypatch.chdir(parts)
    for command in (["data", "audit"], ["compare", "popularity", "item-knn"]):
        assert run([*command, "--split", f"files:{parts}", "--strict"]) == 1
        assert "leaks with --strict" in capsys.readouterr().err
    assert not (parts / "runs").exists()  # nothing was fitted


class Spy(Recommender[Any]):
    """A model that keeps all it is ever given, and looks for the targets in it."""

    name = "spy"
    Config = EpochsConfig
    learned: ClassVar[tuple[str, ...]] = ("n_items",)

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        self.given: list[Any] = []

    def fit(self, train: TrainingData, run: Run) -> "Spy":
        self.given += [train, run]
        self.n_items = train.n_items
        if run.validation is not None:
            run.validation(self)
        return self

    def fold_in(self, histories: Histories) -> int:
        self.given.append(histories)
        return len(histories)

    def score(self, state: int) -> FloatArray:
        return np.tile(np.arange(self.n_items, dtype=np.float32), (state, 1))


def reachable(roots: list[Any], without: object) -> list[Any]:
    """Everything that code can get at from some objects: attributes, elements, and what functions enclose."""
    seen: dict[int, Any] = {}
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or one is without or isinstance(one, type | types.ModuleType):
            continue
        seen[id(one)] = one
        if isinstance(one, types.FunctionType):  # its globals are the library, which holds no data
            waiting += [cell.cell_contents for cell in one.__closure__ or ()] + list(one.__defaults__ or ())
        else:
            waiting += gc.get_referents(one)
    return list(seen.values())


@pytest.mark.parametrize("on", ["test", "valid"])
def test_a_model_cannot_reach_the_targets(on: str) -> None:
    """A spy keeps what it gets in fit, with early stopping on valid, and in evaluation; the targets are not in it."""
    data = load("bundled")
    whole = split(data, SplitConfig(ratios=(0.7, 0.15, 0.15)))
    spy = Spy(epochs=3, patience=1)
    fitting = Run.seeded(1)
    if on == "test":  # valid is what early stopping monitors; test must stay out of reach
        fitting = Run(rng=fitting.rng, validation=validation(whole, "ndcg@10"))
    spy.fit(whole.training(), fitting)
    evaluate(spy, whole, EvaluationConfig(on=on, k=(10,), samples=100), rng=np.random.default_rng(0))  # type: ignore[arg-type]
    found = reachable(spy.given, spy)
    assert len(spy.given) > 3
    kinds = {type(one) for one in found}
    assert TrainingData in kinds
    assert Histories in kinds
    assert not kinds & {Split, Dataset}
    if on == "valid":
        assert Task not in kinds
    targets = whole.targets(on)  # type: ignore[arg-type]
    wanted = set(zip(targets.user_rows.tolist(), targets.item_rows.tolist(), strict=True))
    for histories in (one for one in found if isinstance(one, Histories)):
        owners = histories.user_rows[np.repeat(np.arange(len(histories)), np.diff(histories.starts))]
        pairs = set(zip(owners.tolist(), histories.items.tolist(), strict=True))
        assert not pairs & wanted
    lengths = {len(one) for one in found if isinstance(one, np.ndarray) and one.ndim == 1}
    assert len(data.events) not in lengths
    assert len(targets) not in lengths


def test_the_walk_finds_targets_where_they_are() -> None:
    """The test above proves something: the same walk finds the targets in a closure that has them."""
    whole = split(load("bundled"), SplitConfig(ratios=(0.7, 0.15, 0.15)))

    def peek() -> Split:
        return whole

    assert any(isinstance(one, Split) for one in reachable([peek], None))
    assert any(isinstance(one, Task) for one in reachable([validation(whole, "ndcg@10")], None))

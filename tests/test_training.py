"""The epoch loop, on a model so small that its numbers can be computed by hand, and on torch's Adam."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from matinee.config import Config
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.training.checkpoint import read_checkpoint
from matinee.training.configs import EpochsConfig, GradientConfig
from matinee.training.divergence import NonFiniteLoss
from matinee.training.loop import learning_rate_factor, train_epochs
from matinee.training.run import Run

TRAIN = TrainingData(Histories.of([[0, 1], [2]]), 3)


class WalkConfig(GradientConfig):
    epochs: int = 12
    stop_at: int = 0
    """Epoch whose loss is NaN."""


class Walk(Recommender[np.ndarray]):
    """A random walk: each epoch adds a draw times the learning-rate factor."""

    name = "walk"
    Config: type[Config] = WalkConfig
    learned = ("position", "visited")

    def fit(self, train: TrainingData, run: Run) -> Self:
        train_epochs(self, Steps(self.config, run), train, run)
        return self

    def fold_in(self, histories: Histories) -> np.ndarray:
        return np.zeros(len(histories))

    def score(self, state: np.ndarray) -> np.ndarray:
        return np.zeros((len(state), 3))


class Steps:
    def __init__(self, config: WalkConfig, run: Run) -> None:
        self.config, self.run = config, run
        self.position, self.epochs = np.zeros(4), np.zeros((), dtype=np.int64)

    def epoch(self, rate: float) -> dict[str, float]:
        self.epochs = self.epochs + 1
        self.position = self.position + rate * self.run.rng.normal(size=4)
        if self.config.stop_at == self.epochs:
            raise NonFiniteLoss(7, float("nan"))
        return {"loss": 10 + float(self.position.sum())}

    def state(self) -> dict[str, np.ndarray]:
        return {"position": self.position.copy(), "epochs": self.epochs.copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.position, self.epochs = state["position"].copy(), state["epochs"].copy()

    def learned(self) -> dict[str, object]:
        return {"position": self.position.copy(), "visited": int(self.epochs)}


def interrupt_after(epochs: int) -> object:
    def on_epoch(epoch: int, total: int, metrics: dict[str, float]) -> None:
        if epoch > epochs:  # during the next epoch, whose work is lost
            raise KeyboardInterrupt

    return on_epoch


def scores_in_turn(values: list[float]) -> object:
    remaining = iter(values)
    return lambda model: next(remaining)


def test_all_epochs_are_trained_and_reported() -> None:
    reported = []
    run = replace(Run.seeded(1), on_epoch=lambda epoch, total, metrics: reported.append((epoch, total, set(metrics))))
    model = Walk(epochs=3).fit(TRAIN, run)
    expected = np.random.default_rng(1).normal(size=(3, 4)).cumsum(axis=0)
    np.testing.assert_allclose(model.position, expected[-1])
    assert reported == [(1, 3, {"loss"}), (2, 3, {"loss"}), (3, 3, {"loss"})]
    assert [row["epoch"] for row in model.curves] == [1, 2, 3]
    np.testing.assert_allclose([row["loss"] for row in model.curves], 10 + expected.sum(axis=1))


def test_early_stopping_keeps_the_best_epoch() -> None:
    valid = scores_in_turn([0.1, 0.5, 0.4, 0.45, 0.3, 0.9])
    model = Walk(patience=3).fit(TRAIN, replace(Run.seeded(1), validation=valid))
    assert len(model.curves) == 5
    assert model.visited == 2
    np.testing.assert_allclose(model.position, np.random.default_rng(1).normal(size=(2, 4)).sum(axis=0))


def test_min_delta_and_epochs_between_two_evaluations() -> None:
    valid = scores_in_turn([0.1, 0.15, 0.3, 0.3])
    model = Walk(epochs=8, patience=4, min_delta=0.1, validate_every=2).fit(
        TRAIN, replace(Run.seeded(1), validation=valid)
    )
    assert model.visited == 6  # evaluated after epochs 2, 4, 6, 8; 0.15 does not beat 0.1 by min_delta
    assert ["valid" in row for row in model.curves] == [False, True] * 4
    stopped = Walk(epochs=8, patience=4, min_delta=0.5, validate_every=2).fit(
        TRAIN, replace(Run.seeded(1), validation=scores_in_turn([0.1, 0.15, 0.3, 0.3]))
    )
    assert (stopped.visited, len(stopped.curves)) == (2, 6)


def test_without_validation_patience_has_no_effect() -> None:
    assert Walk(patience=2).fit(TRAIN, Run.seeded(1)).visited == 12


@pytest.mark.parametrize("after", [1, 5, 11])
@pytest.mark.parametrize("patience", [0, 9])
def test_interrupted_and_resumed_equals_uninterrupted(after: int, patience: int, tmp_path: Path) -> None:
    scores = [0.1, 0.3, 0.2, 0.25, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    settings = {"patience": patience, "schedule": "plateau", "schedule_epochs": 2}
    whole = Walk(**settings).fit(TRAIN, replace(Run.seeded(4), validation=scores_in_turn(scores)))
    run = replace(Run.seeded(4), checkpoint=tmp_path / "walk.checkpoint")
    first = replace(run, validation=scores_in_turn(scores), on_epoch=interrupt_after(after), checkpoint_seconds=3600)
    if patience and after == 11:  # stopped early before
        return
    with pytest.raises(KeyboardInterrupt):
        Walk(**settings).fit(TRAIN, first)
    rest = replace(run, rng=np.random.default_rng(4), validation=scores_in_turn(scores[after:]), resume=True)
    resumed = Walk(**settings).fit(TRAIN, rest)
    np.testing.assert_array_equal(resumed.position, whole.position)
    assert resumed.visited == whole.visited
    assert [row["loss"] for row in resumed.curves] == [row["loss"] for row in whole.curves]


def test_a_checkpoint_of_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "walk.checkpoint"
    run = replace(Run.seeded(4), checkpoint=path, checkpoint_seconds=0)
    Walk(epochs=2).fit(TRAIN, run)
    again = replace(run, resume=True)
    with pytest.raises(MatineeError, match=r"its epochs is 2, this run's is 5.*without --resume"):
        Walk(epochs=5).fit(TRAIN, replace(again, rng=np.random.default_rng(4)))
    with pytest.raises(MatineeError, match="its data has fingerprint"):
        Walk(epochs=2).fit(TrainingData(Histories.of([[0, 1], [1]]), 3), replace(again, rng=np.random.default_rng(4)))
    with pytest.raises(MatineeError, match="its seed differs"):
        Walk(epochs=2).fit(TRAIN, replace(again, rng=np.random.default_rng(5)))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(MatineeError, match="is damaged"):
        Walk(epochs=2).fit(TRAIN, replace(again, rng=np.random.default_rng(4)))


def test_without_resume_a_checkpoint_is_ignored(tmp_path: Path) -> None:
    run = replace(Run.seeded(4), checkpoint=tmp_path / "walk.checkpoint", checkpoint_seconds=0)
    Walk(epochs=2).fit(TRAIN, run)
    fresh = Walk(epochs=3).fit(TRAIN, replace(run, rng=np.random.default_rng(4)))
    assert fresh.visited == 3
    assert list(tmp_path.iterdir()) == [tmp_path / "walk.checkpoint"]


def test_a_nan_loss_names_the_step_and_keeps_the_last_good_epoch(tmp_path: Path) -> None:
    model = Walk(stop_at=4)
    run = replace(Run.seeded(1), checkpoint=tmp_path / "walk.checkpoint", checkpoint_seconds=0)
    with pytest.raises(MatineeError, match="the loss is nan at step 7 of epoch 4; use a smaller learning_rate"):
        model.fit(TRAIN, run)
    np.testing.assert_allclose(model.position, np.random.default_rng(1).normal(size=(3, 4)).sum(axis=0))
    assert len(model.curves) == 3


def factors(epochs: int, **settings: object) -> list[float]:
    config = GradientConfig(epochs=epochs, **settings)
    return [
        learning_rate_factor(config, [{"epoch": n + 1, "loss": 1.0} for n in range(done)]) for done in range(epochs)
    ]


def test_schedules() -> None:
    assert factors(3) == [1, 1, 1]
    assert factors(5, schedule="step", schedule_epochs=2, schedule_factor=0.1) == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert factors(4, schedule="cosine") == pytest.approx([1, 0.5 + 0.5 * 2**-0.5, 0.5, 0.5 - 0.5 * 2**-0.5])
    assert factors(4, warm_up=3) == pytest.approx([0.25, 0.5, 0.75, 1])
    # the loss never falls: after two epochs without improvement the learning rate halves
    assert factors(6, schedule="plateau", schedule_epochs=2) == pytest.approx([1, 1, 1, 0.5, 0.5, 0.25])
    assert learning_rate_factor(EpochsConfig(), []) == 1


QUADRATIC = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, seeded_dropout, torch_generator
from matinee.training.configs import GradientConfig
from matinee.training.loop import train_epochs

class Quadratic(Recommender):
    name, Config, learned = "quadratic", GradientConfig, ("weights",)

    def fit(self, train, run):
        generator = torch_generator(run)
        weights = torch.empty(50).normal_(generator=generator)
        mean = torch.zeros(50)

        def losses():
            for _ in range(20):
                mean.mul_(0.9).add_(weights.detach(), alpha=0.1)
                target = torch.from_numpy(run.rng.normal(size=50).astype(np.float32))
                yield ((seeded_dropout(weights, 0.3, generator) - target + mean) ** 2).mean()

        steps = TorchTrainer(
            {"weights": weights}, losses, lambda: {"weights": weights.numpy().copy()}, self.config,
            buffers={"mean": mean}, generator=generator,
        )
        train_epochs(self, steps, train, run)
        return self

    def fold_in(self, histories): ...
    def score(self, state): ...

def fitted(checkpoint=None, resume=False, on_epoch=None):
    run = replace(Run.seeded(3), checkpoint=checkpoint, resume=resume, on_epoch=on_epoch, checkpoint_seconds=0)
    settings = {"epochs": 40, "learning_rate": 0.05, "schedule": "cosine", "warm_up": 3, "clip_norm": 0.5}
    return Quadratic(**settings).fit(TrainingData(Histories.of([[0, 1], [2]]), 3), run)

if __name__ == "__main__":
    import time
    def slowly(epoch, total, metrics):
        print(epoch, flush=True)
        time.sleep(0.05)
    model = fitted(Path(sys.argv[1]), len(sys.argv) > 2, slowly)
    np.save(sys.argv[1] + ".npy", model.weights)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_killed_at_any_step_and_resumed_equals_uninterrupted(kill: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "quadratic.py"
    script.write_text(QUADRATIC)
    space: dict[str, object] = {"__name__": "quadratic"}
    exec(compile(QUADRATIC, script, "exec"), space)
    whole = space["fitted"]()
    checkpoint = tmp_path / "quadratic.checkpoint"
    for resume, after in ((False, 6), (True, 15)):
        arguments = [sys.executable, str(script), str(checkpoint), *(["resume"] if resume else [])]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            assert child.stdout is not None
            for line in lines_of(child.stdout):
                if int(line) == after:
                    os.kill(child.pid, kill)
                    break
            child.wait()
        assert child.returncode != 0
    done = [row["epoch"] for row in read_about(checkpoint)]
    assert done[-1] >= 14
    resumed = space["fitted"](checkpoint, True)
    np.testing.assert_array_equal(resumed.weights, whole.weights)


def lines_of(stream: Iterator[str]) -> Iterator[str]:
    yield from stream


def read_about(path: Path) -> list[dict[str, float]]:
    import json

    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["json"])["about"]
    return read_checkpoint(path, about).curves

"""A training run that is killed in a subprocess and resumed learns the same arrays, bit by bit: one model a family.

Every model that trains by epochs is interrupted and resumed within a process by the contract (8).
"""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from matinee.data.synthetic import two_groups
from matinee.histories import Histories, TrainingData
from matinee.models import MODELS, create, model_class
from matinee.models.base import Recommender
from matinee.training.configs import EpochsConfig
from matinee.training.run import OnEpoch, Run

EPOCHS, KILLED_AFTER = 12, 4
FAMILIES = {
    "bpr": {},
    "item2vec": {},
    "lightgcn": {},
    "neumf": {"layers": 2, "dropout": 0.2, "batch_norm": True, "candidates": 6, "batch_size": 7},
    "mult-vae": {"batch_size": 3},
    "gru4rec": {"batch_size": 4},
    "kprn": {},
}
"""A model of each family that trains by epochs, with settings under which its state is more than its parameters."""


def fitted(
    name: str, checkpoint: Path | None = None, *, resume: bool = False, on_epoch: OnEpoch | None = None
) -> Recommender:
    data = two_groups(24, 12)
    train = TrainingData(Histories.from_events(data.events, np.arange(24, dtype=np.int32)), 12)
    run = replace(Run.seeded(3), checkpoint=checkpoint, resume=resume, on_epoch=on_epoch, checkpoint_seconds=0)
    return create(name, epochs=EPOCHS, dim=4, **FAMILIES[name]).fit(train, run)


def family_of(name: str) -> str:
    return MODELS[name].split(".")[2]


def test_every_family_that_trains_by_epochs_has_its_model() -> None:
    trained = {family_of(name) for name in MODELS if issubclass(model_class(name).Config, EpochsConfig)}
    assert sorted(family_of(name) for name in FAMILIES) == sorted(trained)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kill"), list(zip(FAMILIES, cycle([signal.SIGKILL, signal.SIGINT]), strict=False)))
def test_killed_and_resumed_is_uninterrupted(name: str, kill: signal.Signals, tmp_path: Path) -> None:
    whole = fitted(name)
    checkpoint = tmp_path / "run.checkpoint"
    arguments = [sys.executable, __file__, name, str(checkpoint)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == KILLED_AFTER:
                os.kill(child.pid, kill)
                break
        child.wait()
    assert child.returncode != 0
    assert checkpoint.exists()
    resumed = fitted(name, checkpoint, resume=True)
    assert len(resumed.curves) == EPOCHS
    for attribute in whole.learned:
        np.testing.assert_array_equal(getattr(resumed, attribute), getattr(whole, attribute))


def report(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
    sys.stdout.write(f"{epoch}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    fitted(sys.argv[1], Path(sys.argv[2]), on_epoch=report)

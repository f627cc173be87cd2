"""One fit by several processes, each on its share of every batch, restarted when one of them is lost."""

import logging
import tempfile
import threading
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.errors import MatineeError, UsageError
from matinee.histories import TrainingData
from matinee.models.base import Recommender
from matinee.scale.choice import runner_of
from matinee.scale.runner import LostWorkerError, Runner
from matinee.training.devices import thread_limit
from matinee.training.run import Run
from matinee.training.share import RankLostError

if TYPE_CHECKING:
    from matinee.training.ranks import Meeting

RESTARTS = 3
"""Times that a fit goes on after it lost a process."""
PATIENCE = 10.0
"""Seconds to learn from the runner why a process was lost."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainShare:
    """The job of a runner: to train with process 0, which alone validates, reports and keeps the model."""

    model: Recommender[Any]
    train: TrainingData
    rng_state: dict[str, Any]
    validates: bool
    meeting: "Meeting"

    def __call__(self, rank: int) -> None:
        """rank: from 1."""
        from matinee.training.ranks import Ranks

        rng = np.random.default_rng()
        rng.bit_generator.state = self.rng_state
        validation = _left_to_the_first if self.validates else None
        self.model.fit(self.train, Run(rng=rng, validation=validation, share=Ranks(rank, self.meeting)))


def _left_to_the_first(model: Recommender[Any]) -> float:
    return 0.0


def fit_together(model: Recommender[Any], train: TrainingData, run: Run, workers: int | str) -> Recommender[Any]:
    """As `model.fit`, by this process and others, for a model with `shares_batches`.

    The same seed gives the same model for the same number of workers. When a process is lost, the fit goes on from its
    last epoch, with others in its place, or on a cluster with those that are left. Raises UsageError for another device
    than the CPU, and MatineeError where processes are lost again and again.
    """
    if isinstance(workers, str) and workers.startswith("ray://"):
        raise UsageError(
            f"--on {workers}: gradients do not come back to a machine outside of the cluster; join it (HOST:6379)"
        )
    if run.device != "cpu":
        raise UsageError(f"device = {run.device}: workers train on processors; leave out the workers, or the device")
    begun = dict(run.rng.bit_generator.state)
    with tempfile.TemporaryDirectory(prefix="matinee-fit-") as folder:
        kept = replace(run, checkpoint=run.checkpoint or Path(folder, "checkpoint"))
        for number in count(1):
            run.rng.bit_generator.state = begun
            try:
                return _fit_once(model, train, replace(kept, resume=run.resume or number > 1), workers, Path(folder))
            except RankLostError as lost:
                if number > RESTARTS:
                    again = "; the same command with --resume goes on" if run.checkpoint is not None else ""
                    raise MatineeError(f"{model.name}: {lost}, {number} times{again}") from None
                logging.getLogger(__name__).warning("%s; the fit goes on from its last epoch", lost)
    raise AssertionError


def _fit_once(
    model: Recommender[Any], train: TrainingData, run: Run, workers: int | str, folder: Path
) -> Recommender[Any]:
    """Raises RankLostError when a process was lost, after the checkpoint is written."""
    with runner_of(workers) as runner, thread_limit(1, torch_trains=True):
        if runner.workers == 1:
            return model.fit(train, run)
        from matinee.training.ranks import Meeting, Ranks

        with tempfile.TemporaryDirectory(dir=folder) as place:
            meeting, store = Meeting.open(runner.workers, runner.host, Path(place, "meeting"))
            job = TrainShare(model, train, dict(run.rng.bit_generator.state), run.validation is not None, meeting)
            others = _Others(runner, job)
            try:
                return model.fit(train, replace(run, share=Ranks(0, meeting, store)))
            except RankLostError:
                others.raise_reason()
                raise


class _Others:
    """Processes 1 to n - 1, in a thread that waits for them."""

    def __init__(self, runner: Runner, job: TrainShare) -> None:
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(runner, job), daemon=True)
        self._thread.start()

    def _run(self, runner: Runner, job: TrainShare) -> None:
        try:
            for _ in runner.map(job, range(1, runner.workers)):
                pass
        except Exception as error:
            self._error = error

    def raise_reason(self) -> None:
        """Raise why one of them ended, if it is known and would be so again."""
        self._thread.join(PATIENCE)
        if self._error is not None and not isinstance(self._error, RankLostError | LostWorkerError):
            raise self._error

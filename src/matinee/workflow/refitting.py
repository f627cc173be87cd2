"""The fits of a retraining: of each model one without the newest events and one with all, here or by workers."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from matinee.dataset import Dataset
from matinee.histories import Histories, TrainingData
from matinee.models.base import Counts, Recommender
from matinee.scale.choice import runner_of
from matinee.store.artefact import Artefact
from matinee.store.versions.counts import CountsFolder
from matinee.training.devices import thread_limit
from matinee.workflow.continuing import Running, fit_again, unfitted


@dataclass(frozen=True, slots=True, eq=False)
class Refitted:
    """A model fitted again, its counts if it is fitted from counts, and what its artefact says of the fit."""

    model: Recommender[Any]
    counts: Counts | None
    about: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """The job of a runner: from a running model, and which of the training data, to the model fitted again.

    threads: those of a fit; None for the machine's.
    """

    trains: Sequence[TrainingData]
    seed: int
    warm: bool
    threads: int | None

    def __call__(self, part: tuple[Running, int]) -> Refitted:
        """part: the running model, and the number of the training data."""
        running, number = part
        started = perf_counter()
        with thread_limit(self.threads, torch_trains=running.model.trained_by_torch):
            model, counts = fit_again(running, self.trains[number], self.seed, warm=self.warm)
        about: dict[str, Any] = {"fit_seconds": perf_counter() - started}
        if running.graph is not None:
            about["graph"] = {"triples": len(running.graph), "fingerprint": running.graph.fingerprint}
        return Refitted(model, counts, about)


def refits(
    artefacts: Sequence[Artefact], data: Dataset, kept: CountsFolder, job: Refit, workers: int | str | None
) -> Iterator[list[Refitted]]:
    """Yield the fits of each artefact's model, one for each of the job's training data, in their order.

    kept: the counts of these artefacts. A model is the same in every process, so workers take whole fits, no parts of
    them. Raises MatineeError, naming the part, where a worker fails or is lost.
    """

    def parts() -> Iterator[tuple[Running, int]]:
        for artefact in artefacts:
            running = _needed(Running.of(artefact, data, kept.read(artefact.version)), job.warm)
            yield from ((running, number) for number in range(len(job.trains)))

    with nullcontext() if workers is None else runner_of(workers) as runner:
        fits = map(job, parts()) if runner is None else runner.map(job, parts())
        for _ in artefacts:
            yield [next(fits) for _ in job.trains]


def _needed(running: Running, warm: bool) -> Running:
    """What a fit reads of it: no arrays unless it starts from them, and no histories unless there are counts."""
    model = running.model if warm else unfitted(running.model, {})
    histories = Histories.of([]) if running.counts is None else running.histories
    return replace(running, model=model, histories=histories)

"""Fits side by side, each in a process of its own, as far as cores and memory allow."""

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

from matinee.data.splits import Split
from matinee.errors import MatineeError
from matinee.memory import available_memory
from matinee.models import create
from matinee.processes import n_cores, settle_child, threads_of_children
from matinee.scale.choice import runner_of
from matinee.workflow.planned_fits import Hooks, Measured, PlannedFit, measure

BASE_BYTES = 400_000_000
"""What a process needs before it fits anything: the libraries and the split."""
FEW = 4
"""Fits up to which a comparison runs in one process, since each further one takes seconds to start."""
EVERY = 0.2
"""Seconds between two reports on epochs."""
Outcome: TypeAlias = Measured | str
"""What became of a fit: its result, or a sentence on why there is none."""


@dataclass(slots=True)
class Progress:
    """What is called while fits run: when one begins, with each of its steps and epochs, and with what became of it."""

    on_step: Callable[[PlannedFit, str], None] = lambda planned, step: None
    on_epoch: Callable[[PlannedFit, int, int, dict[str, float]], None] = lambda planned, epoch, epochs, values: None


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    planned: PlannedFit
    process: SpawnProcess
    messages: Connection
    n_bytes: int = field(default=0)


def run_here(
    waiting: list[PlannedFit], split: Split, progress: Progress, checkpoint_of: Callable[[PlannedFit], Path | None]
) -> Iterator[tuple[PlannedFit, Outcome]]:
    """Run fits one after the other in this process; the caller may add to `waiting` meanwhile."""
    while waiting:
        planned = waiting.pop(0)
        try:
            outcome: Outcome = measure(planned, split, _hooks(planned, progress), checkpoint_of(planned))
        except MatineeError as error:
            outcome = str(error)
        yield planned, outcome


def run_side_by_side(
    waiting: list[PlannedFit],
    split: Split,
    jobs: int,
    progress: Progress,
    checkpoint_of: Callable[[PlannedFit], Path | None],
) -> Iterator[tuple[PlannedFit, Outcome]]:
    """Run up to `jobs` fits at once; the caller may add to `waiting` meanwhile.

    A fit begins only if what it needs at least fits into memory beside those that run; a process that is killed costs
    its own fit alone.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of numeric libraries, locked
    available = available_memory()
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                needed = _forecast(waiting[0], split)
                if running and available is not None and needed + sum(each.n_bytes for each in running) > available:
                    break
                planned = waiting.pop(0)
                running.append(_start(context, planned, split, jobs, checkpoint_of(planned), needed))
            yield from _ended(running, progress)
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.join()
            each.messages.close()


@dataclass(frozen=True, slots=True, eq=False)
class MeasureFit:
    """The job of a runner: from a fit to what became of it."""

    split: Split

    def __call__(self, planned: PlannedFit) -> Outcome:
        """Fit and evaluate."""
        return _outcome_of(planned, self.split, Hooks())


def run_on_cluster(
    waiting: list[PlannedFit], split: Split, address: str, progress: Progress
) -> Iterator[tuple[PlannedFit, Outcome]]:
    """Run fits on the cores of a Ray cluster; the caller may add to `waiting` meanwhile.

    Artefacts are measured here, where their folders are. Raises MatineeError as RayCluster, and if a fit is lost.
    """

    def taken() -> Iterator[PlannedFit]:
        while waiting and waiting[0].artefact is None:
            planned = waiting.pop(0)
            progress.on_step(planned, "fitting on the cluster")
            yield planned

    with runner_of(address) as runner:
        while waiting:
            if waiting[0].artefact is None:
                yield from runner.as_ended(MeasureFit(split), taken())
            else:
                yield from run_here([waiting.pop(0)], split, progress, lambda _: None)


def _start(
    context: Any,  # noqa: ANN401 - multiprocessing's own
    planned: PlannedFit,
    split: Split,
    jobs: int,
    checkpoint: Path | None,
    needed: int,
) -> _Running:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, planned, split, checkpoint))
    with threads_of_children(max(1, n_cores() // jobs)):
        process.start()
    theirs.close()
    return _Running(planned, process, ours, needed)


def _ended(running: list[_Running], progress: Progress) -> Iterator[tuple[PlannedFit, Outcome]]:
    """Read what processes say until one ends; yield what became of it."""
    ready = wait([each.messages for each in running])
    for each in [each for each in running if each.messages in ready]:
        try:
            kind, *values = each.messages.recv()
        except EOFError:
            each.process.join()
            code = each.process.exitcode
            kind, values = "failed", [f"its process ended with code {code}, perhaps for want of memory; try --jobs 1"]
        if kind == "step":
            progress.on_step(each.planned, *values)
        elif kind == "epoch":
            progress.on_epoch(each.planned, *values)
        else:
            running.remove(each)
            each.process.join()
            each.messages.close()
            yield each.planned, values[0]


def _work(messages: Connection, planned: PlannedFit, split: Split, checkpoint: Path | None) -> None:
    """In a process of its own: fit, evaluate, and send what became of it."""
    settle_child()
    last = 0.0

    def on_step(step: str) -> None:
        messages.send(("step", step))

    def on_epoch(epoch: int, epochs: int, values: dict[str, float]) -> None:
        nonlocal last
        if perf_counter() - last > EVERY or epoch == epochs:
            last = perf_counter()
            messages.send(("epoch", epoch, epochs, values))

    messages.send(("done", _outcome_of(planned, split, Hooks(on_step, on_epoch), checkpoint)))


def _outcome_of(planned: PlannedFit, split: Split, hooks: Hooks, checkpoint: Path | None = None) -> Outcome:
    """Fit and evaluate, or a sentence on why that failed."""
    try:
        return measure(planned, split, hooks, checkpoint)
    except MatineeError as error:
        return str(error)
    except MemoryError:
        return "not enough memory; filter the data, or take a smaller setting"
    except Exception as error:  # whatever a model of somebody else raises costs this fit alone
        return f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"


def _hooks(planned: PlannedFit, progress: Progress) -> Hooks:
    return Hooks(
        lambda step: progress.on_step(planned, step),
        lambda epoch, epochs, values: progress.on_epoch(planned, epoch, epochs, values),
    )


def _forecast(planned: PlannedFit, split: Split) -> int:
    """Bytes that a fit needs at least."""
    experiment = planned.experiment
    if planned.artefact is not None or experiment.model is None:
        return BASE_BYTES
    train = split.training(experiment.evaluation.refit)
    return BASE_BYTES + create(experiment.model, **experiment.settings).least_memory(train)


def jobs_for(n_fits: int, asked: int | None) -> int:
    """How many fits run at once: as asked, else one for each core; a few run in this process."""
    if asked is not None:
        return max(1, min(asked, n_fits))
    return min(n_cores(), n_fits) if n_fits > FEW else 1

"""The fits of a comparison: every model with every seed, side by side, going on where an interrupted run stopped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.data.splits import Split
from matinee.evaluation.report import Report
from matinee.evaluation.seeds import over_seeds
from matinee.models import model_class
from matinee.workflow.planned_fits import Measured, PlannedFit
from matinee.workflow.run_folder import RunFolder
from matinee.workflow.side_by_side import Outcome, Progress, run_here, run_on_cluster, run_side_by_side


@dataclass(slots=True)
class Course:
    """How fits run. folder: keeps those that are finished; jobs: how many at once; 1 is this process.

    on: the address of a Ray cluster that runs them instead;
    on_outcome: called with each fit and what became of it; on_plan: with each fit that will run, and with why, if the
    folder has one of other settings.
    """

    jobs: int = 1
    folder: RunFolder | None = None
    progress: Progress = field(default_factory=Progress)
    on_plan: Callable[[PlannedFit, str | None], None] = lambda planned, change: None
    on_outcome: Callable[[PlannedFit, Outcome, bool], None] = lambda planned, outcome, kept: None
    on: str | None = None


@dataclass(slots=True)
class ModelResult:
    """The fits of one model: the results by seed, and what went wrong, one sentence for each fit that failed."""

    planned: PlannedFit
    measured: dict[int, Measured] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def report(self, seeds: Sequence[int], rng: np.random.Generator) -> Report | None:
        """One report over seeds; None if no fit succeeded. A model without random numbers was fitted once."""
        found = [seed for seed in seeds if seed in self.measured]
        if not found:
            return None
        reports = [self.measured[seed].report for seed in found]
        return over_seeds(reports, found, rng) if len(seeds) > 1 else reports[0]

    @property
    def search(self) -> dict[str, Any] | None:
        """What a search tried and found, if there was one."""
        return next((each.search for each in self.measured.values() if each.search), None)

    @property
    def settings(self) -> dict[str, object] | None:
        """With those that a search found, if there was one."""
        return next((each.settings for each in self.measured.values()), None)


def measure_all(planned: Sequence[PlannedFit], seeds: Sequence[int], split: Split, course: Course) -> list[ModelResult]:
    """Measure each model with each seed, as far as they succeed.

    planned: each model's fit with the first seed; a search for settings belongs to that one, and the others take what
    it found. A model that draws no random number is fitted once.
    """
    results = [ModelResult(each) for each in planned]
    waiting: list[PlannedFit] = []  # begun from the front
    owner: dict[int, ModelResult] = {}

    def plan(fit: PlannedFit, result: ModelResult) -> None:
        owner[id(fit)] = result
        found = course.folder.find(fit) if course.folder is not None else None
        if found is not None:
            accept(fit, found, kept=True)
            return
        course.on_plan(fit, course.folder.changes(fit) if course.folder is not None else None)
        # the long fits first, so that the short ones fill the end, and a model's seeds right after its search
        waiting.insert(next((i for i, each in enumerate(waiting) if _is_later(each, fit)), len(waiting)), fit)

    def accept(fit: PlannedFit, outcome: Outcome, *, kept: bool) -> None:
        result = owner[id(fit)]
        if isinstance(outcome, str):
            result.problems.append(outcome)
        else:
            result.measured[fit.seed] = outcome
        if isinstance(outcome, Measured) and not kept and course.folder is not None:
            course.folder.keep(fit, outcome)
        course.on_outcome(fit, outcome, kept)
        if isinstance(outcome, Measured) and outcome.drew and fit is result.planned:
            for seed in seeds[1:]:
                plan(_with_seed(fit, seed, outcome), result)

    for result in results:
        plan(result.planned, result)
    for fit, outcome in _run(waiting, split, course):
        accept(fit, outcome, kept=False)
    return results


def forget_all(results: Sequence[ModelResult], seeds: Sequence[int], folder: RunFolder) -> None:
    """Remove what a folder keeps of these fits."""
    for result in results:
        folder.forget(result.planned)
        first = result.measured.get(result.planned.seed)
        for seed in seeds[1:]:
            if first is not None:
                folder.forget(_with_seed(result.planned, seed, first))


def _is_later(fit: PlannedFit, other: PlannedFit) -> bool:
    """Whether a waiting fit begins after another one, planned later: its model is quicker, or has not begun."""
    slow, slow_other = (_trains_long(each) for each in (fit, other))
    return slow_other > slow or (slow_other == slow and fit.tuned and not other.tuned)


def _trains_long(fit: PlannedFit) -> bool:
    name = fit.experiment.model
    return fit.artefact is None and name is not None and model_class(name).trained_by_torch


def _with_seed(fit: PlannedFit, seed: int, first: Measured) -> PlannedFit:
    """The fit with another seed, and the settings that the first one's search found."""
    fit = replace(fit, seed=seed, unseen=False)
    if first.settings is None:
        return fit
    return replace(fit, tuned=False, experiment=fit.experiment.model_copy(update={"settings": first.settings}))


def _run(waiting: list[PlannedFit], split: Split, course: Course) -> Iterator[tuple[PlannedFit, Outcome]]:
    def checkpoint_of(fit: PlannedFit) -> Path | None:
        return None if course.folder is None else course.folder.checkpoint(fit)

    if course.on is not None:
        return run_on_cluster(waiting, split, course.on, course.progress)
    if course.jobs == 1:
        return run_here(waiting, split, course.progress, checkpoint_of)
    return run_side_by_side(waiting, split, course.jobs, course.progress, checkpoint_of)

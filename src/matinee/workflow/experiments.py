"""An experiment of a config file or the command line, from its data to its report."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from matinee.config import EvaluationConfig, ValuesConfig
from matinee.data.filters import apply_filters
from matinee.data.item_tables import with_items_file
from matinee.data.loading import load as load_data
from matinee.data.split_settings import check_settings
from matinee.data.splits import Split
from matinee.data.splits import split as cut
from matinee.data.splits import split_files as cut_files
from matinee.dataset import Dataset
from matinee.errors import MatineeError, UsageError
from matinee.evaluation.baseline import below_popularity
from matinee.evaluation.evaluate import evaluate as measure
from matinee.evaluation.report import Report
from matinee.evaluation.task import Task
from matinee.experiment import Experiment
from matinee.models import model_class
from matinee.store.artefact import Artefact
from matinee.training.devices import thread_limit
from matinee.training.run import OnEpoch
from matinee.workflow.fitting import fit

OnStep = Callable[[str], None]
"""Called with the name of each step when it starts."""


def read(experiment: Experiment, on_step: OnStep = lambda step: None) -> Dataset:
    """The data of an experiment, loaded and filtered."""
    on_step(f"reading {experiment.data}")
    data = load_data(experiment.data, experiment.columns)
    data = apply_filters(data, experiment.filters, rng=np.random.default_rng(experiment.split.seed))
    return _with_items(data, experiment)


def _with_candidates(prepared: Split, experiment: Experiment) -> Split:
    """The split, after a look at the file of candidates: what is wrong with it is said before any fit."""
    if experiment.evaluation.candidates is not None:
        Task.of(prepared, experiment.evaluation)
    return prepared


def _with_items(data: Dataset, experiment: Experiment) -> Dataset:
    return with_items_file(data, experiment.items, drop_blank=experiment.columns.drop_blank)


def prepare(experiment: Experiment, on_step: OnStep = lambda step: None) -> Split:
    """The data of an experiment, loaded, filtered and split. Raises MatineeError for an option that has no effect."""
    check_settings(experiment.split, experiment.evaluation)
    if experiment.split.split == "files":
        if "data" in experiment.model_fields_set:
            raise UsageError(
                f"data = {experiment.data} has no effect on split files:{experiment.split.path}, which has its own "
                "events; leave it out"
            )
        on_step(f"reading {experiment.split.path}")
        parts = cut_files(experiment.split, experiment.columns, experiment.filters)
        return _with_candidates(replace(parts, data=_with_items(parts.data, experiment)), experiment)
    data = read(experiment, on_step)
    on_step("splitting")
    return _with_candidates(cut(data, experiment.split), experiment)


def run(
    experiment: Experiment,
    prepared: Split,
    on_step: OnStep = lambda step: None,
    on_epoch: OnEpoch | None = None,
    *,
    seed: int | None = None,
    checkpoint: Path | None = None,
) -> tuple[Artefact, Report]:
    """Fit and evaluate the model of an experiment on its prepared data.

    seed: of the fit, by default that of the split; checkpoint: a file that training by epochs continues from if it is
    there, and saves its state to.
    """
    if experiment.model is None:
        raise MatineeError("no model given; for example `matinee evaluate ease`")
    evaluation = experiment.evaluation
    on_step(f"fitting {experiment.model}")
    fitted = fit(
        experiment.model,
        prepared,
        seed=experiment.split.seed if seed is None else seed,
        refit=evaluation.refit,
        values=values_of(experiment),
        graph=experiment.graph if model_class(experiment.model).reads_graph else None,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        resume=checkpoint is not None,
        **features_of(experiment),
        **experiment.machine.model_dump(),
        **experiment.settings,
    )
    on_step(f"evaluating {experiment.model}")
    seconds = fitted.manifest["fit_seconds"]
    started = perf_counter()
    rng = np.random.default_rng(experiment.split.seed)
    with thread_limit(experiment.machine.threads, torch_trains=model_class(experiment.model).trained_by_torch):
        report = measure(fitted.model, prepared, evaluation, rng=rng, fit_seconds=seconds)
    cost = {"evaluate_seconds": perf_counter() - started}
    fitted = noted(fitted, report, prepared, evaluation, experiment.split.seed)
    notes = (*report.read_notes, *fitted.manifest.get("notes", ()))
    return fitted, replace(report, read_notes=notes, curves=fitted.model.curves, cost=cost)


def noted(fitted: Artefact, report: Report, split: Split, evaluation: EvaluationConfig, seed: int) -> Artefact:
    """The artefact with a note if its report is below that of popularity."""
    if not fitted.model.makes_lists:
        return fitted
    found = below_popularity(report, split, evaluation, seed=seed)
    return fitted if found is None else fitted.with_manifest({"notes": [*fitted.manifest.get("notes", ()), found]})


def features_of(experiment: Experiment) -> dict[str, Any]:
    """What `fit` predicts new items from, and how: all that is known of them, where there is a file of items."""
    items = experiment.items
    return {"items": "known", "content": {"scale": items.scale}} if items.file is not None else {"items": None}


def values_of(experiment: Experiment) -> ValuesConfig:
    """The value map of an experiment, on the scale of its columns if it names none itself."""
    if experiment.values.scale is None and experiment.columns.scale is not None:
        return experiment.values.model_copy(update={"scale": experiment.columns.scale})
    return experiment.values

"""A fit that a comparison plans: a model with its settings and seed, or an artefact, and its evaluation."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matinee.data.candidate_files import fingerprint as fingerprint_of
from matinee.data.splits import Split
from matinee.evaluation.cost import measure_cost
from matinee.evaluation.report import Report
from matinee.experiment import Experiment
from matinee.training.run import OnEpoch
from matinee.version import __version__
from matinee.workflow.evaluating import evaluate
from matinee.workflow.experiments import OnStep, run
from matinee.workflow.tuning import short_search
from matinee.workflow.unseen import difference, left_out, without_users


@dataclass(frozen=True, slots=True)
class PlannedFit:
    """One fit with its evaluation. label: names the model; artefact: the folder of one that is fitted already.

    tuned: settings come from a short search on valid; search_seconds: after which it tries no further settings;
    unseen: also fit without some users, and measure what they lose.
    """

    label: str
    experiment: Experiment
    seed: int
    artefact: Path | None = None
    tuned: bool = False
    search_seconds: float | None = None
    unseen: bool = False

    def about(self, fingerprint: str) -> dict[str, Any]:
        """All that decides about the result, ready for JSON. fingerprint: of the data."""
        candidates = self.experiment.evaluation.candidates
        return {
            "model": self.experiment.model,
            "experiment": self.experiment.model_dump(mode="json"),
            "seed": self.seed,
            "artefact": self.artefact and _version(self.artefact),
            "tuned": self.tuned and {"seconds": self.search_seconds},
            "unseen": self.unseen,
            "candidates": None if candidates is None else fingerprint_of(candidates),
            "data": fingerprint,
            "matinee": __version__,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What a fit gave.

    drew: whether it drew random numbers, so that another seed gives another result; settings: with those that a search
    found, if there was one; search: what it tried and found, ready for JSON.
    """

    report: Report
    drew: bool = True
    settings: dict[str, Any] | None = None
    search: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a fit calls while it runs."""

    on_step: OnStep = lambda step: None
    on_epoch: OnEpoch | None = None


def key_of(about: dict[str, Any]) -> str:
    """A short hash of what decides about a result."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


def measure(planned: PlannedFit, split: Split, hooks: Hooks, checkpoint: Path | None = None) -> Measured:
    """Fit and evaluate. checkpoint: the file that training by epochs continues from, and saves its state to."""
    experiment = planned.experiment
    config = experiment.evaluation
    if planned.artefact is not None:
        from matinee.store.artefact import load

        hooks.on_step("evaluating")
        fitted = load(planned.artefact)
        settings = config.model_dump(exclude={"k"})
        report = evaluate(fitted, split, config.k, seed=experiment.split.seed, **settings)
        return Measured(_with_cost(report, fitted.model, split, config), drew=False)
    found, search = None, None
    if planned.tuned:
        hooks.on_step("tuning")
        experiment, result = short_search(
            experiment,
            split,
            lambda _, trials: hooks.on_step(f"tuning {len(trials)}"),
            seconds=planned.search_seconds,
        )
        found, search = dict(experiment.settings), result.summary() | {"text": str(result)}
    fitted, report = run(experiment, split, hooks.on_step, hooks.on_epoch, seed=planned.seed, checkpoint=checkpoint)
    report = _with_cost(report, fitted.model, split, config)
    if planned.unseen:
        report = _with_unseen(report, replace(planned, experiment=experiment), split, hooks)
    return Measured(report, bool(fitted.manifest.get("draws", True)), found, search)


def _with_unseen(report: Report, planned: PlannedFit, split: Split, hooks: Hooks) -> Report:
    """The report with what some users lose in a fit without them."""
    experiment, seed = planned.experiment, planned.experiment.split.seed
    users = left_out(split, report, seed)
    if not len(users):
        return report
    without = without_users(split, users, experiment.evaluation)
    hooks.on_step(f"fitting {experiment.model} without some users")
    _, unseen = run(experiment, without, on_epoch=hooks.on_epoch, seed=planned.seed)
    return replace(report, unseen=difference(report, unseen, users, seed))


def _with_cost(report: Report, model: Any, split: Split, config: Any) -> Report:  # noqa: ANN401 - passed on
    return replace(report, cost=report.cost | measure_cost(model, split, config))


def _version(artefact: Path) -> str:
    """What names the content of an artefact: its manifest, which has a hash of each file."""
    return hashlib.sha256((artefact / "manifest.json").read_bytes()).hexdigest()[:16]

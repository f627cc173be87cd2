"""The result of a comparison, ready for JSON: what was found, on which data, and all that is needed to repeat it."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from matinee.data.audit import audit
from matinee.data.splits import Split
from matinee.evaluation.comparison import Comparison
from matinee.evaluation.report import Report
from matinee.experiment import Experiment
from matinee.version import __version__
from matinee.workflow.toml_text import experiment_toml

FORMAT = 1
LIBRARIES = ("numpy", "scipy", "polars", "torch", "optuna")
"""Libraries that a result depends on."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a comparison comes from.

    experiments: by id() of a report; command: as typed; wall_seconds: of all; searches: what was tried and found, by
    id() of a report.
    """

    experiments: Mapping[int, Experiment]
    command: str = ""
    wall_seconds: float | None = None
    failed: Sequence[Mapping[str, str]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    searches: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


def result_of(comparison: Comparison, split: Split, origin: Origin) -> dict[str, Any]:
    """The comparison with the audit of its split, the times of the run, and how to repeat it.

    origin.experiments has a key for the id() of each report.
    """
    found = audit(split.data, split)
    labels = [row.label for row in comparison.rows]
    experiments = [
        {"label": label, "toml": experiment_toml(origin.experiments[id(report)], report.config)}
        for label, report in zip(labels, comparison.reports, strict=True)
        if id(report) in origin.experiments
    ]
    return {
        "format": FORMAT,
        **comparison.to_json(),
        "searches": [
            {"label": label, **origin.searches[id(report)]}
            for label, report in zip(labels, comparison.reports, strict=True)
            if id(report) in origin.searches
        ],
        "failed": [dict(each) for each in origin.failed],
        "times": _times(comparison.reports, origin),
        "audit": found.to_json() | {"rows": [list(row) for row in found.rows()]},
        "again": {
            "command": origin.command,
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "experiments": experiments,
            "facts": dict(origin.facts) | _machine(),
            "versions": _versions(),
        },
    }


def _times(reports: Sequence[Report], origin: Origin) -> dict[str, float | None]:
    """Seconds of training, searches and evaluation, summed over models and seeds, and of the whole run."""
    fits = [
        row["fit_seconds"] or 0.0 for report in reports for row in report.seeds or [{"fit_seconds": report.fit_seconds}]
    ]
    evaluated = [report.cost.get("evaluate_seconds", 0.0) * max(1, len(report.seeds)) for report in reports]
    return {
        "fit_seconds": sum(fits),
        "search_seconds": sum(each["seconds"] for each in origin.searches.values()),
        "evaluate_seconds": sum(evaluated),
        "wall_seconds": origin.wall_seconds,
    }


def _machine() -> dict[str, str]:
    """What of the machine decides about times and the last digits of numbers."""
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "threads": threads,
    }


def _versions() -> dict[str, str | None]:
    def of(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {"matinee": __version__, "python": platform.python_version(), **{name: of(name) for name in LIBRARIES}}

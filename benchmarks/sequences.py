"""Every model of the sequence protocols, compared pairwise by user, on one core.

Prints one JSON object; `python benchmarks/sequences.py PART[:NAME,NAME] ...` runs some parts, or some experiments of
one. Run it as `make bench` does. Seconds are processor seconds of one thread, fit and evaluation together. Each row
says by which settings it was measured.

    c-small, c  protocols C-small and C: each user's last event
    session     sessions of MovieLens 1M: the last movie of each (configs/session/, configs/session-*.toml)
    every       the same sessions: every event after the first
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from matinee import workflow
from matinee.config import EvaluationConfig
from matinee.evaluation.comparison import compare
from matinee.evaluation.report import Report
from matinee.experiment import Experiment, read_experiment

CONFIGS = Path(__file__).parents[1] / "configs"
PATTERNS = {"c-small": ("c-small/*",), "c": ("c/*",), "session": ("session/*", "session-*"), "every": ("session/*",)}
METRICS = ("hit-rate@10", "ndcg@10", "hit-rate@20", "mrr@20")
os.environ.setdefault("MATINEE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))


def main() -> None:
    found = {}
    for argument in sys.argv[1:] or PATTERNS:
        part, _, names = argument.partition(":")
        found[part] = measured(part, names.split(",") if names else None)
    print(json.dumps(found))


def measured(part: str, names: list[str] | None) -> dict[str, Any]:
    """Results of each experiment of a part, and for each metric how the others compare with the best."""
    paths = sorted(path for pattern in PATTERNS[part] for path in CONFIGS.glob(f"{pattern}.toml"))
    chosen = {path.stem: read_experiment(path) for path in paths if names is None or path.stem in names}
    if part == "every":
        chosen = {name: predicting_every(experiment) for name, experiment in chosen.items()}
    prepared = workflow.prepare(next(iter(chosen.values())))
    rows, reports = {}, {}
    for name, experiment in chosen.items():
        started = time.process_time()
        _, reports[name] = workflow.run(experiment, prepared)
        rows[name] = row(reports[name], time.process_time() - started) | {"settings": experiment.settings}
        print(part, name, rows[name], file=sys.stderr, flush=True)
    return {"models": rows, "paired": {metric: verdicts(reports, metric) for metric in METRICS}}


def predicting_every(experiment: Experiment) -> Experiment:
    evaluation = EvaluationConfig(**(experiment.evaluation.model_dump() | {"predict": "every"}))
    return experiment.model_copy(update={"evaluation": evaluation})


def row(report: Report, seconds: float) -> dict[str, Any]:
    figures = {name: round(report.metrics[name].mean, 4) for name in METRICS}
    return {**figures, "predictions": report.targets, "users": report.users, "cpu_seconds": round(seconds, 1)}


def verdicts(reports: dict[str, Report], metric: str) -> dict[str, Any]:
    """The best by a metric, and each other model's difference from it with its interval, corrected p and verdict."""
    names = {id(report): name for name, report in reports.items()}
    found = compare(list(reports.values()), metric, rng=np.random.default_rng(1))
    return {
        names[id(report)]: {
            "difference": [round(end, 4) for end in (one.difference.mean, one.difference.low, one.difference.high)],
            "p": round(one.p_adjusted, 4),
            "verdict": one.verdict,
        }
        for one, report in zip(found.rows, found.reports, strict=True)
    }


if __name__ == "__main__":
    main()

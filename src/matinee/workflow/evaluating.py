"""Evaluation and comparison of fitted models."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from matinee.config import (
    EvaluationConfig,
    configure,
)
from matinee.data.splits import Split
from matinee.errors import MatineeError
from matinee.evaluation.comparison import Comparison
from matinee.evaluation.comparison import compare as compare_reports
from matinee.evaluation.evaluate import evaluate as measure
from matinee.evaluation.report import Report
from matinee.store.artefact import Artefact


def evaluate(
    model: Artefact,
    over: Split,
    k: Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: object,
) -> Report:
    """Rank all items for every user with targets, and measure the lists.

    settings: fields of EvaluationConfig, such as on="valid". Raises MatineeError if the model was fitted on other items
    than those of the split.
    """
    config = configure(EvaluationConfig, {"k": tuple(k)} | settings, "evaluation")
    if not np.array_equal(model.items.ids, over.data.items.ids):
        fitted = model.manifest["data"]
        raise MatineeError(
            f"{model.name} was fitted on {fitted['items']:,} items of {fitted['name']}, the split has "
            f"{len(over.data.items):,} of {over.data.name}; use the same data and filters"
        )
    seconds = model.manifest.get("fit_seconds")
    return measure(model.model, over, config, rng=np.random.default_rng(seed), fit_seconds=seconds)


def quality(report: Report) -> dict[str, Any]:
    """The part of a report that an artefact saves: metrics, and the split and users they were measured on."""
    found = report.to_json()
    return {
        "metrics": found["metrics"],
        "measured": {"on": found["evaluation"]["on"], "users": report.users, "split": found["split"]},
    }


def compare(
    models: Sequence[Artefact],
    over: Split,
    metric: str = "ndcg@10",
    k: Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: object,
) -> Comparison:
    """Evaluate several models on one split, and compare each with the best, paired by user."""
    reports = [evaluate(model, over, k, seed=seed, **settings) for model in models]
    return compare_reports(reports, metric, rng=np.random.default_rng(seed))

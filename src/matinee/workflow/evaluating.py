"""Evaluation and comparison of fitted models."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
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
from matinee.evaluation.seeds import over_seeds
from matinee.models.base import Recommender
from matinee.store.artefact import Artefact
from matinee.workflow.fitting import fit
from matinee.workflow.given import Fittable, artefact_of, lengths_of, require_split


def evaluate(
    model: Fittable,
    over: Split,
    k: int | Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: object,
) -> Report:
    """Rank all items for every user with targets, and measure the lists.

    model: fitted, or the folder of an artefact; a model or its name is fitted on the training part first. settings:
    fields of EvaluationConfig, such as on="valid". Raises MatineeError if the model was fitted on other items than
    those of the split, and for a data set in place of a split.
    """
    over = require_split(over, "mt.evaluate(model, {})")
    config = configure(EvaluationConfig, {"k": lengths_of(k)} | settings, "evaluation")
    model = artefact_of(model, "mt.evaluate({}, split)", lambda unfitted: fit(unfitted, over, seed=seed))
    if not np.array_equal(model.items.ids, over.data.items.ids):
        fitted = model.manifest["data"]
        raise MatineeError(
            f"{model.name} was fitted on {fitted['items']:,} items of {fitted['name']}, the split has "
            f"{len(over.data.items):,} of {over.data.name}; use the same data and filters"
        )
    seconds = model.manifest.get("fit_seconds")
    report = measure(model.model, over, config, rng=np.random.default_rng(seed), fit_seconds=seconds)
    return (
        over_seeds([report], [model.manifest["seed"]], np.random.default_rng(seed))
        if _fitted_on(model, over)
        else report
    )


def _fitted_on(model: Artefact, over: Split) -> bool:
    """Whether a model was fitted on a split's own training part, so that its seed is all that a copy may differ by."""
    about = {**over.config.model_dump(mode="json", exclude={"repeats"}), **over.sizes()}  # it decides about no split
    fitted = model.manifest.get("split") or {}
    same_data = model.manifest["data"]["fingerprint"] == over.data.fingerprint
    return same_data and about.items() <= fitted.items() and "seed" in model.manifest


def quality(report: Report) -> dict[str, Any]:
    """The part of a report that an artefact saves: metrics, and the split and users they were measured on."""
    found = report.to_json()
    return {
        "metrics": found["metrics"],
        "measured": {"on": found["evaluation"]["on"], "users": report.users, "split": found["split"]},
    }


def compare(
    models: Sequence[Fittable],
    over: Split,
    metric: str = "ndcg@10",
    k: int | Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: object,
) -> Comparison:
    """Evaluate several models on one split, and compare each with the best, paired by user.

    models, k and settings: as in `evaluate`; models that are not fitted yet are fitted with this seed.
    """
    over = require_split(over, "mt.compare(models, {})")
    if isinstance(models, str | Path | Artefact | Recommender):
        raise MatineeError("compare takes a list of models; write mt.compare([one, other], split)")
    if isinstance(models, Mapping):
        raise MatineeError(
            "compare takes a list, which it names itself; write mt.compare(list(models.values()), split)"
        )
    if "seeds" in settings:
        raise MatineeError("seeds has no effect here: a comparison has one seed; write seed=3, or compare once a seed")
    reports = [evaluate(model, over, k, seed=seed, **settings) for model in models]
    return compare_reports(reports, metric, rng=np.random.default_rng(seed))

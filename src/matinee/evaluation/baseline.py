"""A model against popularity: nobody needs one that is below it."""

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.evaluation.comparison import compare
from matinee.evaluation.evaluate import evaluate
from matinee.evaluation.report import Report
from matinee.models import create
from matinee.training.run import Run

FEWEST_USERS = 50
"""With fewer, a model may be below by chance."""


def below_popularity(report: Report, split: Split, config: EvaluationConfig, *, seed: int) -> str | None:
    """A sentence if a report's model is significantly below popularity in NDCG, paired by user; None otherwise.

    config: how the report was measured.
    """
    if report.model == "popularity" or report.users < FEWEST_USERS:
        return None
    metric = f"ndcg@{10 if 10 in config.k else config.k[0]}"
    baseline = _popularity(split, config, seed)
    mine, its = (each.metrics[metric].mean for each in (report, baseline))
    if not mine < its:
        return None
    same = replace(report, evaluation=baseline.evaluation)
    verdict = compare([same, baseline], metric, rng=np.random.default_rng(seed), samples=1000).rows[1].verdict
    if verdict != "worse":
        return None
    return (
        f"{report.model} is below popularity on {config.on}: {metric} {mine:.4f} against {its:.4f}; its settings "
        f"do not suit these data, and `matinee tune {report.model}` finds better ones"
    )


_MEASURED: WeakKeyDictionary[Split, dict[tuple[EvaluationConfig, int], Report]] = WeakKeyDictionary()
"""Popularity's reports of the splits in use: the models of a comparison are all compared with the same one."""


def _popularity(split: Split, config: EvaluationConfig, seed: int) -> Report:
    """The report of popularity, without intervals that anybody reads; measured once for each split and config."""
    plain = config.model_copy(update={"samples": 100, "rebuild_graph": False, "explanations": False})
    measured = _MEASURED.setdefault(split, {})
    if (plain, seed) not in measured:
        popularity = create("popularity").fit(split.training(config.refit), Run.seeded(seed))
        measured[plain, seed] = evaluate(popularity, split, plain, rng=np.random.default_rng(seed))
    return measured[plain, seed]

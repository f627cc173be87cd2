"""One report from the fits of a model with several seeds, on one split."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from matinee.arrays import FloatArray
from matinee.evaluation.bootstrap import Interval, draw_means, percentiles
from matinee.evaluation.cross_validation import mean_per_user
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.moderated import VariancePrior
from matinee.evaluation.report import Report
from matinee.evaluation.segments import Segment

UNKNOWN = VariancePrior()
"""Nothing is known of other models."""


def over_seeds(reports: Sequence[Report], seeds: Sequence[int], rng: np.random.Generator) -> Report:
    """One report over seeds: a user's value is the mean over the fits, and so are segments, times and sizes.

    Intervals cover users and seeds: to the mean of each resample of users comes the error of the mean over seeds (see
    seed_noise). Coverage and Gini and the bounds of their intervals are means over the fits. A single report comes back
    with its seed noted.
    """
    first, users = reports[0], reports[0].user_rows
    rows = tuple(_row(report, seed) for report, seed in zip(reports, seeds, strict=True))
    if len(reports) == 1:
        return replace(first, seeds=rows)
    per_user = {name: mean_per_user(reports, name, users) for name in first.per_user}
    return replace(
        first,
        seeds=rows,
        per_user=per_user,
        metrics=_intervals(reports, per_user, rng),
        segments=_mean_segments([report.segments for report in reports]),
        fit_seconds=_mean([report.fit_seconds for report in reports]),
        rank_seconds=float(np.mean([report.rank_seconds for report in reports])),
        peak_memory_mb=max(report.peak_memory_mb or 0.0 for report in reports),
    )


def seed_noise(
    report: Report, metric: str, samples: int, rng: np.random.Generator, beside: Sequence[Report] = ()
) -> FloatArray:
    """Errors of a mean over S fits with different seeds: the standard error times Student's t. [R].

    beside: the reports of a comparison. Three fits say little of a variance, so it is moderated by those of all models
    with several fits (see VariancePrior), whose degrees of freedom come to its own S - 1. A single fit takes the
    deviation from the single fits of the same model, settings and split whose seed is known to be another: they differ
    from it by their seeds alone. 0 for a single fit without one, of which nothing is known, and for a model that draws
    nothing at random.
    """
    if len(report.seeds) > 1:
        return _noise(_of_seeds(report, metric), samples, rng, _prior(beside, metric))
    if not report.seeds:
        return np.zeros(samples)
    same = [other for other in beside if len(other.seeds) == 1 and _setup(other) == _setup(report)]
    copies = {other.seeds[0]["seed"]: other.metrics[metric].mean for other in same}
    return np.asarray(_noise(list(copies.values()), samples, rng) * len(copies) ** 0.5)  # of one fit, not of their mean


def _of_seeds(report: Report, metric: str) -> list[float]:
    return [row["metrics"][metric] for row in report.seeds]


def _prior(reports: Sequence[Report], metric: str) -> VariancePrior:
    """How the variances over seeds of the models with several fits are distributed."""
    found = [values for report in reports if len(values := _of_seeds(report, metric)) > 1]
    known = [values for values in found if np.isfinite(values).all()]
    return VariancePrior.of([float(np.var(each, ddof=1)) for each in known], [len(each) - 1 for each in known])


def _setup(report: Report) -> tuple[object, ...]:
    """All that a report's result depends on, but the seed of the fit."""
    kept = {key: report.evaluation.get(key) for key in ("inputs", "refit", "rerank", "rebuild_graph")}
    return report.model, report.config, report.value_map, kept, report.split


def _noise(
    values: Sequence[float], samples: int, rng: np.random.Generator, prior: VariancePrior = UNKNOWN
) -> FloatArray:
    if len(values) < 2 or min(values) == max(values) or not np.isfinite(values).all():
        return np.zeros(samples)
    variance, degrees = prior.moderate(float(np.var(values, ddof=1)), len(values) - 1)
    return np.asarray((variance / len(values)) ** 0.5 * rng.standard_t(degrees, size=samples))


def _row(report: Report, seed: int) -> dict[str, Any]:
    means = {name: interval.mean for name, interval in report.metrics.items()}
    return {"seed": seed, "fit_seconds": report.fit_seconds, "metrics": means}


def _intervals(
    reports: Sequence[Report], per_user: dict[str, PerUser], rng: np.random.Generator
) -> dict[str, Interval]:
    first = reports[0]
    samples, measured = first.evaluation["samples"], list(per_user.values())
    draws = draw_means(measured, len(first.user_rows), samples, rng)
    found: dict[str, Interval] = {}
    for (name, each), draw in zip(per_user.items(), draws.T, strict=True):
        noise = _noise([report.metrics[name].mean for report in reports], samples, rng)
        found[name] = percentiles(each.mean, draw + noise)
    for name in first.metrics.keys() - found.keys():
        ends = ([getattr(report.metrics[name], end) for report in reports] for end in ("mean", "low", "high"))
        found[name] = Interval(*(float(np.mean(values)) for values in ends))
    return {name: found[name] for name in first.metrics}


def _mean_segments(of_seeds: Sequence[Sequence[Segment]]) -> tuple[Segment, ...]:
    """Each segment with its metrics' means over the fits: users and targets are the same for all."""
    return tuple(
        replace(
            same[0], metrics={name: float(np.mean([each.metrics[name] for each in same])) for name in same[0].metrics}
        )
        for same in zip(*of_seeds, strict=True)
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

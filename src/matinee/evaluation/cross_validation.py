"""Cross-validation, by folds or by repeated random splits: one report from those of all of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matinee.evaluation.bootstrap import Interval, draw_means, percentiles
from matinee.evaluation.liking import count_users
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.report import Report


def pooled(reports: Sequence[Report], rng: np.random.Generator) -> Report:
    """One report over all folds or repeated splits: a user's value is the mean over those in which they have targets.

    Intervals are over users. Coverage and Gini have no value per user: they and the bounds of their intervals are means
    over the folds. Times are summed, sizes of the parts averaged, segments and calibration omitted.
    """
    users = np.unique(np.concatenate([report.user_rows for report in reports]))
    first = reports[0]
    per_user = {name: mean_per_user(reports, name, users) for name in first.per_user}
    measured = list(per_user.values())
    samples = first.evaluation["samples"]
    draws = draw_means(measured, len(users), samples, rng)
    metrics = {name: percentiles(each.mean, draw) for (name, each), draw in zip(per_user.items(), draws.T, strict=True)}
    for name in first.metrics.keys() - metrics.keys():
        of_folds = [report.metrics[name] for report in reports]
        metrics[name] = Interval(
            *(float(np.mean([getattr(f, end) for f in of_folds])) for end in ("mean", "low", "high"))
        )
    sizes = {
        part: round(float(np.mean([report.split[part] for report in reports]))) for part in ("train", "valid", "test")
    }
    return replace(
        first,
        split=first.split | sizes | ({"fold": None} if "fold" in first.split else {"repeats": len(reports)}),
        metrics={name: metrics[name] for name in first.metrics},
        users=len(users),
        users_without_targets=first.users + first.users_without_targets - len(users),
        targets=sum(report.targets for report in reports),
        targets_seen_before=sum(report.targets_seen_before for report in reports),
        targets_below=sum(report.targets_below for report in reports),
        liking=first.liking and first.liking | {"users": count_users(per_user)},
        rank_seconds=sum(report.rank_seconds for report in reports),
        fit_seconds=sum(report.fit_seconds or 0 for report in reports),
        peak_memory_mb=max(report.peak_memory_mb or 0 for report in reports),
        calibration=(),
        segments=(),
        user_rows=users,
        per_user=per_user,
    )


def mean_per_user(reports: Sequence[Report], name: str, users: np.ndarray) -> PerUser:
    """A metric per user, the weighted mean over reports of the same model: of folds or of seeds."""
    numerators, weights = np.zeros(len(users)), np.zeros(len(users))
    for report in reports:
        indices = np.searchsorted(users, report.user_rows)
        sums = report.per_user[name].sums
        numerators[indices] += sums[0]
        weights[indices] += sums[1]
    values = np.divide(numerators, weights, out=np.full(len(users), np.nan), where=weights > 0)
    return PerUser(values, weights, reports[0].per_user[name].root)

"""compare(): which model is best, and which of the others are significantly worse."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from matinee import elsewhere
from matinee.errors import MatineeError, did_you_mean
from matinee.evaluation.bootstrap import Interval, draw_means, percentiles
from matinee.evaluation.metrics import LOWER_IS_BETTER, OF_ALL_LISTS, parse_metric
from matinee.evaluation.report import Report, format_interval
from matinee.evaluation.seeds import seed_noise
from matinee.evaluation.significance import differing, holm, paired_p, permutation_p, tied_groups
from matinee.shown import Framed, Overview, Plotted, Shown

SAME = ("predict", "repeat", "mask", "candidates", "relevant_from", "liked_from", "disliked_to")
"""Settings of an evaluation that decide about its targets."""
Verdict = Literal["best", "tied", "worse"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One model of a comparison.

    difference: from the best, paired by user, with its interval; 0 for the best itself, and below 0 is worse in every
    metric. p: two-sided p-value of the difference, by the bootstrap over users, and over seeds where there are several;
    p_permutation: by exchanging the two models at random, user by user; adjusted: after Holm's correction. group:
    letters; two models that share one do not differ (all pairs at once, see differing).
    """

    label: str
    score: Interval
    difference: Interval
    p: float
    p_adjusted: float
    verdict: Verdict
    p_permutation: float = 1.0
    p_permutation_adjusted: float = 1.0
    group: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown, Framed, Plotted):
    """Models ordered by a metric, best first. Reports are in the order of rows."""

    other_names = elsewhere.COMPARISON

    metric: str
    users: int
    alpha: float
    samples: int
    rows: tuple[Compared, ...]
    reports: tuple[Report, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Compared]:
        return iter(self.rows)

    def __getitem__(self, row: int | str) -> Compared:
        """A model by its place or its label. Raises MatineeError with the closest label if there is none."""
        if not isinstance(row, str):
            return self.rows[row]
        named = {each.label: each for each in self.rows}
        if row not in named:
            raise MatineeError(f"no model {row!r} was compared{did_you_mean(row, named)}")
        return named[row]

    def overview(self) -> Overview:
        """See Shown."""
        first = self.reports[0]
        headline = (
            f"{len(self.rows)} models on {first.data['name']}, {first.evaluation['on']} of split "
            f"{first.split['method']}{', sampled candidates' if first.candidates else ''}: {self.users:,} users, paired"
        )
        head = ("model", self.metric, "difference", "p (Holm)", "verdict")
        rows = [
            (
                row.label,
                format_interval(row.score, self.metric),
                "" if row.verdict == "best" else f"{row.difference.mean:+.4f}",
                "" if row.verdict == "best" else format_p(row.p_adjusted),
                row.verdict,
            )
            for row in self.rows
        ]
        return Overview(headline, [head, *rows], first.notes(), "comparison.to_frame()", "models")

    def to_frame(self) -> pl.DataFrame:
        """One row a model, best first: its score, its difference from the best, their 95% intervals, p and verdict."""
        return pl.DataFrame(
            {
                "model": row.label,
                "metric": self.metric,
                "score": row.score.mean,
                "score_low": row.score.low,
                "score_high": row.score.high,
                "difference": row.difference.mean,
                "difference_low": row.difference.low,
                "difference_high": row.difference.high,
                "p": row.p,
                "p_adjusted": row.p_adjusted,
                "verdict": row.verdict,
                "fit_seconds": report.fit_seconds,
            }
            for row, report in zip(self.rows, self.reports, strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        """The verdicts and each model's full report, in plain Python types."""
        return {
            "metric": self.metric,
            "users": self.users,
            "alpha": self.alpha,
            "samples": self.samples,
            "models": [asdict(row) for row in self.rows],
            "reports": [report.to_json() for report in self.reports],
        }


def compare(
    reports: Sequence[Report],
    metric: str = "ndcg@10",
    *,
    rng: np.random.Generator,
    samples: int = 10_000,
    alpha: float = 0.05,
) -> Comparison:
    """Compare models user by user with the best of them.

    The best model has the best mean. Every other model's difference from it gets a paired bootstrap interval and a
    two-sided p-value (see paired_p), all from the same resamples, to which the error of a mean over seeds is added (see
    seed_noise), and a second p-value by permutation. A model is "worse" if both p-values are at most alpha after Holm's
    correction, else "tied".
    Raises MatineeError for no reports, for reports on different data, splits or users, and for a metric that was not
    measured or has no value per user.
    """
    _require_comparable(reports, metric)
    sign = -1.0 if parse_metric(metric)[0] in LOWER_IS_BETTER else 1.0
    measured = [report.per_user[metric] for report in reports]
    means = np.array([sign * values.mean for values in measured])
    order = np.argsort(-means, kind="stable").tolist()
    best = order[0]
    n_users = len(reports[0].user_rows)
    draws = draw_means(measured, n_users, samples, rng)
    draws += np.column_stack([seed_noise(report, metric, samples, rng, reports) for report in reports])
    draws *= sign
    differences = draws - draws[:, [best]]  # [R, models]
    others = order[1:]
    p = np.column_stack([paired_p(differences), permutation_p(measured, best, samples, rng)])[others]  # [M - 1, 2]
    adjusted = np.column_stack([holm(column) for column in p.T])
    groups = tied_groups(differing(draws[:, order], alpha))
    names = labels(reports)
    rows = [
        Compared(names[best], reports[best].metrics[metric], Interval(0.0, 0.0, 0.0), 1.0, 1.0, "best", group=groups[0])
    ]
    for model, each, both, group in zip(others, p.tolist(), adjusted.tolist(), groups[1:], strict=True):
        gap = percentiles(float(means[model] - means[best]), differences[:, model])
        verdict: Verdict = "worse" if max(both) <= alpha else "tied"
        score = reports[model].metrics[metric]
        rows.append(Compared(names[model], score, gap, each[0], both[0], verdict, each[1], both[1], group))
    return Comparison(metric, n_users, alpha, samples, tuple(rows), tuple(reports[index] for index in order))


def labels(reports: Sequence[Report]) -> list[str]:
    """A label for each report: the model's name, with the settings that differ between reports of that model.

    Reports that have the same label, such as an artefact and its own model fitted again, are numbered in their order.
    """
    named: list[str] = []
    for report in reports:
        same = [other for other in reports if other.model == report.model]
        facts = [_facts(other) for other in same]
        own = _facts(report)
        keys = [key for key in own if any(other.get(key) != own[key] for other in facts)]
        differing = ", ".join(f"{key}={_short(own[key])}" for key in keys)
        named.append(f"{report.model} ({differing})" if differing else report.model)
    return [
        f"{label} #{named[: index + 1].count(label)}" if named.count(label) > 1 else label
        for index, label in enumerate(named)
    ]


def _facts(report: Report) -> dict[str, Any]:
    """Everything in which two reports of one model may differ."""
    return report.config | {key: report.evaluation[key] for key in ("inputs", "refit")}


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def format_p(p: float) -> str:
    """`0.031`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _require_comparable(reports: Sequence[Report], metric: str) -> None:
    if not reports:
        raise MatineeError("no reports to compare; pass those of two or more models")
    base, _ = parse_metric(metric)
    if base in OF_ALL_LISTS:
        raise MatineeError(f"{metric} has no value per user; compare by one that has, such as 'ndcg@10'")
    first = reports[0]
    for report in reports:
        if metric not in report.per_user:
            raise MatineeError(f"{report.model} was not measured by {metric!r}{did_you_mean(metric, report.per_user)}")
        if np.isnan(report.per_user[metric].mean):
            raise MatineeError(f"{metric} has no value for any user of this split; compare by another metric")
        for part, same in (
            ("data", report.data["fingerprint"] == first.data["fingerprint"]),
            ("splits", report.split == first.split),
            ("targets", all(report.evaluation.get(key) == first.evaluation.get(key) for key in SAME)),
        ):
            if not same:
                raise MatineeError(
                    f"{first.model} and {report.model} were measured on different {part}; "
                    f"evaluate both with the same --data, filters and --split"
                )
        if report.evaluation["on"] != first.evaluation["on"] or not np.array_equal(report.user_rows, first.user_rows):
            raise MatineeError(
                f"{first.model} and {report.model} were measured on different users; evaluate both with the same --on"
            )

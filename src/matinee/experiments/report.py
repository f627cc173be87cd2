"""What came of an experiment: visitors, lists, what they took and how they rated it, by arm, with a stopping rule.

A visitor counts once the day after the first list is over, so that what is counted never changes and the intervals hold
at every moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from matinee.arrays import FloatArray
from matinee.errors import UsageError, did_you_mean
from matinee.experiments.plan import BEGINNING, shares_in
from matinee.experiments.sequential import ArmSample, Difference, WinTest, compare, compare_wins, sample_ratio
from matinee.histories import Instant
from matinee.store.database import SqlDatabase
from matinee.store.experiments import Visit, experiments_of, models_of, picks_of, visits_of
from matinee.store.protocols import BOTH

DAY = 86_400
ALPHA = 0.05
MISMATCH = 0.001
"""The p of the visitors' shares from which on nothing is called."""
Metric = Literal["took", "click_through", "rating"]
METRICS: dict[Metric, str] = {
    "took": "share of visitors who took an item from a list (clicked, rated, watched, ...)",
    "click_through": "share of a visitor's lists from which they took an item, mean over visitors",
    "rating": "mean of a visitor's stars for items of the lists, mean over visitors who gave any",
}
DECIDES: Metric = "took"
"""The metric that the stopping rule looks at; the others are for information."""


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm. visitors: counted; waiting: whose day is not over; lists: displayed to the counted; metrics: by name."""

    model: str
    visitors: int
    waiting: int
    lists: int
    metrics: Mapping[Metric, ArmSample]


@dataclass(frozen=True, slots=True)
class Versus:
    """An arm against the first one. differences: by metric, this arm minus the first."""

    model: str
    differences: Mapping[Metric, Difference]


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What came of a split. ratio_p: that the visitors came in their shares, None where these are not known."""

    name: str
    arms: tuple[Arm, ...]
    versus: tuple[Versus, ...]
    ratio_p: float | None
    crossed: int
    """Visitors who also saw lists of another arm, since they signed up or in; they count in their first one."""

    @property
    def is_mismatched(self) -> bool:
        """Whether the arms' visitors contradict their shares, so that nothing is called."""
        return self.ratio_p is not None and self.ratio_p < MISMATCH

    @property
    def may_stop(self) -> bool:
        """Whether every arm differs from the first, by the metric that decides."""
        called = [one.differences[DECIDES].verdict in ("first", "second") for one in self.versus]
        return bool(called) and all(called) and not self.is_mismatched


@dataclass(frozen=True, slots=True)
class InterleavedReport:
    """What came of an interleaving. lists of both models; test: of the visitors who took more from one side."""

    name: str
    models: tuple[str, str]
    visitors: int
    waiting: int
    picks: tuple[int, int]
    test: WinTest

    @property
    def may_stop(self) -> bool:
        """Whether one model's picks are preferred."""
        return self.test.verdict in ("first", "second")


Report = SplitReport | InterleavedReport


def report_of(database: SqlDatabase, now: Instant, name: str | None = None, seconds: int = DAY) -> Report | None:
    """The report of an experiment, of the last one by default; None if the log has none.

    name: whole, or what it begins with. seconds: from the first list, in which counts what a visitor does. Raises
    UsageError for an unknown name.
    """
    known = [one.name for one in experiments_of(database)]
    if not known:
        return None
    named = [one for one in known if name is None or one == name or one.startswith(name + BEGINNING)]
    if not named:
        raise UsageError(f"the log of lists has no experiment {name!r}{did_you_mean(name or '', known)}")
    name = named[0]
    models = models_of(database, name)
    if len(models) == 1 and BOTH in models[0]:
        first, second = models[0].split(BOTH)
        return _interleaved(database, name, (first, second), now - seconds, seconds)
    return split_report(name, visits_of(database, name, seconds), now - seconds, shares_in(name))


def split_report(name: str, visits: Sequence[Visit], until: Instant, shares: Mapping[str, float] | None) -> SplitReport:
    """The report from what the visitors did.

    until: visitors count whose first list is not after it; shares: of the arms, in their order.
    """
    of_arms = {
        model: [one for one in visits if one.arm == model] for model in (shares or sorted({v.arm for v in visits}))
    }
    first_visits = {model: [one for one in found if one.is_first] for model, found in of_arms.items()}
    arms = tuple(_arm(model, found, until) for model, found in first_visits.items())
    versus = tuple(
        Versus(arm.model, {metric: _difference(arms[0], arm, metric, len(arms) - 1) for metric in METRICS})
        for arm in arms[1:]
    )
    ratio = None
    if shares and len(shares) == len(arms) > 1:
        ratio = sample_ratio([len(found) for found in first_visits.values()], [shares[arm.model] for arm in arms])
    crossed = len({one.user_id for one in visits if not one.is_first})
    return SplitReport(name, arms, versus, ratio, crossed)


def _arm(model: str, visits: Sequence[Visit], until: Instant) -> Arm:
    counted = [one for one in visits if one.first <= until]
    took = np.array([one.n_taken > 0 for one in counted], dtype=np.float64)
    through = np.array([one.n_taken / one.n_lists for one in counted], dtype=np.float64)
    rating = np.array([one.rating for one in counted if one.rating is not None], dtype=np.float64)
    samples: dict[Metric, FloatArray] = {"took": took, "click_through": through, "rating": rating}
    metrics = {metric: ArmSample.of(values) for metric, values in samples.items()}
    return Arm(model, len(counted), len(visits) - len(counted), sum(one.n_lists for one in counted), metrics)


def _difference(first: Arm, second: Arm, metric: Metric, n_tests: int) -> Difference:
    alpha = ALPHA / n_tests  # Bonferroni's correction over the arms
    return compare(first.metrics[metric], second.metrics[metric], is_share=metric == "took", alpha=alpha)


def _interleaved(
    database: SqlDatabase, name: str, models: tuple[str, str], until: Instant, seconds: int
) -> InterleavedReport:
    seen, picks = picks_of(database, name, seconds)
    counted = {user_id for user_id, at in seen.items() if at <= until}
    balance: dict[str, int] = {}
    sides = [0, 0]
    for pick in picks:
        if pick.user_id in counted:
            sides[pick.side == "b"] += 1
            balance[pick.user_id] = balance.get(pick.user_id, 0) + (1 if pick.side == "b" else -1)
    wins = [sum(each < 0 for each in balance.values()), sum(each > 0 for each in balance.values())]
    test = compare_wins(wins[0], wins[1], alpha=ALPHA)
    return InterleavedReport(name, models, len(counted), len(seen) - len(counted), (sides[0], sides[1]), test)


def as_json(report: Report) -> dict[str, Any]:
    """The report, ready for JSON."""
    kind = "interleaving" if isinstance(report, InterleavedReport) else "split"
    about = {"kind": kind} | asdict(report) | {"may_stop": report.may_stop}
    if isinstance(report, SplitReport):
        about |= {"decides": DECIDES, "alpha": ALPHA, "is_mismatched": report.is_mismatched}
    return about

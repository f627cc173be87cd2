"""Whether advice holds: the first models that it names, each tuned shortly on valid, compared at test."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.data.splits import Split
from matinee.errors import MatineeError
from matinee.evaluation.comparison import Compared, Comparison, compare
from matinee.experiment import Experiment
from matinee.extras import require
from matinee.shown import Overview, Shown
from matinee.workflow.advising import Advice
from matinee.workflow.comparing import Course, measure_all
from matinee.workflow.planned_fits import PlannedFit

FIRST = 3
"""Models that are checked, beside popularity."""
BASELINE = "popularity"
METRIC = "ndcg@10"


@dataclass(frozen=True, eq=False, repr=False)
class AdviceCheck(Shown):
    """What became of the first models of an advice.

    advised: those that were measured, in the order of the advice; comparison: of these and popularity, at test, paired
    by user; found: the settings that a search on valid chose for each; problems: a sentence for each fit that failed.
    """

    advised: tuple[str, ...]
    comparison: Comparison
    found: dict[str, dict[str, Any]]
    problems: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether no other model is significantly better than the first, and popularity is significantly worse."""
        first, popularity = self._row(self.advised[0]), self._row(BASELINE)
        return first.verdict != "worse" and popularity.verdict == "worse"

    def sentence(self) -> str:
        """What was found, and what follows from it."""
        best, first = self.comparison.rows[0], self._row(self.advised[0])
        score = f"{first.score.mean:.4f}"
        tied = [row.label for row in self.comparison.rows if row.verdict != "worse" and row.label != first.label]
        if self.held:
            beside = f", tied with {', '.join(tied)}" if tied else ", significantly better than the others"
            return f"the advice held: {first.label} has {METRIC} {score} at test{beside}"
        if first.verdict == "worse":
            return (
                f"the advice did not hold: {best.label} has {METRIC} {best.score.mean:.4f} at test, "
                f"significantly more than {first.label} ({score}); take {best.label}"
            )
        return (
            f"the advice did not hold: {first.label} ({METRIC} {score} at test) is not significantly better than "
            f"popularity ({self._row(BASELINE).score.mean:.4f}); the log is too small, or little in it is personal"
        )

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "held": self.held,
            "sentence": self.sentence(),
            "advised": list(self.advised),
            "settings": self.found,
            "problems": list(self.problems),
            "comparison": self.comparison.to_json(),
        }

    def overview(self) -> Overview:
        """See Shown."""
        return replace(self.comparison.overview(), notes=(self.sentence(), *self.problems))

    def _row(self, label: str) -> Compared:
        """The row of a model in the comparison, where it may be labelled with its settings."""
        place = [report.model for report in self.comparison.reports].index(label)
        return self.comparison.rows[place]


def check_advice(
    advice: Advice,
    split: Split,
    *,
    seconds: float = 60.0,
    experiment: Experiment | None = None,
    course: Course | None = None,
) -> AdviceCheck:
    """Tune the first three models of an advice that can be fitted, and popularity, each shortly on valid; compare.

    split: with valid and test parts; seconds: after which a model's search tries no further settings; experiment: its
    values, evaluation and machine count; course: how the fits run. Raises MatineeError if fewer than two are measured.
    """
    require("optuna", "an advice is checked with settings that a search proposes by optuna")
    advised = [name for name in advice.models if name != BASELINE][:FIRST]
    if not advised:
        raise MatineeError(f"nothing to check on {advice.data}: the advice names no model beside popularity")
    common, seed = experiment or Experiment(), split.config.seed
    planned = [
        PlannedFit(
            name,
            common.model_copy(update={"model": name, "settings": {}, "split": split.config}),
            seed,
            tuned=True,
            search_seconds=seconds,
        )
        for name in (*advised, BASELINE)
    ]
    results = measure_all(planned, [seed], split, course or Course())
    problems = [f"{result.planned.label}: {text}" for result in results for text in result.problems]
    rng = np.random.default_rng(seed)
    reports = [report for result in results if (report := result.report([seed], rng)) is not None]
    measured = [report.model for report in reports]
    if len(reports) < 2 or BASELINE not in measured:
        raise MatineeError(f"the advice for {advice.data} cannot be checked: {'; '.join(problems)}")
    found = {result.planned.label: dict(result.settings) for result in results if result.settings is not None}
    comparison = compare(reports, METRIC, rng=np.random.default_rng(seed))
    return AdviceCheck(tuple(name for name in advised if name in measured), comparison, found, tuple(problems))

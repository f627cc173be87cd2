"""The result of a comparison as its JSON has it: what every format of the report is made from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from matinee.errors import MatineeError
from matinee.evaluation.metrics import parse_metric

NAMES = {"ndcg": "NDCG", "map": "MAP", "mrr": "MRR", "rmse": "RMSE", "mae": "MAE", "map-capped": "MAP (capped)"}
REQUIRED = ("metric", "users", "models", "reports")


@dataclass(frozen=True, slots=True)
class Result:
    """A comparison, from the JSON of `matinee compare`. Models are in the order of the deciding metric, best first."""

    raw: dict[str, Any]

    @property
    def metric(self) -> str:
        """The deciding metric."""
        return str(self.raw["metric"])

    @property
    def models(self) -> list[dict[str, Any]]:
        """Scores and verdicts, one for each model."""
        return list(self.raw["models"])

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What was measured, in the order of `models`."""
        return list(self.raw["reports"])

    @property
    def labels(self) -> list[str]:
        """What the models are called."""
        return [str(row["label"]) for row in self.models]

    @property
    def k(self) -> int:
        """The list length of the deciding metric; 10 or the longest where it has none."""
        k = parse_metric(self.metric)[1]
        return k or (10 if 10 in self.ks else self.ks[-1])

    @property
    def ks(self) -> list[int]:
        """The list lengths that were measured."""
        return sorted(self.reports[0]["evaluation"]["k"])

    @property
    def first(self) -> dict[str, Any]:
        """The best model's report: data, split and evaluation are the same for all."""
        return self.reports[0]

    def interval(self, model: int, metric: str) -> tuple[float, float, float] | None:
        """Value, low and high of a metric; None where it has no value."""
        found = self.reports[model]["metrics"].get(metric)
        if found is None or found["mean"] is None:
            return None
        value = float(found["mean"])
        low, high = (value if found[end] is None else float(found[end]) for end in ("low", "high"))
        return value, low, high

    def value(self, model: int, metric: str) -> float | None:
        """Value of a metric; None where it has none."""
        found = self.interval(model, metric)
        return None if found is None else found[0]

    def segments(self, model: int, by: str) -> list[dict[str, Any]]:
        """The segments of one division, such as `era`."""
        return [segment for segment in self.reports[model]["segments"] if segment.get("by", "activity") == by]

    def measured(self, bases: Sequence[str]) -> list[str]:
        """Those of some metrics that were measured, at `k` where they have a list length."""
        names = [name for base in bases for name in (f"{base}@{self.k}", base)]
        return [name for name in names if self.value(0, name) is not None]


def read_result(path: Path) -> Result:
    """Read the JSON of a comparison. Raises MatineeError if it is missing or something else."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MatineeError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise MatineeError(f"{path} is not JSON; write one with `matinee compare ... --report result.json`") from None
    problem = _problem(raw)
    if problem:
        raise MatineeError(
            f"{path} is not the result of a comparison: {problem}; write one with "
            "`matinee compare ... --report result.json`"
        )
    return Result(raw)


def _problem(raw: object) -> str | None:
    """What the JSON of a comparison lacks."""
    if not isinstance(raw, dict):
        return "it is not an object"
    missing = [name for name in REQUIRED if name not in raw]
    if missing:
        return f"it has no {missing[0]!r}"
    models, reports = raw["models"], raw["reports"]
    if not isinstance(models, list) or not isinstance(reports, list) or not models or len(models) != len(reports):
        return "its models and reports are not lists of one length"
    for row, report in zip(models, reports, strict=True):
        for name, part, fields in (
            ("models", row, ("label", "score", "difference", "verdict")),
            ("reports", report, ("metrics", "data", "split", "evaluation", "segments")),
        ):
            lacking = [field for field in fields if not isinstance(part, dict) or field not in part]
            if lacking:
                return f"one of its {name} has no {lacking[0]!r}"
    try:
        parse_metric(str(raw["metric"]))
    except MatineeError as error:
        return str(error)
    return None


def metric_name(metric: str) -> str:
    """`ndcg@10` -> `NDCG@10`, `hit-rate@5` -> `Hit rate@5`."""
    base, at, k = metric.partition("@")
    name = NAMES.get(base, base.replace("-", " ").capitalize().replace("ndcg", "NDCG"))
    return f"{name}{at}{k}"


def number(value: float | None, digits: int = 4) -> str:
    """A number with a fixed number of digits; a dash for none."""
    return "–" if value is None or not isfinite(value) else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """`1.2 ms`, `0.4 s`, `12 s`, `3.5 min`, `2.1 h`."""
    if value is None:
        return "–"
    if value < 0.0995:
        return f"{value * 1000:.2g} ms"
    if value < 99.5:
        return f"{value:.2g} s"
    return f"{value / 60:.1f} min" if value < 5970 else f"{value / 3600:.1f} h"

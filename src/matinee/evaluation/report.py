"""Report: what was measured, on what and how; as JSON, text and HTML."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from math import isfinite
from typing import Any

import numpy as np
import polars as pl

from matinee import elsewhere
from matinee.arrays import IntArray
from matinee.config import Rerank, ValuesConfig
from matinee.data.split_settings import settings_of
from matinee.data.splits import Split
from matinee.elsewhere import metric_hint
from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Interval
from matinee.evaluation.explanations import ExplanationTest
from matinee.evaluation.metrics import PerUser, parse_metric
from matinee.evaluation.predicted_values import CalibrationBin
from matinee.evaluation.segments import Segment
from matinee.shown import Framed, Overview, Plotted, Shown

HEADLINERS = ("ndcg", "recall", "hit-rate", "precision", "mrr", "map", "coverage", "rmse", "mae")
"""Metrics that are shown first."""


@dataclass(frozen=True, eq=False, repr=False)
class Report(Shown, Framed, Plotted):
    """What was measured, on what, and how. Times in seconds, memory in MB (10^6 bytes).

    value_map: how the events of histories weigh.

    users: number of users in the means; users_without_targets: all other users of the data; targets_seen_before:
    targets left out because their user already had the item; targets_below: targets that are not relevant because of
    their value; candidates: of which lists are made, a file's or drawn, and what it leaves out; liking: the scale
    of the ratings, what counts as liked and disliked, and how many users have such a target, None without ratings;
    calibration: predicted values against actual ones; explanations: whether reasons hold, if asked for; curves: metrics
    of each epoch of training; seeds: seed, seconds and metrics of each fit, if there are several; cost: what else the
    model costs (see evaluation/cost.py); unseen: what users lose who are not trained on, if asked for; read_notes: what
    reading, filtering and splitting took and changed, `notes` in the JSON. user_rows [B] and per_user (name -> a value
    per user) are for paired tests and not in the JSON.
    """

    other_names = elsewhere.REPORT

    model: str
    config: dict[str, Any]
    data: dict[str, Any]
    split: dict[str, Any]
    evaluation: dict[str, Any]
    value_map: dict[str, Any]
    metrics: dict[str, Interval]
    users: int
    users_without_targets: int
    targets: int
    targets_seen_before: int
    rank_seconds: float
    fit_seconds: float | None = None
    peak_memory_mb: float | None = None
    targets_below: int = 0
    candidates: dict[str, Any] | None = None
    liking: dict[str, Any] | None = None
    calibration: tuple[CalibrationBin, ...] = ()
    segments: tuple[Segment, ...] = ()
    explanations: ExplanationTest | None = None
    curves: tuple[dict[str, float], ...] = ()
    seeds: tuple[dict[str, Any], ...] = ()
    cost: dict[str, float] = field(default_factory=dict)
    unseen: dict[str, Any] | None = None
    read_notes: tuple[str, ...] = ()
    user_rows: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32), repr=False)
    per_user: dict[str, PerUser] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dict without per-user values; NaN becomes null."""
        left_out = ("user_rows", "per_user", "read_notes")
        fields = {name: value for name, value in vars(self).items() if name not in left_out}
        fields["notes"] = list(self.read_notes)
        fields["metrics"] = {name: asdict(interval) for name, interval in self.metrics.items()}
        fields["calibration"] = [asdict(each) for each in self.calibration]
        fields["segments"] = [asdict(segment) for segment in self.segments]
        fields["explanations"] = self.explanations and self.explanations.to_json()
        plain: dict[str, Any] = _plain(fields)
        return plain

    def grid(self) -> tuple[list[int], dict[str, list[Interval | None]]]:
        """The metrics as a table: list lengths, and metric -> one interval per length.

        A metric without a list length has a single interval, the first.
        """
        parsed = {name: parse_metric(name) for name in self.metrics}
        ks = sorted({k for _, k in parsed.values() if k is not None})
        rows: dict[str, list[Interval | None]] = {}
        for name, (base, k) in parsed.items():
            cells = rows.setdefault(base, [None] * max(1, len(ks)))
            cells[0 if k is None else ks.index(k)] = self.metrics[name]
        return ks, rows

    def headline(self) -> str:
        """One line: the model, the data, the split and the number of users."""
        return (
            f"{self.model} on {self.data['name']}, {self.evaluation['on']} of split {self.split['method']}"
            f"{'' if self.candidates is None else ', sampled candidates'}: {self.users:,} users, "
            f"{self.users_without_targets:,} without targets left out"
        )

    def notes(self) -> list[str]:
        """Caveats for readers of the results: leaks of the split, and what was left out."""
        other = {"valid": "test:", "test": "valid:"}[self.evaluation["on"]]
        notes = [f"the split leaks: {leak}" for leak in self.split["leaks"] if not leak.startswith(other)]
        if self.split["method"] == "session":
            which = (
                "every event after the first of a session"
                if self.evaluation["predict"] == "every"
                else "the last of each session"
            )
            inputs = "the user's events" if self.split["earlier"] else "the events of the session"
            notes.append(f"predicted: {which} ({self.targets:,} predictions), from {inputs} before it")
        if self.evaluation.get("rebuild_graph"):
            notes.append(f"graph rebuilt from the inputs, {self.evaluation['inputs']}, without training")
        notes += [*sampled_notes(self.candidates), *_mask_notes(self.evaluation)]
        if self.value_map["map"] != "unary":
            notes.append(f"events weigh by their value: {ValuesConfig.model_validate(self.value_map)}")
        if reranked := str(Rerank.model_validate(self.evaluation.get("rerank") or {})):
            notes.append(f"the lists are reranked: {reranked}")
        if self.targets_seen_before:
            notes.append(f"{self.targets_seen_before:,} targets left out because their user already had the item")
        if self.targets_below:
            bound = self.evaluation["relevant_from"]
            notes.append(
                f"{self.targets_below:,} targets below {bound:g} are not relevant, and to list one is a miss; users "
                f"without a target of {bound:g} or more are left out"
            )
        if self.liking is not None:
            notes.append(
                "liked: {liked_from:g} and more ({users[liked]:,} users have such a target); disliked: {disliked_to:g} "
                "and less ({users[disliked]:,} users)".format_map(self.liking)
            )
        if self.explanations is not None:
            notes.append(str(self.explanations))
        return notes

    def overview(self) -> Overview:
        """See Shown: a few metrics; `table()` has all of them as text, `to_frame()` as a frame."""
        ks, rows = self.grid()
        names = [name for name in (*HEADLINERS, *(name for name in rows if name not in HEADLINERS)) if name in rows]
        k = 10 if 10 in ks else ks[0] if ks else None
        cells = [
            (name, format_interval(rows[name][0 if k is None else ks.index(k)] or rows[name][0], name))
            for name in names
        ]
        return Overview(
            self.headline(),
            [("metric", "" if k is None else f"@{k}"), *cells],
            self.notes(),
            "report.to_frame(), print(report.table())",
            "metrics",
        )

    def __getitem__(self, name: str) -> Interval:
        """A metric by its name, such as `ndcg@10`. Raises MatineeError with the closest if it was not measured."""
        if name not in self.metrics:
            raise MatineeError(f"{self.model} was not measured by {name!r}{metric_hint(name, self.metrics)}")
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def to_frame(self) -> pl.DataFrame:
        """One row a metric: metric, k (null without a list length), mean, and low and high of its 95% interval."""
        rows = [(*parse_metric(name), found.mean, found.low, found.high) for name, found in self.metrics.items()]
        return pl.DataFrame(rows, ["metric", "k", "mean", "low", "high"], orient="row")

    def per_user_to_frame(self) -> pl.DataFrame:
        """One row a user of the means: user_row, and the value of each metric, NaN where it is undefined."""
        return pl.DataFrame({"user_row": self.user_rows} | {name: each.values for name, each in self.per_user.items()})

    def segments_to_frame(self) -> pl.DataFrame:
        """One row a segment of users, predictions or items: of, name, size, about, and the mean of each metric."""
        return pl.DataFrame([asdict(each) | each.metrics for each in self.segments]).drop("metrics", strict=False)

    def table(self) -> str:
        """The metrics as text, one row each, with their 95% intervals."""
        ks, rows = self.grid()
        width = max(map(len, rows)) + 2
        lines = [self.headline(), " " * width + "".join(f"{f'@{k}':<26}" for k in ks)]
        for name, cells in rows.items():
            lines.append(f"{name:<{width}}" + "".join(f"{format_interval(cell, name):<26}" for cell in cells))
        return "\n".join(line.rstrip() for line in [*lines, *self.notes()])

    def _repr_html_(self) -> str:  # all metrics, not only those of the summary
        ks, rows = self.grid()
        head = "".join(f"<th>@{k}</th>" for k in ks)
        body = "".join(
            f"<tr><th>{name}</th>{''.join(f'<td>{format_interval(cell, name)}</td>' for cell in cells)}</tr>"
            for name, cells in rows.items()
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes())
        return f"<p><strong>{escape(self.headline())}</strong></p><table><tr><th></th>{head}</tr>{body}</table>{notes}"


def _mask_notes(evaluation: Mapping[str, Any]) -> list[str]:
    mask = "none" if evaluation.get("repeat") else evaluation.get("mask", "seen")
    return {
        "seen": [],
        "train": ["lists leave out items of train only, and may contain those of valid"],
        "none": ["lists may contain items seen before"],
    }[mask]


def sampled_notes(candidates: Mapping[str, Any] | None) -> list[str]:
    """What readers must know of results on candidates: what they are, and what a file leaves out."""
    if candidates is None:
        return []
    least, most = candidates["least"], candidates["most"]
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    source = f"candidates that {candidates['file']} has for its user"
    if candidates["file"] is None:
        source = "candidates that are its user's targets and items drawn from those without events of the user"
    notes = [
        f"sampled: each list ranks only the {each} {source}, so values "
        "are higher than those of lists of all items, may order models otherwise, and cannot be compared with them"
    ]
    for name, text in (
        ("users_without", "users with targets have no candidates, and are left out"),
        ("users_idle", "users of the candidates have no target, and are not used"),
        ("targets_outside", "targets are not among their user's candidates, and count as missed"),
    ):
        notes += [f"{candidates[name]:,} {text}"] if candidates[name] else []
    return notes


def describe_split(split: Split) -> dict[str, Any]:
    """The method, the settings that matter to it, the sizes of the parts, and what leaks from the future."""
    settings = settings_of(split.config)
    return {"method": split.config.split, **settings, **split.sizes(), "leaks": list(split.leaks)}


def format_interval(interval: Interval | None, metric: str) -> str:
    """`0.1717 (0.1663–0.1770)`; empty without an interval, a dash for NaN."""
    if interval is None:
        return ""
    if not isfinite(interval.mean):
        return "–"
    digits = 2 if metric.startswith("novelty") else 4  # bits, not a share
    return f"{interval.mean:.{digits}f} ({interval.low:.{digits}f}–{interval.high:.{digits}f})"


def _plain(value: Any) -> Any:  # noqa: ANN401 - any tree of values
    """The value in JSON types."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not isfinite(value) else value

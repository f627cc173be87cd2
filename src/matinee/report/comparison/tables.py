"""The tables of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

from matinee.evaluation.metrics import LOWER_IS_BETTER, METRICS
from matinee.report.comparison.document import Cell, Table
from matinee.report.comparison.result import Result, metric_name, number, seconds

ACCURACY = ("ndcg", "recall", "precision", "hit-rate", "mrr", "map")
OF_VALUES = ("liked-ndcg", "disliked-ndcg", "graded-ndcg", "disliked", "rmse", "mae")
BEYOND = ("coverage", "gini", "novelty", "diversity", "popularity-lift", "miscalibration")
MOST_COLUMNS = 8
"""Models beside each other in a table."""
MOST_SEGMENTS = 6
"""Segments of a table that is open from the start."""
SHADES = 0.85
"""The darkest shade of a table, so that text on it can be read."""


def main_table(result: Result) -> Table:
    """The deciding metric with its interval, the difference from the best, both tests, groups and verdicts."""
    seeded = any(len(report.get("seeds") or []) > 1 for report in result.reports)
    columns = ["Model", metric_name(result.metric), *(["Seeds ±"] if seeded else [])]
    columns += ["Difference", "p (bootstrap)", "p (permutation)", "Group", "Verdict"]
    rows = []
    for index, (row, report) in enumerate(zip(result.models, result.reports, strict=True)):
        is_best = row["verdict"] == "best"
        gap = row["difference"]
        cells = [
            Cell(row["label"]),
            Cell(number(result.value(index, result.metric)), is_best, note=interval_text(result, index, result.metric)),
        ]
        if seeded:
            cells.append(Cell(_deviation(report, result.metric)))
        cells += [
            Cell(
                "" if is_best else f"{gap['mean']:+.4f}", note="" if is_best else span(gap["low"], gap["high"], "+.4f")
            ),
            Cell("" if is_best else p_text(row["p_adjusted"])),
            Cell("" if is_best or "p_permutation_adjusted" not in row else p_text(row["p_permutation_adjusted"])),
            Cell(row.get("group", "")),
            Cell(row["verdict"], verdict=row["verdict"], note="interval without 0" if is_undecided(row) else ""),
        ]
        rows.append(tuple(cells))
    return Table("Models, best first", tuple(columns), tuple(rows), "main")


def is_undecided(row: Mapping[str, Any]) -> bool:
    """Whether a model is tied with the best only by the correction for several tests: its own interval leaves out 0."""
    gap = row["difference"]
    return row["verdict"] == "tied" and None not in (gap["low"], gap["high"]) and not gap["low"] <= 0 <= gap["high"]


def metrics_table(result: Result, bases: Sequence[str], caption: str, key: str) -> Table | None:
    """Some metrics at one list length, with their intervals; the best of each in bold. None if none was measured."""
    names = [name for base in bases for name in (f"{base}@{result.k}", base) if _is_measured(result, name)]
    if not names:
        return None
    best = {name: _best(result, name) for name in names}
    rows = tuple(
        (
            Cell(label),
            *(
                Cell(
                    number(result.value(index, name), digits(name)),
                    index in best[name],
                    note=interval_text(result, index, name),
                )
                for name in names
            ),
        )
        for index, label in enumerate(result.labels)
    )
    return Table(caption, ("Model", *(metric_name(name) for name in names)), rows, key)


def every_metric(result: Result) -> Table:
    """Every metric at every list length, one row for each."""
    names = sorted(
        result.first["metrics"], key=lambda name: (list(METRICS).index(name.partition("@")[0]), _length(name))
    )
    rows = tuple(
        (
            Cell(metric_name(name)),
            *(
                Cell(number(result.value(index, name), digits(name)), index in _best(result, name))
                for index in range(len(result.models))
            ),
        )
        for name in names
    )
    return Table("Every metric at every list length", ("Metric", *result.labels), rows, "every", folded=True)


def cost_table(result: Result) -> Table:
    """What each model costs to train, to ask and to keep."""
    columns = ("Model", "Fit", "Evaluate", "Rank all", "Peak memory", "Model size", "A list, median", "A list, 95%")
    rows = []
    for label, report in zip(result.labels, result.reports, strict=True):
        cost, memory = report.get("cost") or {}, report.get("peak_memory_mb")
        rows.append(
            (
                Cell(label),
                Cell(seconds(report.get("fit_seconds"))),
                Cell(seconds(cost.get("evaluate_seconds"))),
                Cell(seconds(report.get("rank_seconds"))),
                Cell("–" if memory is None else f"{memory:,.0f} MB"),
                Cell("–" if "size_mb" not in cost else f"{cost['size_mb']:,.2f} MB"),
                Cell("–" if "latency_p50_ms" not in cost else f"{cost['latency_p50_ms']:.2f} ms"),
                Cell("–" if "latency_p95_ms" not in cost else f"{cost['latency_p95_ms']:.2f} ms"),
            )
        )
    return Table("Cost", columns, tuple(rows), "cost")


def search_table(result: Result) -> Table | None:
    """What the search for settings found for each model, on valid; None where there was none."""
    rows = []
    for each in result.raw.get("searches", []):
        before, after = each["defaults"], each["valid"]
        gain = "" if before is None else f"{after - before:+.4f}"
        settings = ", ".join(f"{name} = {_setting(value)}" for name, value in each["found"].items()) or "the defaults"
        cells = (each["label"], number(before), number(after), gain, str(each["trials"]), seconds(each["seconds"]))
        rows.append((*map(Cell, cells), Cell(settings)))
    columns = ("Model", "Default", "Tuned", "Gain", "Trials", "Time", "Settings that differ")
    return Table("Settings chosen on valid", columns, tuple(rows), "searches") if rows else None


def unseen_table(result: Result) -> tuple[Table, int] | None:
    """What each model loses on users it was not trained on, and how many these are; None where it is not measured."""
    rows, users = [], 0
    for label, report in zip(result.labels, result.reports, strict=True):
        found = report.get("unseen") or {}
        values = found.get("metrics", {}).get(result.metric)
        if values is None:
            continue
        gap, users = values["difference"], found["users"]
        mean = Cell(f"{gap['mean']:+.4f}", note=span(gap["low"], gap["high"], "+.4f"))
        rows.append((Cell(label), Cell(number(values["known"])), Cell(number(values["unseen"])), mean))
    columns = ("Model", "Known", "Unseen", "Difference")
    title = f"{metric_name(result.metric)} of the same users, trained on and not"
    return (Table(title, columns, tuple(rows), "unseen"), users) if rows else None


def segment_table(result: Result, by: str, metric: str, caption: str) -> Table | None:
    """A metric by segment and model, shaded from the lowest to the highest of the table.

    A row for each segment; of more models than fit beside each other, a row for each model.
    """
    segments = result.segments(0, by)
    if not segments:
        return None
    of = [
        {each["name"]: each["metrics"].get(metric) for each in result.segments(i, by)}
        for i in range(len(result.models))
    ]
    known = [value for column in of for value in column.values() if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    grid = []  # a row for each segment
    for segment in segments:
        values = [column.get(segment["name"]) for column in of]
        top = max((value for value in values if value is not None), default=None)
        grid.append(
            [
                Cell(
                    number(value, 3),
                    value is not None and value == top and value > 0,
                    None if value is None or high == low else SHADES * (value - low) / (high - low),
                )
                for value in values
            ]
        )
    title, key, folded = f"{metric_name(metric)} by {caption}", f"by-{by}", len(segments) > MOST_SEGMENTS
    names = [segment["name"] for segment in segments]
    if len(of) <= MOST_COLUMNS:
        heads = [Cell(name, note=f"{_size(each)}; {each['about']}") for name, each in zip(names, segments, strict=True)]
        rows = tuple((head, *cells) for head, cells in zip(heads, grid, strict=True))
        return Table(title, (caption.capitalize(), *result.labels), rows, key, folded)
    sizes = tuple(Cell(_size(segment), note=segment["about"]) for segment in segments)
    by_model = zip(map(Cell, result.labels), *grid, strict=True)
    return Table(title, ("Model", *names), ((Cell("size"), *sizes), *by_model), key, folded)


def _size(segment: Mapping[str, Any]) -> str:
    """`90 users`."""
    return f"{segment['size']:,} {segment['of']}"


def interval_text(result: Result, index: int, metric: str) -> str:
    """`0.3812–0.4010`; empty without an interval."""
    found = result.interval(index, metric)
    return "" if found is None or found[1] == found[2] else span(found[1], found[2], f".{digits(metric)}f")


def span(low: float | None, high: float | None, form: str) -> str:
    """Two ends as `low–high`; of signed ones `low to high`."""
    if low is None or high is None:
        return ""
    return f"{low:{form}} to {high:{form}}" if form.startswith("+") else f"{low:{form}}–{high:{form}}"


def p_text(p: float) -> str:
    """`0.031`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def digits(metric: str) -> int:
    """Decimals of a metric: two of those in bits or ratios."""
    return 2 if metric.startswith(("novelty", "popularity-lift")) else 4


def _setting(value: object) -> str:
    """A setting with no more digits than matter."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_measured(result: Result, name: str) -> bool:
    return any(result.value(index, name) is not None for index in range(len(result.models)))


def _best(result: Result, name: str) -> set[int]:
    """The models with the best value of a metric; none of a metric that has no better direction."""
    base = name.partition("@")[0]
    if base in ("novelty", "popularity-lift", "diversity", "coverage", "gini"):
        return set()
    sign = -1 if base in LOWER_IS_BETTER else 1
    values = {index: value for index in range(len(result.models)) if (value := result.value(index, name)) is not None}
    top = max((sign * value for value in values.values()), default=None)
    return {index for index, value in values.items() if sign * value == top}


def _deviation(report: dict[str, Any], metric: str) -> str:
    """Standard deviation over seeds, with their number."""
    values = [fit["metrics"][metric] for fit in report.get("seeds") or [] if fit["metrics"].get(metric) is not None]
    if len(values) < 2:
        return "–"
    mean = sum(values) / len(values)
    return f"{(sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5:.4f} (n = {len(values)})"


def _length(name: str) -> int:
    return int(name.partition("@")[2] or 0)

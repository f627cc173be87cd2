"""The figures of a report, one function each: None where there is nothing to draw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from matinee.evaluation.metrics import LOWER_IS_BETTER
from matinee.report.comparison.labels import place_labels
from matinee.report.comparison.result import Result, metric_name, seconds
from matinee.report.comparison.theme import INK, MARKERS, MUTED, RULE, SERIES, VERDICTS, new_figure, themed

MOST_LINES = len(SERIES)
"""Models drawn as lines of their own; further ones are thin and grey."""
SECOND_SCALES = (
    (*(step * 10.0**power for power in range(-4, 1) for step in (1, 3)), 10, 30, 60, 180, 600, 1800, 3600, 10800),
    (*(10.0**power for power in range(-4, 2)), 60, 600, 3600, 36000, 360000),
)
NUMBER_SCALES = (
    tuple(step * 10.0**power for power in range(-4, 6) for step in (1, 2, 5)),
    tuple(10.0**power for power in range(-4, 7)),
)
"""Values that an axis of seconds or of numbers may name, in finer and in coarser steps."""
MOST_TICKS = 8


@dataclass(frozen=True, slots=True)
class Ticks:
    """What a log axis names: the values in its range of the finest scale that is not too fine, as text."""

    scales: Sequence[Sequence[float]]
    text: Callable[[float], str]

    def set_on(self, axes: Axes) -> None:
        """Name them, or matplotlib's own choice where the range has none or one."""
        low, high = axes.get_xlim()
        inside = [[value for value in scale if low <= value <= high] for scale in self.scales]
        chosen = next((values for values in inside if len(values) <= MOST_TICKS), inside[-1])
        if len(chosen) > 1:
            axes.set_xticks(chosen, [self.text(value) for value in chosen])
            axes.set_xticks([], minor=True)
        else:
            for name in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
                name(FuncFormatter(lambda value, _: self.text(value)))


def scores(result: Result) -> Figure:
    """Each model's score in the deciding metric, with its interval, and a small dot for each seed."""
    with themed():
        n = len(result.models)
        figure, (axes,) = new_figure(0.75 + 0.27 * n)
        for y, (row, report) in enumerate(zip(result.models, result.reports, strict=True)):
            found = result.interval(y, result.metric)
            if found is None:
                continue
            value, low, high = found
            colour = VERDICTS[row["verdict"]]
            axes.plot([low, high], [y, y], color=colour, linewidth=2.4, solid_capstyle="round")
            axes.plot(value, y, "o", color=colour, markersize=5.5)
            seeds = [fit["metrics"][result.metric] for fit in report.get("seeds") or []]
            if len(seeds) > 1:
                axes.plot(seeds, [y + 0.28] * len(seeds), "|", color=MUTED, markersize=4.5)
            axes.annotate(
                f"{value:.3f}", (high, y), (5, 0), textcoords="offset points", va="center", color=colour, size=8
            )
        names = [f"{row['label']}  {row.get('group', '')}".rstrip() if n > 1 else row["label"] for row in result.models]
        axes.set_yticks(range(n), names)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(n - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.09)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel(_axis(result.metric) + ", with 95% interval")
    return figure


def quality_by_time(result: Result) -> Figure | None:
    """The deciding metric against the seconds that a fit takes."""
    times = [report.get("fit_seconds") for report in result.reports]
    return _scatter(result, times, "Training time, one fit (log scale)", Ticks(SECOND_SCALES, _duration))


def quality_by_size(result: Result) -> Figure | None:
    """The deciding metric against the size of what the model learned."""
    sizes = [(report.get("cost") or {}).get("size_mb") for report in result.reports]
    return _scatter(result, sizes, "Size of the fitted model, MB (log scale)", Ticks(NUMBER_SCALES, "{:,g}".format))


def popularity(result: Result) -> Figure | None:
    """The deciding metric against the popularity lift of the lists: how quality is bought."""
    name = f"popularity-lift@{result.k}"
    lifts = [result.value(index, name) for index in range(len(result.models))]
    if sum(lift is not None for lift in lifts) < 2:
        return None
    figure = _scatter(result, lifts, f"Popularity lift of the first {result.k} (0: as popular as the history)")
    if figure is not None:
        figure.axes[0].axvline(0, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    return figure


def metric_by_k(result: Result) -> Figure | None:
    """The deciding metric at each list length."""
    base, at, _ = result.metric.partition("@")
    ks = [k for k in result.ks if result.value(0, f"{base}@{k}") is not None]
    if not at or len(ks) < 2:
        return None
    with themed():
        figure, (axes,) = new_figure(3.3)
        for index in reversed(range(len(result.models))):
            known = [(k, value) for k in ks if (value := result.value(index, f"{base}@{k}")) is not None]
            axes.plot([k for k, _ in known], [value for _, value in known], **_line(index), label=result.labels[index])
        axes.set_xticks(ks)
        axes.set_xlabel("List length k")
        axes.set_ylabel(f"{metric_name(base)}@k")
        _legend(axes)
    return figure


def curves(result: Result) -> Figure | None:
    """The loss of each epoch relative to the first, and the monitored metric on valid."""
    trained = [index for index, report in enumerate(result.reports) if len(report.get("curves") or []) > 1]
    if not trained:
        return None
    monitored = [index for index in trained if any("valid" in row for row in result.reports[index]["curves"])]
    with themed():
        figure, panels = new_figure(3.0, 2 if monitored else 1)
        for order, index in enumerate(trained):
            rows, label = result.reports[index]["curves"], result.labels[index]
            start = abs(rows[0]["loss"]) or 1.0
            style = _line(index if len(result.models) <= MOST_LINES else order) | {
                "markevery": max(1, len(rows) // 8),
                "markersize": 3.5,
            }
            panels[0].plot([row["epoch"] for row in rows], [row["loss"] / start for row in rows], **style, label=label)
            if index in monitored:
                known = [row for row in rows if "valid" in row]
                base = str(result.reports[index]["config"].get("monitor", "ndcg@10")).partition("@")[0]
                sign = -1 if base in LOWER_IS_BETTER else 1  # monitored: higher is better
                style["markevery"] = max(1, len(known) // 8)
                panels[1].plot([row["epoch"] for row in known], [sign * row["valid"] for row in known], **style)
        titles = ["Loss, relative to the first epoch", "Monitored metric on valid"]
        for axes, title in zip(panels, titles, strict=False):
            axes.set_xlabel("Epoch")
            axes.set_title(title, loc="left", size=9)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        _legend(panels[0], reverse=False)
    return figure


def segment_lines(result: Result, by: str, metric: str, label: str) -> Figure | None:
    """A metric over the segments of one division, such as deciles. label: names the axis of segments."""
    names = [segment["name"] for segment in result.segments(0, by)]
    if len(names) < 2:
        return None
    with themed():
        figure, (axes,) = new_figure(3.3)
        for index in reversed(range(len(result.models))):
            of = {segment["name"]: segment["metrics"].get(metric) for segment in result.segments(index, by)}
            known = [(at, of[name]) for at, name in enumerate(names) if of.get(name) is not None]
            axes.plot(
                [at for at, _ in known], [value for _, value in known], **_line(index), label=result.labels[index]
            )
        axes.set_xticks(range(len(names)), names)
        axes.set_xlabel(label)
        axes.set_ylabel(metric_name(metric))
        _legend(axes)
    return figure


def calibration(result: Result) -> Figure | None:
    """Mean actual value against mean predicted value, for models that predict values."""
    able = [index for index, report in enumerate(result.reports) if report.get("calibration")]
    if not able:
        return None
    with themed():
        figure, (axes,) = new_figure(3.3)
        for order, index in enumerate(able):
            bins = result.reports[index]["calibration"]
            predicted, actual = ([each[name] for each in bins] for name in ("predicted", "actual"))
            axes.plot(predicted, actual, **_line(order), label=result.labels[index])
        axes.axline((bins[0]["predicted"],) * 2, slope=1, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set_xlabel("Mean predicted value")
        axes.set_ylabel("Mean actual value")
        _legend(axes, reverse=False)
    return figure


def _scatter(result: Result, xs: Sequence[float | None], label: str, ticks: Ticks | None = None) -> Figure | None:
    """The deciding metric against another quantity, each model named.

    ticks: of a log axis, from which values of 0 are left out; None is a linear one.
    """
    ys = [result.value(index, result.metric) for index in range(len(result.models))]
    points = [
        (x, y, name, row["verdict"])
        for x, y, name, row in zip(xs, ys, result.labels, result.models, strict=True)
        if x is not None and y is not None and (x > 0 or ticks is None)
    ]
    if len(points) < 2:
        return None
    with themed():
        figure, (axes,) = new_figure(3.6)
        line: list[tuple[float, float]] = []
        if ticks is not None:
            axes.set_xscale("log")
            line = _frontier(axes, result, [(x, y) for x, y, _, _ in points])
        for x, y, _, verdict in points:
            axes.plot(x, y, "o", color=VERDICTS[verdict], markersize=6, zorder=3)
        axes.margins(x=0.12, y=0.12)
        if ticks is not None:
            ticks.set_on(axes)
        axes.set_xlabel(label)
        axes.set_ylabel(_axis(result.metric))
        place_labels(axes, [(x, y) for x, y, _, _ in points], [name for _, _, name, _ in points], line)
    return figure


def _frontier(axes: Axes, result: Result, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Draw a line along the models that no other beats in both quantities. Returns its corners."""
    sign = -1 if result.metric.partition("@")[0] in LOWER_IS_BETTER else 1
    corners: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not corners:
            corners = [(x, y)]
        elif sign * y > sign * corners[-1][1]:
            corners += [(x, corners[-1][1]), (x, y)]
    axes.plot(*zip(*corners, strict=True), color=RULE, linewidth=2.5, zorder=1)
    return corners


def _duration(value: float) -> str:
    """`30 s`, `3 min`, `1 h`."""
    return seconds(value) if value < 60 else f"{value / 60:g} min" if value < 3600 else f"{value / 3600:g} h"


def _line(index: int) -> dict[str, Any]:
    """The style of a model's line."""
    if index >= MOST_LINES:
        return {"color": RULE, "linewidth": 1.1, "zorder": 1}
    return {"color": SERIES[index], "marker": MARKERS[index], "markersize": 4.5, "linewidth": 1.6, "zorder": 3}


def _legend(axes: Axes, *, reverse: bool = True) -> None:
    """The models of the lines, the best first, below the panels; one entry for those that have no line of their own.

    reverse: the best was drawn last.
    """
    handles, names = axes.get_legend_handles_labels()
    if reverse:
        handles, names = handles[::-1], names[::-1]
    further = len(names) - MOST_LINES
    if further > 1:
        handles, names = handles[: MOST_LINES + 1], [*names[:MOST_LINES], f"{further} further models"]
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=7.5)


def _axis(metric: str) -> str:
    return metric_name(metric) + (" (lower is better)" if metric.partition("@")[0] in LOWER_IS_BETTER else "")

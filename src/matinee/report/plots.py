"""Figures of comparisons and training curves, drawn with Matplotlib's object API, without global state."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from matinee.evaluation.comparison import Comparison
from matinee.evaluation.metrics import LOWER_IS_BETTER
from matinee.report.comparison.theme import MARKERS, SERIES
from matinee.report.files import save_figure
from matinee.report.picture import Picture

COLOURS = {"best": "#1b7837", "tied": "#c28a00", "worse": "#5b6b7b"}
GRID = "#e3e6ea"
MOST_MARKED = 30
"""Epochs of a curve that has a marker at each."""


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Draw a comparison and save it as .png, .svg or .pdf."""
    save_figure(plot_comparison(comparison), path, dpi=160, bbox_inches="tight")


def plot_comparison(comparison: Comparison, metrics: Sequence[str] | None = None) -> Figure:
    """One panel per metric, one row per model, a dot with its 95% interval.

    metrics: the panels, by default the deciding metric, and recall and coverage at its k.
    """
    names = _panels(comparison, metrics)
    height = 1.5 + 0.38 * len(comparison.rows)
    figure = Picture(
        figsize=(2.2 + 3.1 * len(names), height), layout=ConstrainedLayoutEngine(wspace=0.06), facecolor="white"
    )
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        _draw_panel(panel, comparison, name)
    # the verdict as text too, because not everyone distinguishes the colours
    labels = [f"{row.label} · {row.verdict}" for row in comparison.rows]
    panels[0].set_yticks(range(len(comparison.rows)), labels)
    panels[0].invert_yaxis()  # the best on top
    first = comparison.reports[0]
    figure.suptitle(
        f"{first.data['name']}, {first.evaluation['on']} of split {first.split['method']}, {comparison.users:,} users",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    figure.text(0.01, -0.06 / height, _legend(comparison), fontsize=8, va="top", color=COLOURS["worse"])
    return figure


def draw_curves(runs: Mapping[str, Sequence[Mapping[str, float]]], path: Path, metric: str = "valid") -> None:
    """Draw training curves and save them as .png, .svg or .pdf; see plot_curves."""
    save_figure(plot_curves(runs, metric), path, dpi=160)


def plot_curves(runs: Mapping[str, Sequence[Mapping[str, float]]], metric: str = "valid") -> Figure:
    """Training curves: the loss and beside it, if it was measured, the monitored metric on valid.

    runs: label -> one mapping per epoch with `epoch`, `loss` and optionally `valid`; metric: the name of the monitored
    metric.
    """
    is_monitored = any("valid" in row for rows in runs.values() for row in rows)
    names = ["loss", "valid"] if is_monitored else ["loss"]
    figure = Picture(figsize=(4.6 * len(names), 3.1), layout="constrained", facecolor="white")
    for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for place, (label, rows) in enumerate(runs.items()):
            known = [row for row in rows if name in row]
            marker = MARKERS[place % len(MARKERS)] if len(known) <= MOST_MARKED else None
            sign = (
                -1 if name == "valid" and metric.partition("@")[0] in LOWER_IS_BETTER else 1
            )  # monitored: higher is better
            epochs, values = [row["epoch"] for row in known], [sign * row[name] for row in known]
            colour = SERIES[place % len(SERIES)]
            panel.plot(epochs, values, color=colour, marker=marker, markersize=4, label=label, linewidth=1.8)
        panel.set_title("loss" if name == "loss" else f"{metric} on valid", fontsize=10, loc="left")
        panel.set_xlabel("epoch", fontsize=9)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if panel.get_xlim()[1] - panel.get_xlim()[0] < 1:  # a single epoch
            panel.set_xticks(panel.lines[0].get_xdata())
        panel.grid(color=GRID)
        panel.set_axisbelow(True)
        panel.tick_params(length=0, labelsize=9)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    if len(runs) > 1:
        figure.axes[0].legend(fontsize=8.5, frameon=False)
    return figure


def _draw_panel(panel: Axes, comparison: Comparison, name: str) -> None:
    for y, (row, report) in enumerate(zip(comparison.rows, comparison.reports, strict=True)):
        interval = report.metrics[name]
        if not isfinite(interval.mean):
            continue
        colour = COLOURS[row.verdict]
        panel.plot([interval.low, interval.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
        panel.plot(interval.mean, y, "o", color=colour, markersize=4.5)
        digits = 2 if name.startswith("novelty") else 3
        panel.annotate(
            f"{interval.mean:.{digits}f}",
            (interval.mean, y),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=colour,
        )
    panel.set_title(name, fontsize=10, loc="left", fontweight="bold" if name == comparison.metric else "normal")
    panel.set_ylim(-0.7, len(comparison.rows) - 0.5)
    panel.margins(x=0.12)
    panel.xaxis.set_major_locator(MaxNLocator(4))
    panel.grid(axis="x", color=GRID)
    panel.set_axisbelow(True)
    panel.tick_params(length=0, labelsize=9)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(GRID)


def _panels(comparison: Comparison, metrics: Sequence[str] | None) -> list[str]:
    _, at, k = comparison.metric.partition("@")
    wanted = metrics or [comparison.metric, *([f"recall@{k}", f"coverage@{k}"] if at else [])]
    measured = [name for name in wanted if all(name in report.metrics for report in comparison.reports)]
    return list(dict.fromkeys(measured)) or [comparison.metric]


def _legend(comparison: Comparison) -> str:
    return (
        f"Bars: 95% bootstrap intervals over users. Green: best in {comparison.metric}; amber: tied with it "
        f"(paired, Holm, p > {comparison.alpha:g}); grey: worse."
    )

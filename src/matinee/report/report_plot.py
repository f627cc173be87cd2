"""The figure of one model's evaluation: its metrics at each list length, and the same model for different users."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from scipy.optimize import isotonic_regression

from matinee.arrays import FloatArray
from matinee.evaluation.bootstrap import Interval
from matinee.evaluation.metrics import parse_metric
from matinee.evaluation.report import Report
from matinee.evaluation.segments import Segment
from matinee.report.comparison.result import metric_name
from matinee.report.comparison.theme import BEST, INK, MARKERS, MUTED, RULE, SERIES
from matinee.report.picture import Picture

BY_LENGTH = ("ndcg", "recall", "precision", "hit-rate", "mrr", "map")
"""Metrics between 0 and 1 that are drawn against the length of the list."""
LARGEST_RATIO = 8
"""Of list lengths on a linear axis; on a wider one the short lengths would share a place."""
PANEL_POINTS, LABEL_POINTS = 190, 12
"""About how high a panel is, and how far apart the labels of its lines, in points."""


def plot_report(report: Report) -> Figure:
    """Left, ranking metrics against the list length k, with 95% intervals; right, one of them by segment of users."""
    segments = [each for each in report.segments if each.of == "users" and each.size]
    deciding = _deciding(report)
    is_parted = deciding is not None and sum(deciding in each.metrics for each in segments) > 1
    widths = [1.25, 1] if is_parted else [1]
    figure = Picture(figsize=(4.9 * sum(widths), 3.7), layout=ConstrainedLayoutEngine(wspace=0.08), facecolor="white")
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    _draw_metrics(panels[0], report)
    if is_parted and deciding is not None:
        _draw_segments(panels[1], [each for each in segments if deciding in each.metrics], deciding)
    figure.suptitle(report.headline(), x=0.01, ha="left", fontsize=10, color=INK, parse_math=False)
    return figure


def _draw_metrics(panel: Axes, report: Report) -> None:
    ks, rows = report.grid()
    known = {name: rows[name] for name in BY_LENGTH if name in rows and len(rows[name]) == len(ks)}
    measured = {name: [each for each in cells if each is not None] for name, cells in known.items()}
    draw = _draw_lines if len(ks) > 1 else _draw_dots
    draw(panel, ks, {name: cells for name, cells in measured.items() if len(cells) == len(ks)})
    panel.set_title("metrics, with 95% intervals over users", loc="left", fontsize=9.5, color=INK)
    _style(panel)


def _draw_lines(panel: Axes, ks: Sequence[int], measured: Mapping[str, Sequence[Interval]]) -> None:
    for place, cells in enumerate(measured.values()):
        colour, means = SERIES[place], [cell.mean for cell in cells]
        lows, highs = [cell.low for cell in cells], [cell.high for cell in cells]
        panel.fill_between(ks, lows, highs, color=colour, alpha=0.15, linewidth=0)
        panel.plot(ks, means, marker=MARKERS[place], color=colour, linewidth=1.6, markersize=4.5)
    panel.set_ylim(bottom=0)
    if ks[-1] > LARGEST_RATIO * ks[0]:
        panel.set_xscale("log")
    panel.set_xticks(ks, [str(k) for k in ks])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("list length k", color=MUTED)
    scale = PANEL_POINTS / panel.get_ylim()[1]
    ends = np.array([cells[-1].mean for cells in measured.values()])
    for place, (name, end, moved) in enumerate(zip(measured, ends, _apart(ends * scale), strict=True)):
        label = (7, moved - end * scale)
        panel.annotate(
            metric_name(name), (ks[-1], end), label, textcoords="offset points", va="center", color=SERIES[place]
        )


def _apart(heights: FloatArray) -> FloatArray:
    """Heights of labels in points, moved as little as leaves LABEL_POINTS between neighbours. [M] -> [M]."""
    order = np.argsort(heights, kind="stable")
    steps = LABEL_POINTS * np.arange(len(heights))
    moved = np.empty(len(heights))
    moved[order] = isotonic_regression(heights[order] - steps).x + steps
    return moved


def _draw_dots(panel: Axes, ks: Sequence[int], measured: Mapping[str, Sequence[Interval]]) -> None:
    """The metrics at one list length, a row each."""
    for y, [cell] in enumerate(measured.values()):
        panel.plot([cell.low, cell.high], [y, y], color=SERIES[y], linewidth=2.2, solid_capstyle="round")
        panel.plot(cell.mean, y, MARKERS[y], color=SERIES[y], markersize=5)
        value = f"{cell.mean:.3f}"
        panel.annotate(value, (cell.high, y), (6, 0), textcoords="offset points", va="center", color=MUTED, size=8)
    panel.set_yticks(range(len(measured)), [metric_name(f"{name}@{ks[0]}") for name in measured])
    panel.set_ylim(len(measured) - 0.5, -0.5)
    panel.margins(x=0.15)
    panel.set_xlim(left=0)
    panel.set_xlabel(f"at list length {ks[0]}", color=MUTED)


def _draw_segments(panel: Axes, segments: Sequence[Segment], metric: str) -> None:
    names = [f"{each.name}{' history' * (each.by == 'history')}  ({each.size:,})" for each in segments]
    values = [each.metrics[metric] for each in segments]
    changes = [place > 0 and each.by != segments[place - 1].by for place, each in enumerate(segments)]
    rows = [place + 0.6 * gap for place, gap in enumerate(accumulate(changes))]  # a gap between divisions
    panel.barh(rows, values, color=BEST, height=0.6)
    panel.set_yticks(rows, names)
    panel.invert_yaxis()
    panel.margins(x=0.15)
    for y, value in zip(rows, values, strict=True):
        panel.annotate(f"{value:.3f}", (value, y), (4, 0), textcoords="offset points", va="center", color=MUTED, size=8)
    panel.set_xlabel(metric_name(metric), color=MUTED)
    panel.set_title("by kind of user (how many)", loc="left", fontsize=9.5, color=INK)
    _style(panel)
    panel.grid(axis="y", visible=False)


def _deciding(report: Report) -> str | None:
    """NDCG@10, or what comes nearest to it."""
    parsed = [(name, *parse_metric(name)) for name in report.metrics]
    found = sorted((name != "ndcg", abs((k or 0) - 10), full) for full, name, k in parsed if name in BY_LENGTH)
    return found[0][2] if found else None


def _style(panel: Axes) -> None:
    panel.grid(color=RULE, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(length=0, labelsize=8.5, labelcolor=MUTED)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(RULE)

"""The figure of one model's evaluation: its metrics at each list length, and the same model for different users."""

from collections.abc import Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from matinee.evaluation.metrics import parse_metric
from matinee.evaluation.report import Report
from matinee.evaluation.segments import Segment
from matinee.report.comparison.result import metric_name
from matinee.report.comparison.theme import BEST, INK, MARKERS, MUTED, RULE, SERIES
from matinee.report.picture import Picture

BY_LENGTH = ("ndcg", "recall", "precision", "hit", "mrr", "map")
"""Metrics between 0 and 1 that are drawn against the length of the list."""


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
    known = [name for name in BY_LENGTH if name in rows and len(rows[name]) == len(ks)]
    for place, name in enumerate(known):
        cells = [(k, cell) for k, cell in zip(ks, rows[name], strict=True) if cell is not None]
        xs, means = [k for k, _ in cells], [cell.mean for _, cell in cells]
        lows, highs = [cell.low for _, cell in cells], [cell.high for _, cell in cells]
        colour = SERIES[place]
        panel.fill_between(xs, lows, highs, color=colour, alpha=0.15, linewidth=0)
        panel.plot(xs, means, marker=MARKERS[place], color=colour, linewidth=1.6, markersize=4.5)
        panel.annotate(
            metric_name(name), (xs[-1], means[-1]), (7, 0), textcoords="offset points", va="center", color=colour
        )
    panel.set_xticks(ks)
    panel.set_ylim(bottom=0)
    panel.set_xlabel("list length k", color=MUTED)
    panel.set_title("metrics, with 95% intervals over users", loc="left", fontsize=9.5, color=INK)
    _style(panel)


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

"""Figure of predicted values: calibration, and the error by number of ratings."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FormatStrFormatter, MaxNLocator, NullLocator

from matinee.evaluation.history_lengths import LengthOfHistory
from matinee.evaluation.predicted_values import CalibrationBin
from matinee.report.files import save_figure
from matinee.report.style import AMBER, BLUE, GREY, INK, LINE

SERIES = (
    ("rmse", "model", BLUE, "o", "-"),
    ("item_and_user_mean", "item's and user's mean", AMBER, "s", "--"),
    ("item_mean", "item's mean", GREY, "^", ":"),
)
"""Attribute, label, colour, marker and line, so that colours are not needed."""


def draw_calibration(
    bins: Sequence[CalibrationBin], path: Path, title: str, lengths: Sequence[LengthOfHistory] = ()
) -> None:
    """Draw mean values against mean predictions, with 95% intervals, and RMSE by number of ratings if there is any.

    path: .png, .svg or .pdf; title: what was measured.
    """
    n_panels = 2 if lengths else 1
    figure = Figure(figsize=(4.6 * n_panels, 4.3), layout="constrained", facecolor="white")
    panels = figure.subplots(1, n_panels, squeeze=False)[0]
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    _draw_bins(panels[0], bins)
    if lengths:
        _draw_lengths(panels[1], lengths)
    save_figure(figure, path, dpi=160)


def _draw_bins(panel: Axes, bins: Sequence[CalibrationBin]) -> None:
    low = min(min(each.predicted, each.low) for each in bins)
    high = max(max(each.predicted, each.high) for each in bins)
    panel.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle="--", label="predicted = actual")
    predicted, actual = [each.predicted for each in bins], [each.actual for each in bins]
    errors = [[each.actual - each.low for each in bins], [each.high - each.actual for each in bins]]
    panel.errorbar(
        predicted, actual, errors, fmt="o", color=BLUE, markersize=5, linewidth=1.6, label="mean, 95% interval"
    )
    _style(panel, "predicted value", "actual value")
    panel.set_aspect("equal")
    panel.set_title(
        f"{sum(each.events for each in bins):,} target events in {len(bins)} groups", fontsize=10, loc="left"
    )
    panel.legend(fontsize=8.5, frameon=False, loc="upper left")


def _draw_lengths(panel: Axes, lengths: Sequence[LengthOfHistory]) -> None:
    counts = [each.ratings for each in lengths]
    for attribute, label, colour, marker, line in SERIES:
        values = [getattr(each, attribute) for each in lengths]
        panel.plot(counts, values, line, marker=marker, color=colour, linewidth=1.8, markersize=5, label=label)
    panel.set_xscale("log")
    _style(panel, "ratings of the user", "RMSE")
    panel.xaxis.set_major_locator(FixedLocator(counts))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FormatStrFormatter("%d"))
    panel.set_title("error by number of ratings", fontsize=10, loc="left")
    panel.legend(fontsize=8.5, frameon=False)


def _style(panel: Axes, x: str, y: str) -> None:
    panel.set_xlabel(x, fontsize=9, color=INK)
    panel.set_ylabel(y, fontsize=9, color=INK)
    panel.xaxis.set_major_locator(MaxNLocator(6))
    panel.yaxis.set_major_locator(MaxNLocator(6))
    panel.grid(color=LINE)
    panel.set_axisbelow(True)
    panel.tick_params(length=0, labelsize=9)
    panel.spines[["top", "right"]].set_visible(False)

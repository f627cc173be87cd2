"""The history of a search as a figure: each trial, and the best so far."""

from itertools import accumulate
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from matinee.evaluation.metrics import LOWER_IS_BETTER
from matinee.report.files import save_figure
from matinee.report.picture import Picture
from matinee.report.plots import COLOURS, GRID
from matinee.workflow.tuning import TuningResult

MARKERS = {"done": ("o", COLOURS["best"]), "pruned": ("v", COLOURS["tied"]), "late": ("s", COLOURS["tied"])}
"""Shape and colour of a trial by how it ended; the shape alone tells them apart."""


def draw_search(result: TuningResult, path: Path) -> None:
    """Draw a search and save it as .png, .svg or .pdf."""
    save_figure(plot_search(result), path, dpi=160)


def plot_search(result: TuningResult) -> Figure:
    """The trials of a search in order, the best so far as a line, and the defaults as another."""
    is_lower_better = result.metric.partition("@")[0] in LOWER_IS_BETTER
    sign = -1.0 if is_lower_better else 1.0
    known = [(each.number, sign * each.value, each.state) for each in result.trials if each.value is not None]
    figure = Picture(figsize=(6.4, 3.4), layout="constrained", facecolor="white")
    panel = figure.subplots()
    for state, (marker, colour) in MARKERS.items():
        of_state = [(number, value) for number, value, its in known if its == state]
        if of_state:
            panel.plot(*zip(*of_state, strict=True), marker, color=colour, markersize=5, label=state)
    finished = [(number, value) for number, value, state in known if state == "done"]
    if finished:
        numbers, values = zip(*finished, strict=True)
        best = list(accumulate(values, min if is_lower_better else max))
        ends = [*numbers, result.trials[-1].number]
        panel.step(ends, [*best, best[-1]], where="post", color=COLOURS["best"], linewidth=1.6, label="best so far")
    if result.defaults is not None:
        panel.axhline(result.defaults, color=COLOURS["worse"], linestyle="--", linewidth=1.2, label="defaults")
    panel.set_title(f"{result.model}: {result.metric} on valid", fontsize=10, loc="left")
    panel.set_xlabel("trial", fontsize=9)
    panel.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    panel.grid(color=GRID)
    panel.set_axisbelow(True)
    panel.tick_params(length=0, labelsize=9)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    figure.legend(fontsize=8.5, frameon=False, loc="outside right upper")
    return figure

"""The figure of a graph audit: triples of each relation, heads of its tails, and triples of items."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from matinee.data.graph_audit import GraphAudit
from matinee.data.statistics import percent
from matinee.report.files import save_figure
from matinee.report.style import AMBER, BLUE, INK, headed_page, set_title, short

MOST_RELATIONS = 12
"""Relations drawn; those with most triples."""


def draw_graph(audit: GraphAudit, path: Path) -> None:
    """Draw the audit of a graph and save it; the format follows the suffix of the path."""
    save_figure(plot_graph(audit), path, dpi=150)


def plot_graph(audit: GraphAudit) -> Figure:
    """Three panels: the size of each relation, how many heads its tails have, and how many triples items have."""
    left = 0.115
    nodes = "  ·  ".join(f"{count:,} {name}s" for name, count in audit.nodes.items())
    page = headed_page((13, 6.0), left, f"{audit.name}, knowledge graph", nodes)
    grid = page.add_gridspec(1, 3, left=left, right=0.975, top=0.74, bottom=0.11, wspace=0.42)
    for column, panel in enumerate((_sizes, _tails, _degrees)):
        panel(page.add_subplot(grid[0, column]), audit)
    return page


def _bars(axes: Axes, names: list[str], widths: list[float], labels: list[str], colour: str) -> None:
    bars = axes.barh(names, widths, color=colour, height=0.62)
    axes.bar_label(bars, labels, padding=5, color=INK, size=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(widths, default=1) * 1.3)
    axes.xaxis.set_visible(False)
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _sizes(axes: Axes, audit: GraphAudit) -> None:
    largest = sorted(audit.relations, key=lambda each: -each.triples)[:MOST_RELATIONS]
    counts = [each.triples for each in largest]
    widths = [float(np.log10(1 + count)) for count in counts]
    _bars(axes, [each.name for each in largest], widths, [f"{count:,}" for count in counts], BLUE)
    set_title(axes, "Triples of each relation", "bars are logarithmic; rated: the log itself")


def _tails(axes: Axes, audit: GraphAudit) -> None:
    largest = sorted(audit.relations, key=lambda each: -each.triples)[:MOST_RELATIONS]
    shared = [1 - each.single / each.tails for each in largest]
    labels = [f"{percent(share)} of {each.tails:,}" for share, each in zip(shared, largest, strict=True)]
    _bars(axes, [each.name for each in largest], shared, labels, AMBER)
    set_title(axes, "Tails with two heads or more", "the others join nothing")


def _degrees(axes: Axes, audit: GraphAudit) -> None:
    counts = np.bincount(np.minimum(audit.degrees, 30))
    axes.bar(np.arange(len(counts)), counts, width=0.82, color=BLUE)
    axes.set(xlabel="triples of an item (30: or more)", ylabel="items")
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    set_title(axes, "Triples per item", f"{audit.isolated:,} items have none")

"""Style of the audit figures: colours, titles, date axes and number formats."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from matinee.arrays import FloatArray, IntArray
from matinee.report.picture import Picture

INK, GREY, LINE = "#1d2733", "#66717f", "#dfe3e8"
LONGEST_TITLE = 70
"""Characters that fit a page."""
BLUE, AMBER, RED = "#2f6690", "#e8a33d", "#c8553d"


def headed_page(size: tuple[float, float], left: float, title: str, subtitle: str) -> Figure:
    """An empty page with a heading. size: inches; left: position of the heading, a fraction of the width."""
    page = Picture(figsize=size, facecolor="white")
    FigureCanvasAgg(page)
    page.text(
        left,
        0.955,
        title if len(title) <= LONGEST_TITLE else f"{title[:LONGEST_TITLE]}…",
        size=17,
        weight="bold",
        color=INK,
        va="center",
        parse_math=False,
    )
    page.text(left, 0.915, subtitle, size=10.5, color=GREY, va="center")
    return page


def set_title(axes: Axes, title: str, subtitle: str) -> None:
    """Set the title and subtitle of a panel, and style its frame."""
    axes.set_title(title, loc="left", pad=25, size=12, weight="bold", color=INK)
    axes.annotate(subtitle, (0, 1), (0, 9), "axes fraction", "offset points", size=9.5, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(which="both", color=LINE, labelcolor=GREY, labelsize=9)
    axes.tick_params(which="minor", labelbottom=False, labelleft=False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=GREY, size=9.5)


def add_legend(axes: Axes, names: list[tuple[str, str]]) -> None:
    """Write the names of the colours, each in its colour, in place of the subtitle."""
    previous: Any = axes
    for index, (name, colour) in enumerate(names):
        previous = axes.annotate(
            name,
            (0 if index == 0 else 1, 1),
            (0 if index == 0 else 12, 9),
            "axes fraction" if index == 0 else (previous, "axes fraction"),
            "offset points",
            size=9.5,
            weight="bold",
            color=colour,
        )


def set_date_axis(axes: Axes) -> None:
    """Format the x axis as dates."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis_date()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]


def dates(times: IntArray) -> FloatArray:
    """Convert UTC seconds to matplotlib's dates: days since 1970, its default epoch."""
    return times / 86_400


def short(value: float, _: int) -> str:
    """Format a tick: 1200000 -> 1.2M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"

"""What the figures of an audit share: colours, titles, dates and short numbers."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from matinee.arrays import FloatArray, IntArray

INK, GREY, LINE = "#1d2733", "#66717f", "#dfe3e8"
BLUE, AMBER, RED = "#2f6690", "#e8a33d", "#c8553d"


def headed_page(size: tuple[float, float], left: float, name: str, said: str) -> Figure:
    """An empty page with its heading. size: inches; left: of the heading, a share of the width."""
    page = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(page)
    page.text(left, 0.955, name, size=17, weight="bold", color=INK, va="center", parse_math=False)
    page.text(left, 0.915, said, size=10.5, color=GREY, va="center")
    return page


def put_title(axes: Axes, title: str, said: str) -> None:
    """Title and subtitle of a panel, and its quiet frame."""
    axes.set_title(title, loc="left", pad=25, size=12, weight="bold", color=INK)
    axes.annotate(said, (0, 1), (0, 9), "axes fraction", "offset points", size=9.5, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(which="both", color=LINE, labelcolor=GREY, labelsize=9)
    axes.tick_params(which="minor", labelbottom=False, labelleft=False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=GREY, size=9.5)


def put_key(axes: Axes, names: list[tuple[str, str]]) -> None:
    """The names of the colours, in their colours, where the subtitle stands."""
    after: Any = axes
    for place, (name, colour) in enumerate(names):
        after = axes.annotate(
            name,
            (0 if place == 0 else 1, 1),
            (0 if place == 0 else 12, 9),
            "axes fraction" if place == 0 else (after, "axes fraction"),
            "offset points",
            size=9.5,
            weight="bold",
            color=colour,
        )


def put_dates(axes: Axes) -> None:
    """Dates along the axis below."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis_date()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]


def dates(edges: IntArray) -> FloatArray:
    """Moments in UTC seconds as the days that matplotlib counts, unless its epoch was moved."""
    return edges / 86_400


def short(value: float, _: int) -> str:
    """1200000 -> 1.2M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"

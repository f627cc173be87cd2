"""The look of a report's figures: colours by role, and SVG whose colours and font are those of the page around it."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1d2733", "#5d6875", "#d9dee4"
BEST, TIED, WORSE = "#00845f", "#b87400", "#7b8794"
VERDICTS = {"best": BEST, "tied": TIED, "worse": WORSE}
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1d2734", "#8c564b")
"""Okabe and Ito's colours, which people with any colour vision can tell apart, in another order; then brown."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""A shape for each series, so that colour alone tells nothing."""
WIDTH = 4.6
"""Inches: as wide as a column of a page, or a phone."""
ROLES = {INK: "ink", MUTED: "muted", RULE: "rule", BEST: "best", TIED: "tied", WORSE: "worse"} | {
    colour: f"s{index}" for index, colour in enumerate(SERIES)
}
"""Colour -> the variable of the page's style that stands for it."""
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "matinee",
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "pdf.fonttype": 42,
}


@contextmanager
def themed() -> Iterator[None]:
    """Draw and save with the settings of a report's figures."""
    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # in a name of the data
        yield


def new_figure(height: float, panels: int = 1) -> tuple[Figure, Sequence[Axes]]:
    """An empty figure with panels side by side. height: inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(which="both", length=0)
        each.grid(color=RULE, linewidth=0.6)
        each.set_axisbelow(True)
    return figure, list(axes)


def to_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as SVG to stand in an HTML page. name: makes its ids unique; description: for screen readers."""
    buffer = StringIO()
    with themed():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    for colour, role in ROLES.items():
        text = text.replace(colour, f"var(--{role})")
    text = re.sub(r"(font: [^\"';]*?)'[^\"]*?(sans-serif)", r"\1\2", text)
    text = re.sub(r'<svg (.*?)width="[^"]+" height="[^"]+"', r"<svg \1", text, count=1, flags=re.DOTALL)
    escaped = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escaped}" ', 1)

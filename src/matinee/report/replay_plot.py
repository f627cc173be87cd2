"""A replay as a figure: each model's NDCG over time, and what could be hit."""

from datetime import UTC, datetime
from pathlib import Path

from matplotlib.figure import Figure

from matinee.report.files import save_figure
from matinee.report.plots import COLOURS, GRID
from matinee.workflow.replaying import Replay

STYLES = ((COLOURS["best"], "-", "o"), (COLOURS["worse"], "--", "s"))
"""Colour, line and marker of each model: any one of them tells the two apart."""


def draw_replay(replay: Replay, path: Path) -> None:
    """Draw NDCG by window, above the shares of events that could be hit and of new users. path: .png, .svg or .pdf."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained", facecolor="white")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    times = [datetime.fromtimestamp(each["begin"], UTC) for each in replay.windows]
    for label, (colour, line, marker) in zip(replay.models, STYLES, strict=False):
        values = [each["models"][label]["ndcg"] for each in replay.windows]
        upper.plot(times, values, line, color=colour, marker=marker, markersize=4, label=label)
    upper.set_title(f"{replay.data} replayed: NDCG@{replay.k} by window", fontsize=10, loc="left")
    upper.legend(fontsize=8.5, frameon=False)
    shares = (("could_be_hit", "events of known items", "-"), ("cold_users", "events of new users", ":"))
    for key, label, line in shares:
        lower.plot(times, [each[key] for each in replay.windows], line, color=COLOURS["tied"], label=label)
    lower.set_ylim(0, 1.05)
    lower.legend(fontsize=8.5, frameon=False)
    for panel in (upper, lower):
        panel.grid(color=GRID)
        panel.set_axisbelow(True)
        panel.tick_params(length=0, labelsize=8)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    figure.autofmt_xdate()
    save_figure(figure, path, dpi=160)

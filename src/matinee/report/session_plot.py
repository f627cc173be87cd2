"""The figure of a session audit: lengths, durations, sessions per user and per day."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from matinee.arrays import FloatArray, IntArray
from matinee.data.session_audit import SessionAudit
from matinee.data.statistics import percent
from matinee.report.files import save_figure
from matinee.report.style import BLUE, dates, headed_page, set_date_axis, set_title, short
from matinee.times import format_duration

_TICKS = {
    1: "1 s",
    10: "10 s",
    60: "1 min",
    600: "10 min",
    3600: "1 h",
    6 * 3600: "6 h",
    86_400: "1 d",
    7 * 86_400: "7 d",
}
_MAX_DAYS = 120
"""Maximum number of bars over time; in a longer log each bar covers several days."""


def draw_sessions(audit: SessionAudit, path: Path) -> None:
    """Draw a session audit and save it; the format follows the suffix of the path (.png, .svg, .pdf)."""
    save_figure(plot_sessions(audit), path, dpi=150)


def plot_sessions(audit: SessionAudit) -> Figure:
    """Draw the four panels of a session audit."""
    left = 0.07
    page = headed_page((11, 7.8), left, audit.name, _summary(audit))
    grid = page.add_gridspec(2, 2, left=left, right=0.965, top=0.815, bottom=0.075, hspace=0.62, wspace=0.22)
    for index, panel in enumerate((_lengths, _durations, _per_user, _per_day)):
        panel(page.add_subplot(grid[index // 2, index % 2]), audit)
    return page


def _summary(audit: SessionAudit) -> str:
    kept = f"{audit.sessions:,} sessions of {audit.min_length} or more events"
    left_out = f"{audit.short_sessions:,} shorter ones dropped"
    pause = f"pauses up to {format_duration(audit.gap_seconds)}"
    return f"{kept}  ·  {pause}  ·  {left_out}  ·  {audit.users:,} users"


def _lengths(axes: Axes, audit: SessionAudit) -> None:
    _counts(axes, audit.curves.lengths)
    axes.set_xlabel("events per session")
    set_title(axes, "Lengths", f"median {audit.lengths.median:,.0f} events, mean {audit.lengths.mean:,.1f}")


def _durations(axes: Axes, audit: SessionAudit) -> None:
    seconds = np.maximum(audit.curves.durations, 1)
    _bars(axes, seconds, np.geomspace(1, seconds.max() + 1, 30))
    ticks = [tick for tick in _TICKS if tick <= seconds.max()]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _TICKS.get(round(value), "")))
    axes.set_xlabel("time from first to last event")
    instant = (audit.curves.durations == 0).mean()
    note = f"; {percent(float(instant))} within one second" if instant else ""
    set_title(axes, "Durations", f"median {format_duration(audit.durations.median)}{note}")


def _per_user(axes: Axes, audit: SessionAudit) -> None:
    _counts(axes, audit.curves.per_user)
    axes.set_xlabel("sessions per user")
    once = float((audit.curves.per_user == 1).mean())
    set_title(axes, "Sessions per user", f"median {audit.per_user.median:,.0f}; {percent(once)} have one")


def _per_day(axes: Axes, audit: SessionAudit) -> None:
    days, counts = audit.curves.days, audit.curves.per_day
    width = -(-len(counts) // _MAX_DAYS)
    starts = np.arange(0, len(counts), width)
    sums = np.add.reduceat(counts, starts)
    axes.stairs(sums, dates(np.append(days[starts], days[-1])), fill=True, color=BLUE, lw=0)
    set_date_axis(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.set_ylabel("sessions per day" if width == 1 else f"sessions per {width} days")
    set_title(
        axes, "Sessions over time", f"median {audit.per_day.median:,.0f} per day, at most {audit.per_day.max:,.0f}"
    )


def _counts(axes: Axes, counts: IntArray) -> None:
    """Histogram of integers on a log axis; small ones get a bar each."""
    _bars(axes, counts, np.unique(np.geomspace(1, counts.max() + 1, 30).astype(np.int64)))
    axes.xaxis.set_major_formatter(FuncFormatter(short))


def _bars(axes: Axes, values: IntArray, edges: IntArray | FloatArray) -> None:
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts / len(values), edges, fill=True, color=BLUE)
    axes.set_xscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))

"""The figure of an audit of sessions: lengths, durations, sessions of users and of days."""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from matinee.arrays import FloatArray, IntArray
from matinee.data.session_audit import SessionAudit
from matinee.data.statistics import percent
from matinee.report.style import BLUE, dates, headed_page, put_dates, put_title, short
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
"""Days drawn one by one; a longer log is drawn in as many spans of whole days."""


def draw_sessions(found: SessionAudit, path: Path) -> None:
    """Draw an audit of sessions as one figure and write it; the suffix (.png, .svg, .pdf) decides the format."""
    with warnings.catch_warnings():
        # the name of a data set may be in a script that the font lacks; its boxes are no reason to warn
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure(found).savefig(path, dpi=150)


def figure(found: SessionAudit) -> Figure:
    """Draw an audit of sessions as four panels."""
    left = 0.07
    page = headed_page((11, 7.8), left, found.name, _summary(found))
    grid = page.add_gridspec(2, 2, left=left, right=0.965, top=0.815, bottom=0.075, hspace=0.62, wspace=0.22)
    for place, panel in enumerate((_lengths, _durations, _per_user, _per_day)):
        panel(page.add_subplot(grid[place // 2, place % 2]), found)
    return page


def _summary(found: SessionAudit) -> str:
    kept = f"{found.sessions:,} sessions of {found.min_length} events or more"
    left_out = f"{found.short_sessions:,} shorter ones left out"
    pause = f"pauses up to {format_duration(found.gap_seconds)}"
    return f"{kept}  ·  {pause}  ·  {left_out}  ·  {found.users:,} users"


def _lengths(axes: Axes, found: SessionAudit) -> None:
    _counts(axes, found.curves.lengths)
    axes.set_xlabel("events in a session")
    put_title(axes, "Lengths", f"median {found.lengths.median:,.0f} events, mean {found.lengths.mean:,.1f}")


def _durations(axes: Axes, found: SessionAudit) -> None:
    seconds = np.maximum(found.curves.durations, 1)
    _bars(axes, seconds, np.geomspace(1, seconds.max() + 1, 30))
    shown = [tick for tick in _TICKS if tick <= seconds.max()]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _TICKS.get(round(value), "")))
    axes.set_xlabel("from the first event to the last")
    at_once = (found.curves.durations == 0).mean()
    said = f"; {percent(float(at_once))} within one second" if at_once else ""
    put_title(axes, "Durations", f"median {format_duration(found.durations.median)}{said}")


def _per_user(axes: Axes, found: SessionAudit) -> None:
    _counts(axes, found.curves.per_user)
    axes.set_xlabel("sessions of a user")
    once = float((found.curves.per_user == 1).mean())
    put_title(axes, "Sessions of each user", f"median {found.per_user.median:,.0f}; {percent(once)} have one")


def _per_day(axes: Axes, found: SessionAudit) -> None:
    days, counts = found.curves.days, found.curves.per_day
    width = -(-len(counts) // _MAX_DAYS)
    places = np.arange(0, len(counts), width)
    sums = np.add.reduceat(counts, places)
    axes.stairs(sums, dates(np.append(days[places], days[-1])), fill=True, color=BLUE, lw=0)
    put_dates(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.set_ylabel("sessions in a day" if width == 1 else f"sessions in {width} days")
    put_title(axes, "Sessions over time", f"median {found.per_day.median:,.0f} a day, most {found.per_day.max:,.0f}")


def _counts(axes: Axes, counts: IntArray) -> None:
    """Bars of whole numbers on a log axis: one by one while they are small."""
    _bars(axes, counts, np.unique(np.geomspace(1, counts.max() + 1, 30).astype(np.int64)))
    axes.xaxis.set_major_formatter(FuncFormatter(short))


def _bars(axes: Axes, values: IntArray, edges: IntArray | FloatArray) -> None:
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts / len(values), edges, fill=True, color=BLUE)
    axes.set_xscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))

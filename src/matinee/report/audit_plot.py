"""The figure of an audit: six panels on one page."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from matinee.arrays import IntArray
from matinee.data.audit import Audit
from matinee.data.statistics import percent
from matinee.report.style import (
    AMBER,
    BLUE,
    INK,
    LINE,
    RED,
    dates,
    headed_page,
    put_dates,
    put_key,
    put_title,
    short,
)
from matinee.times import format_duration

PART_COLOURS = {"events": BLUE, "train": BLUE, "train and inputs": BLUE, "valid": AMBER, "test": RED}

_NONE = 0.5
"""Where a count of 0 stands on a log axis."""

Panel = Callable[[Axes, Audit], None]


def draw(found: Audit, path: Path) -> None:
    """Draw an audit as one figure and write it; the suffix of the path (.png, .svg, .pdf) decides the format."""
    with warnings.catch_warnings():
        # the name of a data set may be in a script that the font lacks; its boxes are no reason to warn
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure(found).savefig(path, dpi=150)


def figure(found: Audit) -> Figure:
    """Draw an audit: counts, time, values, drift and parts; panels without data give way to others."""
    left = 0.055
    page = headed_page((13, 7.8), left, found.name, _summary(found))
    grid = page.add_gridspec(2, 3, left=left, right=0.975, top=0.815, bottom=0.075, hspace=0.62, wspace=0.27)
    for place, panel in enumerate(_panels(found)):
        panel(page.add_subplot(grid[place // 3, place % 3]), found)
    return page


def _summary(found: Audit) -> str:
    parts = [
        f"{found.events:,} {found.kind}s",
        f"{found.users:,} users",
        f"{found.items:,} items",
        f"density {found.density:.2%}",
    ]
    if found.time:
        parts.append(f"{found.time.first[:10]} to {found.time.last[:10]}")
    if found.split:
        parts.append(f"split {found.split}")
    return "  ·  ".join(parts)


def _panels(found: Audit) -> list[Panel]:
    """Six panels, the first ones for which there is data, in a fixed order."""
    wanted: list[tuple[bool, Panel]] = [
        (True, _counts),
        (found.time is not None, _over_time),
        (len(found.curves.values) > 1, _values),
        (found.time is not None and bool(found.curves.halves[0].any()), _drift),
        (found.split is not None, _sizes),
        (found.split is not None, _dangers),
        (True, _concentration),
        (found.time is not None, _sessions),
    ]
    return [panel for there, panel in wanted if there][:6]


def _counts(axes: Axes, found: Audit) -> None:
    for counts, colour in ((found.curves.user_counts, BLUE), (found.curves.item_counts, RED)):
        ordered = np.sort(counts)
        share = 1 - np.arange(len(ordered)) / len(ordered)
        axes.step(np.maximum(ordered, 1), share, where="pre", color=colour, lw=2)
    axes.set(xscale="log", yscale="log", xlabel="at least this many events")
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    put_title(axes, "Events per user and per item", "")
    user, item = found.user_events.median, found.item_events.median
    put_key(axes, [(f"users, median {user:,.0f}", BLUE), (f"items, median {item:,.0f}", RED)])


def _over_time(axes: Axes, found: Audit) -> None:
    edges = found.curves.edges
    base = np.zeros(len(edges) - 1)
    for name, counts in found.curves.over_time.items():
        axes.stairs(base + counts, dates(edges), baseline=base, fill=True, color=PART_COLOURS[name], lw=0)
        base = base + counts
    put_dates(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.set_ylim(0, float(base.max()) * 1.05)
    axes.set_ylabel(f"in {format_duration(int(edges[1] - edges[0]))}")
    put_title(axes, "Events over time", "")
    if len(found.curves.over_time) > 1:
        put_key(axes, [(name, PART_COLOURS[name]) for name in found.curves.over_time])


def _values(axes: Axes, found: Audit) -> None:
    values, counts = found.curves.values, found.curves.value_counts
    mean = float((values * counts).sum() / counts.sum())
    if len(values) > 20:
        counts, edges = np.histogram(values, bins=20, weights=counts)
        values, width = (edges[:-1] + edges[1:]) / 2, float(edges[1] - edges[0])
    else:
        width = float(np.diff(values).min())
        axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.bar(values, counts / counts.sum(), width=0.82 * width, color=BLUE)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    put_title(axes, "Values", f"share of events; mean {mean:.2f}")


def _drift(axes: Axes, found: Audit) -> None:
    first, second = np.maximum(found.curves.halves, _NONE)
    most = float(max(first.max(), second.max()))
    axes.plot([_NONE, most], [_NONE, most], color=LINE, lw=1.5, zorder=1)
    axes.scatter(first, second, s=9, color=BLUE, alpha=max(0.08, min(0.5, 400 / len(first))), lw=0, zorder=2)
    axes.set(
        xscale="log", yscale="log", xlabel="events of an item in the first half of the log", ylabel="in the second"
    )
    ticks = [_NONE, *(10**power for power in range(1 + int(np.log10(most))))]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, ["0", *(short(tick, 0) for tick in ticks[1:])])
        axis.set_ticks([], minor=True)
    said = []
    if found.time and found.time.drift_correlation is not None:
        said.append(f"Spearman {found.time.drift_correlation:.2f}")
    if found.time and found.time.drift_unseen is not None:
        said.append(f"{percent(found.time.drift_unseen)} of the second half on new items")
    put_title(axes, "Popularity drift", "; ".join(said))


def _sizes(axes: Axes, found: Audit) -> None:
    names = ["train", *(part.name for part in found.parts)]
    sizes = [found.train_events, *(part.events for part in found.parts)]
    bars = axes.barh(names, sizes, color=[PART_COLOURS[name] for name in names], height=0.62)
    shares = [f"{size:,}  ({size / sum(sizes):.0%})" for size in sizes]
    axes.bar_label(bars, shares, padding=6, color=INK, size=10)
    axes.invert_yaxis()
    axes.set_xlim(0, max(sizes) * 1.55)
    axes.xaxis.set_visible(False)
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    shown = any(part.events > part.targets for part in found.parts)
    put_title(axes, "Events of each part", "targets and what is shown of held-out users" if shown else "")


def _dangers(axes: Axes, found: Audit) -> None:
    """What makes a split hard (cold users and items) or too easy (the future is known), as shares."""
    labels = ["cold users", "cold items", "targets older\nthan train", "older than the\nuser's own"]
    for offset, part in zip((-0.19, 0.19), found.parts, strict=True):
        shares = [
            part.cold_users / max(part.users, 1),
            part.cold_items / max(part.items, 1),
            part.older_than_train / max(part.targets, 1),
            part.older_than_own / max(part.targets, 1),
        ]
        places = np.arange(len(labels)) + offset
        bars = axes.barh(places, shares, height=0.34, color=PART_COLOURS[part.name])
        axes.bar_label(bars, [percent(share) for share in shares], padding=5, color=INK, size=9)
    axes.set_yticks(np.arange(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.16)
    axes.xaxis.set_visible(False)
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    put_title(axes, "Cold starts and leaks", "")
    put_key(axes, [(part.name, PART_COLOURS[part.name]) for part in found.parts])


def _concentration(axes: Axes, found: Audit) -> None:
    counts = np.sort(found.curves.item_counts)[::-1]
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    axes.plot([0, 1], [0, 1], color=LINE, lw=1.5)
    axes.plot(np.linspace(0, 1, len(share)), share, color=BLUE, lw=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set(xlabel="of the items, most popular first", ylabel="of the events")
    put_title(axes, "Concentration", f"top 1% of items: {found.top1_share:.0%} of events; Gini {found.gini:.2f}")


def _sessions(axes: Axes, found: Audit) -> None:
    lengths: IntArray = found.curves.session_lengths
    edges = np.unique(np.geomspace(1, lengths.max() + 1, 25).astype(np.int64))
    counts, _ = np.histogram(lengths, edges)
    axes.stairs(counts / len(lengths), edges, fill=True, color=BLUE)
    axes.set(xscale="log", xlabel="events in a session")
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    put_title(axes, "Sessions", f"{len(lengths):,}, median length {np.median(lengths):,.0f}")

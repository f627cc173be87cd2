"""The figure of an audit: six panels on a page."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from matinee.arrays import IntArray
from matinee.data.audit import Audit
from matinee.data.statistics import percent
from matinee.report.files import save_figure
from matinee.report.style import (
    AMBER,
    BLUE,
    INK,
    LINE,
    RED,
    add_legend,
    dates,
    headed_page,
    set_date_axis,
    set_title,
    short,
)
from matinee.times import format_duration

PART_COLOURS = {"events": BLUE, "train": BLUE, "train and inputs": BLUE, "valid": AMBER, "test": RED}

_NONE = 0.5
"""The position of a count of 0 on a log axis."""

Panel = Callable[[Axes, Audit], None]


def draw_audit(audit: Audit, path: Path) -> None:
    """Draw an audit and save it; the format follows the suffix of the path (.png, .svg, .pdf)."""
    save_figure(plot_audit(audit), path, dpi=150)


def plot_audit(audit: Audit) -> Figure:
    """Draw the panels of an audit: counts, time, values, drift, parts; panels without data are replaced by others."""
    left = 0.055
    page = headed_page((13, 7.8), left, audit.name, _summary(audit))
    panels = _panels(audit)
    across = 3 if len(panels) > 4 else 2
    grid = page.add_gridspec(2, across, left=left, right=0.975, top=0.815, bottom=0.075, hspace=0.62, wspace=0.27)
    for index, panel in enumerate(panels):
        panel(page.add_subplot(grid[index // across, index % across]), audit)
    return page


def _summary(audit: Audit) -> str:
    parts = [
        f"{audit.events:,} {audit.kind}s",
        f"{audit.users:,} users",
        f"{audit.items:,} items",
        f"density {audit.density:.2%}",
    ]
    if audit.time:
        parts.append(f"{audit.time.first[:10]} to {audit.time.last[:10]}")
    if audit.split:
        parts.append(f"split {audit.split}")
    return "  ·  ".join(parts)


def _panels(audit: Audit) -> list[Panel]:
    """The first six panels that have data, in a fixed order."""
    wanted: list[tuple[bool, Panel]] = [
        (True, _counts),
        (audit.time is not None, _over_time),
        (len(audit.curves.values) > 1, _values),
        (audit.time is not None and bool(audit.curves.halves[0].any()), _drift),
        (audit.split is not None, _sizes),
        (bool(audit.parts), _cold_and_leaks),
        (True, _concentration),
        (audit.time is not None, _sessions),
    ]
    return [panel for has_data, panel in wanted if has_data][:6]


def _counts(axes: Axes, audit: Audit) -> None:
    for counts, colour in ((audit.curves.user_counts, BLUE), (audit.curves.item_counts, RED)):
        ordered = np.sort(counts)
        share = 1 - np.arange(len(ordered)) / len(ordered)
        axes.step(np.maximum(ordered, 1), share, where="pre", color=colour, lw=2)
    axes.set(xscale="log", yscale="log", xlabel="at least this many events")
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    set_title(axes, "Events per user and per item", "")
    user, item = audit.user_events.median, audit.item_events.median
    add_legend(axes, [(f"users, median {user:,.0f}", BLUE), (f"items, median {item:,.0f}", RED)])


def _over_time(axes: Axes, audit: Audit) -> None:
    edges = audit.curves.edges
    base = np.zeros(len(edges) - 1)
    for name, counts in audit.curves.over_time.items():
        axes.stairs(base + counts, dates(edges), baseline=base, fill=True, color=PART_COLOURS[name], lw=0)
        base = base + counts
    set_date_axis(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.set_ylim(0, float(base.max()) * 1.05)
    axes.set_ylabel(f"events per {format_duration(int(edges[1] - edges[0]))}")
    set_title(axes, "Events over time", "")
    if len(audit.curves.over_time) > 1:
        add_legend(axes, [(name, PART_COLOURS[name]) for name in audit.curves.over_time])


def _values(axes: Axes, audit: Audit) -> None:
    values, counts = audit.curves.values, audit.curves.value_counts
    mean = float((values * counts).sum() / counts.sum())
    if len(values) > 20:
        counts, edges = np.histogram(values, bins=20, weights=counts)
        values, width = (edges[:-1] + edges[1:]) / 2, float(edges[1] - edges[0])
    else:
        width = float(np.diff(values).min())
        axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.bar(values, counts / counts.sum(), width=0.82 * width, color=BLUE)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    set_title(axes, "Values", f"share of events; mean {mean:.2f}")


def _drift(axes: Axes, audit: Audit) -> None:
    first, second = np.maximum(audit.curves.halves, _NONE)
    most = float(max(first.max(), second.max()))
    axes.plot([_NONE, most], [_NONE, most], color=LINE, lw=1.5, zorder=1)
    axes.scatter(first, second, s=9, color=BLUE, alpha=max(0.08, min(0.5, 400 / len(first))), lw=0, zorder=2)
    axes.set(
        xscale="log", yscale="log", xlabel="events of an item in the first half of the log", ylabel="in the second half"
    )
    ticks = [_NONE, *(10**power for power in range(1 + int(np.log10(most))))]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, ["0", *(short(tick, 0) for tick in ticks[1:])])
        axis.set_ticks([], minor=True)
    statistics = []
    if audit.time and audit.time.drift_correlation is not None:
        statistics.append(f"Spearman {audit.time.drift_correlation:.2f}")
    if audit.time and audit.time.drift_unseen is not None:
        statistics.append(f"{percent(audit.time.drift_unseen)} of the second half on new items")
    set_title(axes, "Popularity drift", "; ".join(statistics))


def _sizes(axes: Axes, audit: Audit) -> None:
    names = ["train", *(part.name for part in audit.parts)]
    sizes = [audit.train_events, *(part.events for part in audit.parts)]
    bars = axes.barh(names, sizes, color=[PART_COLOURS[name] for name in names], height=0.62)
    shares = [f"{size:,}  ({size / sum(sizes):.0%})" for size in sizes]
    axes.bar_label(bars, shares, padding=6, color=INK, size=10)
    axes.invert_yaxis()
    axes.set_xlim(0, max(sizes) * 1.55)
    axes.xaxis.set_visible(False)
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    has_inputs = any(part.events > part.targets for part in audit.parts)
    set_title(axes, "Events of each part", "targets and inputs of held-out users" if has_inputs else "")


def _cold_and_leaks(axes: Axes, audit: Audit) -> None:
    """Shares of cold users and items, which make a split hard, and of leaks, which make it too easy."""
    labels = ["cold users", "cold items"]
    if audit.time is not None:
        labels += ["targets older\nthan train", "targets older\nthan own inputs"]
    offsets = (-0.19, 0.19) if len(audit.parts) > 1 else (0.0,)
    for offset, part in zip(offsets, audit.parts, strict=False):
        shares = [
            part.cold_users / max(part.users, 1),
            part.cold_items / max(part.items, 1),
            part.older_than_train / max(part.targets, 1),
            part.older_than_own / max(part.targets, 1),
        ][: len(labels)]
        positions = np.arange(len(labels)) + offset
        bars = axes.barh(positions, shares, height=0.34, color=PART_COLOURS[part.name])
        axes.bar_label(bars, [percent(share) for share in shares], padding=5, color=INK, size=9)
    axes.set_yticks(np.arange(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.16)
    axes.xaxis.set_visible(False)
    axes.spines[["bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    set_title(axes, "Cold starts and leaks" if audit.time is not None else "Cold starts", "")
    add_legend(axes, [(part.name, PART_COLOURS[part.name]) for part in audit.parts])


def _concentration(axes: Axes, audit: Audit) -> None:
    counts = np.sort(audit.curves.item_counts)[::-1]
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    axes.plot([0, 1], [0, 1], color=LINE, lw=1.5)
    axes.plot(np.linspace(0, 1, len(share)), share, color=BLUE, lw=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set(xlabel="share of items, most popular first", ylabel="share of events")
    set_title(axes, "Concentration", f"top 1% of items: {audit.top1_share:.0%} of events; Gini {audit.gini:.2f}")


def _sessions(axes: Axes, audit: Audit) -> None:
    lengths: IntArray = audit.curves.session_lengths
    edges = np.unique(np.geomspace(1, lengths.max() + 1, 25).astype(np.int64))
    counts, _ = np.histogram(lengths, edges)
    axes.stairs(counts / len(lengths), edges, fill=True, color=BLUE)
    axes.set(xscale="log", xlabel="events per session")
    axes.xaxis.set_major_formatter(FuncFormatter(short))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    set_title(axes, "Sessions", f"{len(lengths):,}, median length {np.median(lengths):,.0f}")

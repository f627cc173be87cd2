"""The overview as words and figures of the page: every length in the units of its figure's viewBox."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from matinee.arrays import IntArray
from matinee.experiments.report import InterleavedReport, Report, SplitReport
from matinee.experiments.sequential import Difference
from matinee.histories import Instant
from matinee.serve.operate.latency import ALL, QUANTILES, RouteTimes
from matinee.serve.operate.overview import CLICK_DAYS, HOURS, LogState, Overview, Served
from matinee.serve.pages.i18n import Texts
from matinee.serve.pages.model_cards import ModelCard
from matinee.store.protocols import BOTH
from matinee.store.traffic import MOST_ROWS, ClickThrough

WIDTH, HEIGHT = 480, 80
"""Of the figure of a log by the hour."""
LEAST_SECONDS, MOST_SECONDS = 0.001, 5.0
"""The ends of the figure of latencies, which is logarithmic."""
MIDDLE_SECONDS = math.sqrt(LEAST_SECONDS * MOST_SECONDS)
MOST_CLICK_ROWS = 12
UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour. x, y, width, height: of its rectangle; at: of its hour, in words."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A log by the hour. name: of its text; total: over all hours; most: in an hour."""

    name: str
    bars: tuple[Bar, ...]
    total: int
    most: int


@dataclass(frozen=True, slots=True)
class Latency:
    """A route with its times in words. marks: where they lie, 0 to 100, None beyond the scale."""

    route: str
    n: int
    words: tuple[str, ...]
    marks: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference from the first arm. low, mean, high: 0 to 200, with no difference at 100."""

    model: str
    metric: str
    difference: Difference
    low: float
    mean: float
    high: float


def draw(found: Overview, texts: Texts, cards: Mapping[str, ModelCard]) -> dict[str, Any]:
    """The values of the template."""
    log = found.log
    return {
        "at": moment(texts, found.at),
        "found": found,
        "charts": _charts(log) if log else [],
        "hours": HOURS,
        "days": CLICK_DAYS,
        "most_rows": MOST_ROWS,
        "chart_size": (WIDTH, HEIGHT),
        "latencies": [_latency(texts, one) for one in found.times],
        "scale": [_milliseconds(texts, each) for each in (LEAST_SECONDS, MIDDLE_SECONDS, MOST_SECONDS)],
        "quantiles": [f"p{100 * share:g}" for share in QUANTILES],
        "newest": ago(texts, found.at - log.newest_event) if log and log.newest_event is not None else "",
        "unlearned": None if log is None or found.served.offset is None else max(0, log.n_events - found.served.offset),
        "clicks": log.clicks[:MOST_CLICK_ROWS] if log else [],
        "by_model": _by_model(log.clicks) if log else [],
        "most_share": max((one.share for one in log.clicks), default=0.0) if log else 0.0,
        "learned_at": moment(texts, found.served.learned.created) if found.served.learned else "",
        "verdicts": _verdicts(found.served),
        "experiment": log.experiment if log else None,
        "is_interleaved": log is not None and isinstance(log.experiment, InterleavedReport),
        "intervals": list(_intervals(log.experiment)) if log else [],
        "named": lambda name: BOTH.join(cards[one].label if one in cards else one for one in name.split(BOTH)),
    }


def moment(texts: Texts, at: Instant) -> str:
    """Date and time of day, UTC."""
    return f"{texts.date(at)} {datetime.fromtimestamp(at, UTC):%H:%M} UTC"


def ago(texts: Texts, seconds: int) -> str:
    """How long ago something was, in its largest unit."""
    n, name = next(((seconds // size, name) for size, name in UNITS if seconds >= size), (0, "seconds"))
    return texts(f"operate.{name}", n=n)


def _charts(log: LogState) -> list[Chart]:
    return [_chart("events", log.traffic.events), _chart("lists", log.traffic.lists)]


def _chart(name: str, counts: IntArray) -> Chart:
    most = int(counts.max(initial=0))
    step = WIDTH / len(counts)
    bars = tuple(
        Bar(n * step + 0.15 * step, HEIGHT - height, 0.7 * step, height)
        for n, count in enumerate(counts.tolist())
        if (height := max(1.0, HEIGHT * count / most) if count else 0.0)
    )
    return Chart(name, bars, int(counts.sum()), most)


def _latency(texts: Texts, one: RouteTimes) -> Latency:
    words = tuple(_milliseconds(texts, each) for each in one.seconds)
    return Latency("" if one.route == ALL else one.route, one.n, words, tuple(map(_mark, one.seconds)))


def _milliseconds(texts: Texts, seconds: float | None) -> str:
    if seconds is None:
        return texts("operate.beyond", seconds=texts.number(MOST_SECONDS))
    return texts("operate.ms", ms=texts.number(1000 * seconds, 1 if seconds < 0.01 else 0))


def _mark(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    share = math.log(max(seconds, LEAST_SECONDS) / LEAST_SECONDS) / math.log(MOST_SECONDS / LEAST_SECONDS)
    return 100 * min(1.0, share)


def _by_model(clicks: Sequence[ClickThrough]) -> list[ClickThrough]:
    """All rows of each model together, the most lists first."""
    models = dict.fromkeys(one.model for one in clicks)
    together = [
        ClickThrough("", model, sum(one.lists for one in clicks if one.model == model),
                     sum(one.taken for one in clicks if one.model == model))
        for model in models
    ]  # fmt: skip
    return sorted(together, key=lambda one: -one.lists)


def _verdicts(served: Served) -> list[dict[str, Any]]:
    found: Sequence[dict[str, Any]] = served.learned.log.get("verdicts", ()) if served.learned else ()
    return list(found)


def _intervals(report: Report | None) -> Iterator[Interval]:
    if not isinstance(report, SplitReport):
        return
    for one in report.versus:
        for metric, difference in one.differences.items():
            if math.isfinite(difference.low):
                reach = max(abs(difference.low), abs(difference.high)) or 1.0
                ends = (100 + 95 * each / reach for each in (difference.low, difference.estimate, difference.high))
                yield Interval(one.model, metric, difference, *ends)

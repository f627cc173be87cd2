"""The audit of a log and its split: sizes, concentration, drift over time, cold users and items, and leaks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray, blocks, count_rows, row_blocks
from matinee.config import PartName
from matinee.data.sessions import session_starts
from matinee.data.splits import PARTS, TRAIN, Split
from matinee.data.statistics import Summary, count_of, gini, rank_correlation, top_share
from matinee.dataset import Dataset, EventKinds, Events
from matinee.errors import DataError
from matinee.mapped import empty
from matinee.shown import Framed, Overview, Plotted, Shown
from matinee.times import format_time

_DAY = 86_400
_SPANS = 60
"""Maximum number of bins of the plot over time."""


@dataclass(frozen=True, slots=True)
class TimeAudit:
    """Statistics of a log's times.

    sessions: number of sessions with pauses up to an hour; session_events: events per session; drift_correlation:
    Spearman's, between items' events in the first and second half of the log, None if undefined; drift_unseen: share
    of the second half's events on items without an event in the first.
    """

    first: str
    last: str
    days: float
    sessions: int
    sessions_per_user: float
    session_events: Summary
    drift_correlation: float | None
    drift_unseen: float | None


@dataclass(frozen=True, slots=True)
class PartAudit:
    """Statistics of one part of a split.

    cold_users: without inputs; cold_items: without an event in train; older_than_train, older_than_own, repeated:
    targets, as in splits.LeakCounts.
    """

    name: PartName
    events: int
    targets: int
    users: int
    items: int
    cold_users: int
    cold_items: int
    older_than_train: int
    older_than_own: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Curves:
    """Data for the plots.

    user_counts [U], item_counts [I]: events of each; values [V] and value_counts [V]; edges [M + 1]: UTC seconds;
    over_time: part -> [M] events; halves [2, I]: events of each item in each half of the log; session_lengths [S].
    """

    user_counts: IntArray
    item_counts: IntArray
    values: FloatArray
    value_counts: IntArray
    edges: IntArray
    over_time: dict[str, IntArray]
    halves: IntArray
    session_lengths: IntArray


@dataclass(frozen=True, slots=True, repr=False)
class Audit(Shown, Framed, Plotted):
    """Statistics of a log and its split.

    duplicates: events beyond the first of a user and item; top1_share, top10_share: share of events on the top 1% and
    10% of items (at least one item); gini: of events per item, from 0 (all equal) to near 1 (one item has nearly all);
    parts: those that the split has; read, event_kinds: as in Dataset.
    """

    name: str
    kind: str
    fingerprint: str
    users: int
    items: int
    events: int
    density: float
    duplicates: int
    user_events: Summary
    item_events: Summary
    top1_share: float
    top10_share: float
    gini: float
    time: TimeAudit | None
    split: str | None
    train_events: int
    parts: tuple[PartAudit, ...]
    leaks: tuple[str, ...]
    notes: tuple[str, ...]
    read: tuple[dict[str, Any], ...]
    event_kinds: EventKinds
    curves: Curves = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All statistics and sentences, without the curves, ready for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "curves"}
        plain["time"] = asdict(self.time) if self.time else None
        for name in ("user_events", "item_events"):
            plain[name] = asdict(plain[name])
        plain["parts"] = [asdict(part) for part in self.parts]
        plain["event_kinds"] = {name: asdict(kind) for name, kind in self.event_kinds.items()}
        return plain | {"leaks": list(self.leaks), "notes": list(self.notes), "read": list(self.read)}

    def overview(self) -> Overview:
        """See Shown."""
        notes = (*(f"the split leaks: {leak}" for leak in self.leaks), *self.notes)
        return Overview(f"audit of {self.name}", [("what", "value"), *self.rows()], notes, "audit.to_frame()", "rows")

    def to_frame(self) -> pl.DataFrame:
        """The rows of the audit as text: what, value."""
        return pl.DataFrame(self.rows(), ["what", "value"], orient="row")

    def rows(self) -> list[tuple[str, str]]:
        """Table rows: label and value."""
        return [
            *_rows_of_log(self),
            *_rows_of_kinds(self.event_kinds),
            *_rows_of_time(self.time),
            *_rows_of_split(self),
        ]


def audit(data: Dataset, split: Split | None = None) -> Audit:
    """Audit a log and optionally its split; of a split from files pass its own data: `audit(cut.data, cut)`.

    Raises ValueError if the log has no events.
    """
    events = data.events
    if len(events) == 0:
        raise ValueError("no events to audit")
    user_counts = count_rows(events.user_rows, len(data.users))
    item_counts = count_rows(events.item_rows, len(data.items))
    support = item_counts[item_counts > 0]  # a table of items may have more
    halves = _halves(events, len(data.items)) if data.timed else np.zeros((2, 0), dtype=np.int64)
    lengths = _session_lengths(events) if data.timed else np.zeros(0, dtype=np.int64)
    values, value_counts = _distinct(events.values)
    edges, over_time = _over_time(data, split)
    return Audit(
        name=data.name,
        kind=data.kind,
        fingerprint=data.fingerprint,
        event_kinds=data.event_kinds,
        users=len(data.users),
        items=len(data.items),
        events=len(events),
        density=len(events) / (len(data.users) * len(data.items)),
        duplicates=len(events) - _n_pairs(data),
        user_events=Summary.of(user_counts),
        item_events=Summary.of(support),
        top1_share=top_share(support, 0.01),
        top10_share=top_share(support, 0.1),
        gini=float(gini(support)),
        time=_time_audit(data, halves, lengths) if data.timed else None,
        split=split.config.split if split else None,
        train_events=split.sizes()["train"] if split else len(events),
        parts=tuple(_part(split, name) for name in _parts_of(split)) if split else (),
        leaks=split.leaks if split else (),
        notes=(*data.notes, *(split.notes if split else ())),
        read=data.read,
        curves=Curves(user_counts, support, values, value_counts, edges, over_time, halves, lengths),
    )


def strict_problems(split: Split) -> list[str]:
    """The leaks on which `--strict` fails, one sentence each."""
    return list(split.leaks)


def require_no_leaks(split: Split) -> None:
    """Raises DataError if a split leaks: what `--strict` asks for."""
    problems = strict_problems(split)
    if problems:
        raise DataError(f"{len(problems)} leaks with --strict: {'; '.join(problems)}; split by time instead")


def _distinct(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """The different values, ascending, and how often each occurs. [N] -> [V], [V]."""
    found: FloatArray = values[:0]
    counts = np.zeros(0, dtype=np.int64)
    for block in blocks(len(values)):
        own, own_counts = np.unique(values[block], return_counts=True)
        found, index = np.unique(np.concatenate([found, own]), return_inverse=True)
        counts = np.bincount(index, np.concatenate([counts, own_counts])).astype(np.int64)
    return found, counts


def _n_pairs(data: Dataset) -> int:
    n_pairs = 0
    for _, block in row_blocks(data.user_starts):
        keys = data.events.user_rows[block].astype(np.int64) * len(data.items) + data.events.item_rows[block]
        n_pairs += int((np.diff(np.sort(keys), prepend=-1) != 0).sum())
    return n_pairs


def _halves(events: Events, n_items: int) -> IntArray:
    """Events of each item before, and from, the median time of the log. [2, I]."""
    ordered = empty(len(events), np.int64)
    ordered[:] = events.times
    ordered.sort()
    middle, halves = ordered[len(events) // 2], np.zeros((2, n_items), dtype=np.int64)
    for block in blocks(len(events)):
        late, items = events.times[block] >= middle, events.item_rows[block]
        halves += [np.bincount(items[half], minlength=n_items) for half in (~late, late)]
    return halves


def _session_lengths(events: Events) -> IntArray:
    return np.diff(np.flatnonzero(session_starts(events)), append=len(events))


def _time_audit(data: Dataset, halves: IntArray, session_lengths: IntArray) -> TimeAudit:
    first, last = int(data.events.times.min()), int(data.events.times.max())
    return TimeAudit(
        first=format_time(first),
        last=format_time(last),
        days=(last - first) / _DAY,
        sessions=len(session_lengths),
        sessions_per_user=len(session_lengths) / len(data.users),
        session_events=Summary.of(session_lengths),
        drift_correlation=rank_correlation(halves[0], halves[1]),
        drift_unseen=float(halves[1][halves[0] == 0].sum() / halves[1].sum()) if halves[0].any() else None,
    )


def _parts_of(split: Split) -> list[PartName]:
    """The parts that have events."""
    return [name for name in PARTS if split.sizes()[name]]


def _part(split: Split, name: PartName) -> PartAudit:
    targets, leaked = split.targets(name), split.count_leaks(name)
    cold_users, cold_items = split.count_cold(name)
    return PartAudit(
        name=name,
        events=split.sizes()[name],
        targets=len(targets),
        users=len(np.unique(targets.user_rows)),
        items=len(np.unique(targets.item_rows)),
        cold_users=cold_users,
        cold_items=cold_items,
        older_than_train=leaked.older_than_train,
        older_than_own=leaked.older_than_own,
        repeated=leaked.repeated,
    )


def _over_time(data: Dataset, split: Split | None) -> tuple[IntArray, dict[str, IntArray]]:
    """Histograms of each part's events over time: (edges [M + 1], part -> [M]). Empty without times."""
    if not data.timed:
        return np.zeros(0, dtype=np.int64), {}
    times = data.events.times
    first, after = int(times.min()), int(times.max()) + 1
    edges = np.linspace(first, after, min(_SPANS, after - first) + 1).astype(np.int64)
    parts = {"events": times}
    if split is not None:
        # from the split, because a split from files has its own events
        given = split.inputs("test", "train").times
        label = "train" if len(given) == int((split.labels == TRAIN).sum()) else "train and inputs"
        parts = {label: given} | {name: split.targets(name).times for name in _parts_of(split)}
    return edges, {name: np.histogram(at, edges)[0] for name, at in parts.items()}


def _rows_of_log(result: Audit) -> Sequence[tuple[str, str]]:
    return (
        ("data", f"{result.name} ({result.kind}s, {result.fingerprint})"),
        ("users", f"{result.users:,}"),
        ("items", f"{result.items:,}"),
        ("events", f"{result.events:,}"),
        ("density", f"{result.density:.3%}"),
        ("duplicates", f"{result.duplicates:,}"),
        ("events per user", str(result.user_events)),
        ("events per item", str(result.item_events)),
        ("events on the top 1% / 10% of items", f"{result.top1_share:.1%} / {result.top10_share:.1%}"),
        ("Gini of item popularity", f"{result.gini:.3f}"),
    )


def _rows_of_kinds(kinds: EventKinds) -> Sequence[tuple[str, str]]:
    """A row for each of the log's own kinds of events: how many of the lines that were read, and the weight of each."""
    return [
        (f"{name}: events", f"{kind.events:,}" + ("" if kind.value is None else f", each weighs {kind.value:g}"))
        for name, kind in kinds.items()
    ]


def _rows_of_time(time: TimeAudit | None) -> Sequence[tuple[str, str]]:
    if time is None:
        return (("time", "none in the log"),)
    correlation = "not defined" if time.drift_correlation is None else f"{time.drift_correlation:.3f}"
    unseen = "not defined" if time.drift_unseen is None else f"{time.drift_unseen:.1%}"
    return (
        ("time", f"{time.first} to {time.last} ({time.days:,.0f} days)"),
        ("sessions (pauses up to 1 hour)", f"{time.sessions:,}; {time.sessions_per_user:.1f} per user"),
        ("events per session", str(time.session_events)),
        ("item popularity, first against second half", f"rank correlation {correlation}"),
        ("second half: events on new items", unseen),
    )


def _rows_of_split(result: Audit) -> Sequence[tuple[str, str]]:
    if result.split is None:
        return ()
    rows = [("split", result.split), ("train", f"{result.train_events:,} events")]
    for part in result.parts:
        rows += [
            (part.name, f"{part.events:,} events, {part.targets:,} of them targets"),
            (f"{part.name}: cold users", count_of(part.cold_users, part.users)),
            (f"{part.name}: cold items", count_of(part.cold_items, part.items)),
        ]
        if result.time is not None:
            rows += [
                (f"{part.name}: targets older than train", count_of(part.older_than_train, part.targets)),
                (f"{part.name}: targets older than own inputs", count_of(part.older_than_own, part.targets)),
            ]
        rows += [
            (f"{part.name}: targets repeating an input", count_of(part.repeated, part.targets)),
        ]
    return rows

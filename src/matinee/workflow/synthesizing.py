"""Synthetic logs like a real one: fitted to it, drawn in memory or to files, and held against it."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from matinee.config import FilterConfig, SplitConfig
from matinee.data.audit import audit
from matinee.data.filters import apply_filters
from matinee.data.loading import events_from_frame
from matinee.data.loading import load as load_data
from matinee.data.splits import Split
from matinee.data.splits import split as cut
from matinee.data.synthesis.draw import Population, draw
from matinee.data.synthesis.files import frame_of
from matinee.data.synthesis.shape import LogShape
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.workflow.evaluating import evaluate
from matinee.workflow.fitting import fit
from matinee.workflow.given import require_dataset

TASTES = (0.0, 0.3, 0.5, 0.7, 0.9)
"""Shares of events by taste that are tried."""
MOST_USERS = 3_000
"""Users of a log to whom a shape's taste is fitted, a sample of larger ones, and with whom it is compared."""
MOST_ITEMS = 10_000
"""Items up to which ease is a part of the comparison."""


@dataclass(frozen=True, slots=True)
class LogComparison:
    """How a synthetic log compares with the real one. rows: what, of the real one, of the synthetic one."""

    rows: tuple[tuple[str, float, float], ...]

    def to_frame(self) -> pl.DataFrame:
        """One row for each statistic, with columns statistic, real and synthetic."""
        return pl.DataFrame(self.rows, schema=["statistic", "real", "synthetic"], orient="row")

    def to_json(self) -> dict[str, dict[str, float]]:
        """By statistic, ready for JSON."""
        return {name: {"real": real, "synthetic": synthetic} for name, real, synthetic in self.rows}


def synthesize(
    users: int | None = None,
    items: int | None = None,
    events: int | None = None,
    *,
    like: Dataset | None = None,
    seed: int = 42,
) -> Dataset:
    """A synthetic log in the shape of a real one: skewed activity and popularity, tastes, sessions, drift, values.

    users, items, events: its size, by default that of the real log; like: the real log, by default the bundled
    MovieLens. Items are those of a catalogue: few of them may have no event. For logs larger than memory,
    `matinee data synthesize` writes files.
    Raises MatineeError if the sizes do not fit together, or the log is too small to have a shape.
    """
    population = population_of(users, items, events, like=like, seed=seed)
    return _drawn(population)


def population_of(
    users: int | None = None,
    items: int | None = None,
    events: int | None = None,
    *,
    like: Dataset | None = None,
    seed: int = 42,
) -> Population:
    """Who and what a synthetic log is drawn of; arguments and errors as of `synthesize`."""
    data = load_data("bundled") if like is None else require_dataset(like, "mt.synthesize(..., like={})")
    shape = LogShape.of(data) if like is None else shape_of(data, seed)
    sizes = [
        own if given is None else given
        for given, own in ((users, len(data.users)), (items, len(data.items)), (events, len(data.events)))
    ]
    for name, size in zip(("users", "items", "events"), sizes, strict=True):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            what = repr(size) if isinstance(size, str | float | int) else f"a {type(size).__name__}"
            raise MatineeError(f"{name} = {what} is not a whole number above 0; write {name}=1000")
    n_users, n_items, n_events = sizes
    return Population.of(shape, n_users, n_items, n_events, seed)


def shape_of(data: Dataset, seed: int = 42) -> LogShape:
    """The shape of a log with its taste: the one at which item-knn is as much better than popularity as on the log.

    A log in which users have more than half of the items keeps the taste of MovieLens.
    """
    sample, shape = _sample(data, seed), LogShape.of(data)
    if not _can_be_drawn(sample):
        return shape
    wanted = _lead(sample, seed)
    of_sample = LogShape.of(sample)
    leads = [_lead(_drawn(_like(sample, replace(of_sample, taste=taste), seed)), seed) for taste in TASTES]
    ascending = np.maximum.accumulate(leads)
    return replace(shape, taste=float(np.interp(wanted, ascending, TASTES)))


def compare_logs(data: Dataset, shape: LogShape, seed: int = 42) -> LogComparison:
    """Hold a log, or a sample of its users, against a synthetic one of the same size.

    Raises MatineeError for a log in which users have more than half of the items.
    """
    sample = _sample(data, seed)
    if not _can_be_drawn(sample):
        raise MatineeError(f"{data.name} is too dense to be drawn: its users have more than half of the items")
    made = _drawn(_like(sample, replace(LogShape.of(sample), taste=shape.taste), seed))
    both = [_statistics(each, seed) for each in (sample, made)]
    return LogComparison(tuple((name, both[0][name], both[1][name]) for name in both[0] if name in both[1]))


def _can_be_drawn(data: Dataset) -> bool:
    """Whether a synthetic log may be as dense as this one, in which no user has more than half of the items."""
    return len(data.events) <= len(data.users) * (len(data.items) // 2)


def _like(data: Dataset, shape: LogShape, seed: int) -> Population:
    return Population.of(shape, len(data.users), len(data.items), len(data.events), seed)


def _sample(data: Dataset, seed: int) -> Dataset:
    if len(data.users) <= MOST_USERS:
        return data
    return apply_filters(data, FilterConfig(sample_users=MOST_USERS), rng=np.random.default_rng(seed))


def _drawn(population: Population) -> Dataset:
    """All events of a synthetic log, in memory."""
    frame = pl.concat([frame_of(part) for part in draw(population)])
    if not population.shape.values:
        frame = frame.drop("value")
    n_users, n_items = len(population.n_events), len(population.by_taste)
    return events_from_frame(frame, name=f"synthetic-{n_users}-{n_items}-{len(frame)}")


def _lead(data: Dataset, seed: int) -> float:
    """NDCG@10 of item-knn over that of popularity."""
    split = cut(data, SplitConfig(seed=seed))
    return _quality(split, "item-knn") / max(_quality(split, "popularity"), 1e-9)


def _quality(split: Split, model: str) -> float:
    return evaluate(fit(model, split), split, k=10, samples=100).metrics["ndcg@10"].mean


def _statistics(data: Dataset, seed: int) -> dict[str, float]:
    found, split = audit(data), cut(data, SplitConfig(seed=seed))
    rows = {
        "items with events": float(found.items),
        "events of a user: median": found.user_events.median,
        "events of a user: 95%": found.user_events.p95,
        "events of an item: median": found.item_events.median,
        "events of an item: 95%": found.item_events.p95,
        "events on the top 1% of items": found.top1_share,
        "Gini of item popularity": found.gini,
        "mean value": float(data.events.values.mean()),
    }
    if found.time is not None:
        rows["sessions of a user"] = found.time.sessions_per_user
        rows["events of a session: median"] = found.time.session_events.median
        rows["events of a session: 95%"] = found.time.session_events.p95
        rows["second half: events on new items"] = found.time.drift_unseen or 0.0
    models = ("popularity", "item-knn", "ease") if len(data.items) <= MOST_ITEMS else ("popularity", "item-knn")
    return rows | {f"NDCG@10 of {name}": _quality(split, name) for name in models}

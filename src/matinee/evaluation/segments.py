"""Metrics by segment: all of them by what a user's history is like, and recall by what a target is like."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.catalogue import Catalogue
from matinee.evaluation.metrics import PerUser
from matinee.histories import Histories

QUARTERS = ("least active quarter", "second quarter", "third quarter", "most active quarter")
HISTORIES = ("new", "short", "medium", "long")
LONGEST = (5, 20, 100)
"""The most events of input in a new, short and medium history."""
CLASSES = ("head", "mid", "tail")
SHARES = (0.5, 0.8)
"""Head: the fewest items that make up half of the training events. Head and mid: those that make up 80%."""
DECILES = tuple(tenth / 10 for tenth in range(1, 10))
"""Decile 1: the fewest items that make up a tenth of the training events, and so on to decile 10, the rarest."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Metrics of a subset of the users, predictions or items (`of`). size: how many; about: what they share.

    by: what divides the subsets: activity and history of users; popularity, decile, genre and era of items.
    """

    of: str
    name: str
    size: int
    about: str
    metrics: dict[str, float]
    by: str = "activity"


@dataclass(frozen=True, slots=True)
class Lists:
    """B lists with their hits [B, K], and the targets of the same B users. of: users or predictions."""

    items: IntArray
    hits: BoolArray
    targets: Histories
    ks: Sequence[int]
    of: str = "users"


def segments_of(
    lists: Lists, lengths: IntArray, measured: Mapping[str, PerUser], support: IntArray, catalogue: Catalogue
) -> tuple[Segment, ...]:
    """All segments of a report. lengths: [B], events of input; support: [I], training users of each item."""
    return (
        *by_activity(lengths, measured, lists.of),
        *by_history(lengths, measured, lists.of),
        *by_popularity(lists, support),
        *by_decile(lists, support),
        *by_genre(lists, catalogue),
        *by_era(lists, catalogue),
    )


def by_activity(lengths: IntArray, measured: Mapping[str, PerUser], of: str = "users") -> list[Segment]:
    """Every metric for the quarters of lists by input length [B]. Equal lengths stay in one quarter."""
    quarter = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75]), lengths)
    return list(_of_lengths(quarter, QUARTERS, "activity", lengths, measured, of))


def by_history(lengths: IntArray, measured: Mapping[str, PerUser], of: str = "users") -> list[Segment]:
    """Every metric for new, short, medium and long histories: the bounds are the same for all data."""
    return list(_of_lengths(np.searchsorted(LONGEST, lengths), HISTORIES, "history", lengths, measured, of))


def by_popularity(lists: Lists, support: IntArray) -> list[Segment]:
    """Recall of the targets in head, mid and tail. support: [I], number of training users of each item."""
    classes = popularity_classes(support)
    return [_of_items(lists, "popularity", name, classes == index) for index, name in enumerate(CLASSES)]


def by_decile(lists: Lists, support: IntArray) -> list[Segment]:
    """Recall of the targets by tenths of the training events, the most popular items first."""
    classes = popularity_classes(support, DECILES)
    return [_of_items(lists, "decile", str(tenth + 1), classes == tenth) for tenth in range(len(DECILES) + 1)]


def by_genre(lists: Lists, catalogue: Catalogue) -> list[Segment]:
    """Recall of the targets of each genre; an item may have several. Empty where the data know no genres."""
    columns = zip(catalogue.genre_names, catalogue.genre_matrix.T, strict=True)
    return [_of_items(lists, "genre", name, member) for name, member in columns]


def by_era(lists: Lists, catalogue: Catalogue) -> list[Segment]:
    """Recall of the targets of each decade. Empty where the data know no years."""
    decades = np.array(catalogue.years, dtype=np.int64) // 10 * 10
    return [_of_items(lists, "era", f"{year}s", decades == year) for year in np.unique(decades[decades > 0]).tolist()]


def popularity_classes(support: IntArray, shares: Sequence[float] = SHARES) -> IntArray:
    """0 for the head items, then 1, 2, ... [I] -> [I]. Among items of equal support the earlier row comes first."""
    order = np.argsort(-support, kind="stable")
    before = np.cumsum(support[order]) - support[order]
    classes = np.empty(len(support), dtype=np.int64)
    # an item belongs to the head as long as the items before it do not reach the share
    classes[order] = np.searchsorted(np.array(shares) * support.sum(), before, side="right")
    return classes


def _of_lengths(
    part: IntArray, names: Sequence[str], by: str, lengths: IntArray, measured: Mapping[str, PerUser], of: str
) -> Iterator[Segment]:
    """A segment for each part that has a list. part, lengths: [B]."""
    for index, name in enumerate(names):
        inside = part == index
        if inside.any():
            about = f"{lengths[inside].min():,} to {lengths[inside].max():,} events of input"
            means = {metric: values.take(inside).mean for metric, values in measured.items()}
            yield Segment(of, name, int(inside.sum()), about, means, by)


def _of_items(lists: Lists, by: str, name: str, member: BoolArray) -> Segment:
    """Recall at each k of the targets among some items, averaged over the users with such a target. member: [I]."""
    of_list = np.append(member, False)[lists.items]  # [B, K]; UNKNOWN indexes the last
    of_target = member[lists.targets.items]
    n_targets = np.bincount(lists.targets.owners[of_target], minlength=len(lists.targets))
    inside = n_targets > 0
    n_hits = np.cumsum(lists.hits & of_list, axis=1)[inside]
    longest = lists.items.shape[1]
    means = {f"recall@{k}": _mean(n_hits[:, min(k, longest) - 1] / n_targets[inside]) for k in lists.ks}
    about = f"{n_targets.sum():,} targets of {inside.sum():,} {lists.of}"
    return Segment("items", name, int(member.sum()), about, means, by)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")

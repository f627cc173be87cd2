"""Metrics by segment: all of them by user activity, and recall by item popularity."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.evaluation.metrics import PerUser
from matinee.histories import Histories
from matinee.vocab import UNKNOWN

QUARTERS = ("least active quarter", "second quarter", "third quarter", "most active quarter")
CLASSES = ("head", "mid", "tail")
SHARES = (0.5, 0.8)
"""Head: the fewest items that make up half of the training events. Head and mid: those that make up 80%."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Metrics of a subset of the users, predictions or items (`of`). size: how many; about: what they share."""

    of: str
    name: str
    size: int
    about: str
    metrics: dict[str, float]


def by_activity(lengths: IntArray, measured: Mapping[str, PerUser], of: str = "users") -> list[Segment]:
    """Every metric for the quarters of lists by input length [B]. Equal lengths stay in one quarter."""
    quarter = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75]), lengths)
    segments: list[Segment] = []
    for index, name in enumerate(QUARTERS):
        inside = quarter == index
        if inside.any():
            about = f"{lengths[inside].min():,} to {lengths[inside].max():,} events of input"
            means = {metric: values.take(inside).mean for metric, values in measured.items()}
            segments.append(Segment(of, name, int(inside.sum()), about, means))
    return segments


def by_popularity(
    items: IntArray, hits: BoolArray, targets: Histories, support: IntArray, ks: Iterable[int], of: str = "users"
) -> list[Segment]:
    """Recall at each k of the targets in each popularity class, averaged over the users with such a target.

    items, hits: [B, K]; targets of the same B users; support: [I], number of training users of each item.
    """
    classes = popularity_classes(support)
    of_list = np.where(items == UNKNOWN, UNKNOWN, classes[items])  # [B, K]
    of_target = classes[targets.items]
    segments: list[Segment] = []
    for index, name in enumerate(CLASSES):
        n_targets = np.bincount(targets.owners[of_target == index], minlength=len(targets))
        inside = n_targets > 0
        n_hits = np.cumsum(hits & (of_list == index), axis=1)[inside]
        means = {f"recall@{k}": _mean(n_hits[:, min(k, items.shape[1]) - 1] / n_targets[inside]) for k in ks}
        about = f"{n_targets.sum():,} targets of {inside.sum():,} {of}"
        segments.append(Segment("items", name, int((classes == index).sum()), about, means))
    return segments


def popularity_classes(support: IntArray) -> IntArray:
    """0 for head items, 1 mid, 2 tail. [I] -> [I]. Among items of equal support the earlier row comes first."""
    order = np.argsort(-support, kind="stable")
    before = np.cumsum(support[order]) - support[order]
    classes = np.empty(len(support), dtype=np.int64)
    # an item belongs to the head as long as the items before it do not reach the share
    classes[order] = np.searchsorted(np.array(SHARES) * support.sum(), before, side="right")
    return classes


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")

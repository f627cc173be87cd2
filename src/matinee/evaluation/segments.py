"""Who a model serves well: the same metrics by how active users are, and recall by how popular items are."""

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
"""The head is the fewest items that make up half of the training events, head and mid those that make up 80%."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Figures of a part of the users, predictions or items (`of`). size: how many; about: what they share."""

    of: str
    name: str
    size: int
    about: str
    metrics: dict[str, float]


def by_activity(lengths: IntArray, measured: Mapping[str, PerUser], of: str = "users") -> list[Segment]:
    """Every metric for the quarters of lists by length of input [B]. Equal lengths stay together."""
    quarter = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75]), lengths)
    segments: list[Segment] = []
    for place, name in enumerate(QUARTERS):
        inside = quarter == place
        if inside.any():
            about = f"{lengths[inside].min():,} to {lengths[inside].max():,} events of input"
            means = {metric: values.take(inside).mean for metric, values in measured.items()}
            segments.append(Segment(of, name, int(inside.sum()), about, means))
    return segments


def by_popularity(
    items: IntArray, hits: BoolArray, targets: Histories, n_holders: IntArray, ks: Iterable[int], of: str = "users"
) -> list[Segment]:
    """Recall at each k of the targets in each class of items, a mean over the users who have such a target.

    items, hits: [B, K]; targets of the same B users; n_holders: [I], training users who have each item.
    """
    classes = popularity_classes(n_holders)
    of_list = np.where(items == UNKNOWN, UNKNOWN, classes[items])  # [B, K]
    of_target = classes[targets.items]
    segments: list[Segment] = []
    for place, name in enumerate(CLASSES):
        wanted = np.bincount(targets.owners[of_target == place], minlength=len(targets))
        inside = wanted > 0
        found = np.cumsum(hits & (of_list == place), axis=1)[inside]
        means = {f"recall@{k}": _mean(found[:, min(k, items.shape[1]) - 1] / wanted[inside]) for k in ks}
        about = f"{wanted.sum():,} targets of {inside.sum():,} {of}"
        segments.append(Segment("items", name, int((classes == place).sum()), about, means))
    return segments


def popularity_classes(n_holders: IntArray) -> IntArray:
    """0 for items of the head, 1 mid, 2 tail. [I] -> [I]. Items of equal popularity: the earlier row comes first."""
    order = np.argsort(-n_holders, kind="stable")
    before = np.cumsum(n_holders[order]) - n_holders[order]
    classes = np.empty(len(n_holders), dtype=np.int64)
    # an item belongs to the head as long as those before it fall short of the share
    classes[order] = np.searchsorted(np.array(SHARES) * n_holders.sum(), before, side="right")
    return classes


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")

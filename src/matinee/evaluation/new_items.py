"""Lists of new items only: how well a model ranks, among themselves, items that nobody had in training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray
from matinee.config import PartName
from matinee.data.splits import Split
from matinee.errors import MatineeError
from matinee.evaluation.metrics import accuracy, find_hits
from matinee.evaluation.task import Task
from matinee.models.base import Recommender
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import rank

NEW = "new-"
"""How the names of metrics of these lists begin."""
MEASURED = ("ndcg", "recall", "hit-rate")


def items_held_out(split: Split, part: PartName) -> BoolArray | None:
    """Which items are held out for a part of a split by new items. [I]; None for other splits."""
    if split.config.split != "new-items":
        return None
    held_out = np.zeros(len(split.data.items), dtype=bool)
    held_out[split.targets(part).item_rows] = True
    return held_out


def measure_new(
    model: Recommender[Any], task: Task, held_out: BoolArray | None, ks: Sequence[int], cold: Fallback | None = None
) -> dict[str, FloatArray]:
    """Metrics of lists in which only the held-out items stand. Returns new-name@k -> [B]; {} without held-out items."""
    if held_out is None:
        return {}
    lists = [
        rank(model, inputs, max(ks), masked=masked, allowed=held_out, cold=cold).items
        for inputs, masked in task.batches()
    ]
    hits = find_hits(np.concatenate(lists), task.targets.starts, task.targets.items, task.n_items)
    values = accuracy(hits, task.n_relevant, ks)
    return {NEW + name: column for name, column in values.items() if name.partition("@")[0] in MEASURED}


def require_new_items(metric: str, held_out: BoolArray | None) -> None:
    """Raises MatineeError for a metric of new items on another split."""
    if held_out is None:
        raise MatineeError(f"{metric} is of items held out of training; it needs --split new-items")

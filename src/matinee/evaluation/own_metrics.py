"""Metrics of a caller's own: functions of lists, which every evaluation of this process then measures."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.evaluation.metrics import LOWER_IS_BETTER, METRICS, PerUser, find_hits
from matinee.evaluation.task import Task
from matinee.vocab import UNKNOWN, Vocab


@dataclass(frozen=True, slots=True, eq=False)
class JudgedLists:
    """Lists of B users, and what of them is right.

    item_rows: [B, k], best first, -1 where a list is short; item_ids: [B, k], the same as ids, None there;
    hits: [B, k], whether it is a target; n_targets: [B], 1 at least; user_rows: [B], whose list it is; k: the length.
    """

    item_rows: IntArray
    item_ids: NDArray[Any]
    hits: BoolArray
    n_targets: IntArray
    user_rows: IntArray
    k: int


OwnMetric = Callable[[JudgedLists], ArrayLike]
"""Returns one number for each list, NaN where it is undefined. [B]."""
OWN: dict[str, OwnMetric] = {}


def metric(name: str, *, lower_is_better: bool = False, replace: bool = False) -> Callable[[OwnMetric], OwnMetric]:
    """Register a function of lists as a metric of every evaluation that follows in this process: a decorator.

    name: such as `rare-recall`; reports have it with each list length, `rare-recall@10`. Raises MatineeError for a name
    that is no word of small letters, digits and hyphens, or that another metric has, unless it is your own and
    `replace` is set.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise MatineeError(
            f"metric {name!r} is no name; write small letters, digits and hyphens, such as 'rare-recall'"
        )
    if name in METRICS and not (replace and name in OWN):
        fix = "pass replace=True to take its place" if name in OWN else "choose another name"
        raise MatineeError(f"there is a metric {name!r} already; {fix}")

    def register(function: OwnMetric) -> OwnMetric:
        OWN[name] = function
        METRICS[name] = (function.__doc__ or "a metric of this process").strip().splitlines()[0]
        (LOWER_IS_BETTER.add if lower_is_better else LOWER_IS_BETTER.discard)(name)
        return function

    return register


def measure_own(task: Task, items: IntArray, vocab: Vocab, ks: Iterable[int]) -> dict[str, PerUser]:
    """The registered metrics of lists of item rows [B, K], at each k. Raises MatineeError for a wrong answer."""
    if not OWN:
        return {}
    hits = find_hits(items, task.targets.starts, task.targets.items, task.n_items)
    ids = vocab.ids.astype(object)[items]  # [B, K]
    ids[items == UNKNOWN] = None
    users = task.targets.user_rows
    found: dict[str, PerUser] = {}
    for k in ks:
        lists = JudgedLists(items[:, :k], ids[:, :k], hits[:, :k], task.n_relevant, users, k)
        for name, function in OWN.items():
            found[f"{name}@{k}"] = PerUser(_values(f"{name}@{k}", function(lists), len(items)))
    return found


def _values(name: str, answer: ArrayLike, n_lists: int) -> FloatArray:
    """An answer as an array. [B]."""
    try:
        values = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        raise MatineeError(f"metric {name} answered with a {type(answer).__name__}, not with numbers") from None
    if values.shape != (n_lists,):
        raise MatineeError(
            f"metric {name} answered with shape {values.shape}, not one number for each of {n_lists} lists"
        )
    if np.isinf(values).any():
        raise MatineeError(f"metric {name} is infinite for {int(np.isinf(values).sum())} lists; NaN leaves a list out")
    return values

"""Fits by a runner: from counts of users in parts, or by blocks of users and of items."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.errors import UsageError
from matinee.histories import TrainingData
from matinee.models.base import Counts, FitsByBlocks, FitsFromSums, Recommender
from matinee.scale.runner import Runner
from matinee.training.run import Run

PARTS = 16
"""Parts of the users, at most."""
PART_PAIRS = 2**22
"""Pairs of items of a part, at least: some hundredths of a second of work."""
PAIRS_OF_CELL = 8
"""And for each cell of the counts, which cost about as much to bring back and add as so many pairs to count."""


@dataclass(frozen=True, slots=True, eq=False)
class CountUsers:
    """The job of a runner: from a range of the training histories to their counts."""

    model: FitsFromSums
    train: TrainingData

    def __call__(self, users: tuple[int, int]) -> Counts:
        """users: the first, and one past the last."""
        return self.model.count(replace(self.train, histories=self.train.histories.block(*users)))


def fit_by_parts(model: Recommender[Any], train: TrainingData, run: Run, runner: Runner) -> Recommender[Any]:
    """As `model.fit`, by a runner: from counts of parts of the users, or each step by blocks.

    Raises UsageError for a model that is fitted otherwise.
    """
    require_parts(model, train)
    if isinstance(model, FitsByBlocks):
        return model.fit_by_blocks(train, run, runner)
    assert isinstance(model, FitsFromSums)
    return model.fit_counts(count_by_parts(model, train, runner), train, run)


def require_parts(model: Recommender[Any], train: TrainingData) -> None:
    """Raises UsageError for a model that is fitted neither from counts of users nor by blocks."""
    if isinstance(model, FitsByBlocks) or (isinstance(model, FitsFromSums) and model.can_count(train)):
        return
    raise UsageError(
        f"--workers and --on have no effect on {model.name} with these data and settings, since it is fitted "
        "neither from counts of its users nor by blocks of them; leave them out"
    )


def user_parts(train: TrainingData) -> list[tuple[int, int]]:
    """Ranges of the training histories that cost about the same: first, and one past the last."""
    pairs = train.histories.lengths.astype(np.float64) ** 2
    least = max(PART_PAIRS, PAIRS_OF_CELL * train.n_items**2)
    n_parts = int(np.clip(pairs.sum() // least, 1, min(PARTS, len(pairs))))
    costs = np.cumsum(pairs + pairs.mean())  # a user costs something beside the pairs
    limits = np.searchsorted(costs, costs[-1] * np.arange(1, n_parts) / n_parts)
    edges = np.unique([0, *limits, len(pairs)])
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def count_by_parts(model: FitsFromSums, train: TrainingData, runner: Runner) -> Counts:
    """The counts of all users.

    Parts follow from the data and are added in their order, so the counts are the same for every runner, bit for bit;
    where they are whole numbers, they are also those of `model.count`.
    """
    total: Counts | None = None
    for counts in runner.map(CountUsers(model, train), user_parts(train)):
        total = counts if total is None else total + counts
    assert total is not None
    return total

"""Fits by a runner: from counts by strips of items, or by blocks of users and of items."""

from typing import Any

from matinee.errors import UsageError
from matinee.histories import TrainingData
from matinee.models.base import Counts, FitsByBlocks, FitsFromSums, Recommender
from matinee.models.item_strips import strip_ranges
from matinee.scale.runner import Runner
from matinee.training.run import Run


def fit_by_parts(model: Recommender[Any], train: TrainingData, run: Run, runner: Runner) -> Recommender[Any]:
    """As `model.fit`, by a runner: from counts by strips of items, or each step by blocks.

    Raises UsageError for a model that is fitted otherwise.
    """
    require_parts(model, train)
    if isinstance(model, FitsByBlocks):
        return model.fit_by_blocks(train, run, runner)
    assert isinstance(model, FitsFromSums)
    return model.fit_counts(count_by_parts(model, train, runner), train, run)


def require_parts(model: Recommender[Any], train: TrainingData) -> None:
    """Raises UsageError for a model that is fitted neither from counts of users nor by blocks."""
    if (
        model.shares_batches
        or isinstance(model, FitsByBlocks)
        or (isinstance(model, FitsFromSums) and model.can_count(train))
    ):
        return
    raise UsageError(
        f"--workers and --on have no effect on {model.name} with these data and settings, since it is fitted "
        "neither from counts of its users nor by blocks of them, nor by shares of batches; leave them out"
    )


def count_by_parts(model: FitsFromSums[Any], train: TrainingData, runner: Runner) -> Counts:
    """The counts of all users, the same for every runner, bit for bit: strips of items follow from the data."""
    strips = model.strips(train)
    counts: Counts = strips.join(runner.map(strips, strip_ranges(strips.costs)))
    return counts

"""From how many ratings on a model's predicted values beat averages: measured when it is trained, saved with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.arrays import FloatArray, rows_of
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.evaluation.bootstrap import draw_means
from matinee.evaluation.metrics import errors_of_values
from matinee.evaluation.predicted_values import predict
from matinee.evaluation.significance import holm, paired_p
from matinee.evaluation.task import Task
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender

LENGTHS = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of ratings at which predictions are compared with averages."""
DAMPING = 10.0
"""Pseudo-ratings of difference 0 in a user's mean difference from the items' means."""
MAX_USERS, MIN_USERS = 2000, 20
"""Users drawn for each length of history; with fewer than MIN_USERS a length is not measured."""
SAMPLES, ALPHA = 2000, 0.05


@dataclass(frozen=True, slots=True)
class LengthOfHistory:
    """RMSE at one number of ratings, of a model and of two averages, over the same users.

    item_mean: the item's mean in training; item_and_user_mean: the same plus how far the user's ratings lie from the
    means of their items, damped. p: of the difference from the closer of the two, with Holm's correction over all
    lengths; better: whether the model beats both, p at most ALPHA.
    """

    ratings: int
    users: int
    rmse: float
    item_mean: float
    item_and_user_mean: float
    p: float
    better: bool


def by_length_of_history(
    model: Recommender[Any], split: Split, rng: np.random.Generator, lengths: Sequence[int] = LENGTHS
) -> tuple[LengthOfHistory, ...]:
    """The model, fitted on train, on the ratings of valid, from as many ratings of train as each length says.

    At each length up to MAX_USERS users are drawn from those with as many ratings, and as many of their ratings.
    """
    task = Task.of(split, EvaluationConfig(on="valid", predict="last"))
    if not isinstance(task.histories, Histories):
        return ()
    averages = _item_means(split.training(), task.n_items)
    rated = task.histories.keep(~np.isnan(task.histories.values))
    found: list[tuple[int, int, list[float], float]] = []
    for length in lengths:
        users = np.flatnonzero(rated.lengths >= length)
        if len(users) < MIN_USERS:
            continue
        users = np.sort(rng.permutation(users)[:MAX_USERS])
        inputs, targets = draw_events(rated.take(users), length, rng), task.judged.take(users)
        errors = [
            errors_of_values(values, targets.values, targets.starts)["rmse"]
            for values in (predict(model, inputs, targets, task.n_items), *_averages(averages, inputs, targets))
        ]
        draws = draw_means(errors, len(users), SAMPLES, rng)
        p = float(paired_p(draws[:, [0]] - draws[:, 1:]).max())
        found.append((length, len(users), [each.mean for each in errors], p))
    adjusted = holm(np.array([p for *_, p in found]))
    return tuple(
        LengthOfHistory(length, n_users, mine, item, user, p, bool(p <= ALPHA and mine < min(item, user)))
        for (length, n_users, (mine, item, user), _), p in zip(found, adjusted.tolist(), strict=True)
    )


def draw_events(histories: Histories, n: int, rng: np.random.Generator) -> Histories:
    """At most n events of each history, drawn without replacement, in their order."""
    order = np.lexsort((rng.random(len(histories.items)), histories.owners))
    drawn = np.arange(len(order)) - histories.starts[histories.owners] < n
    kept = np.zeros(len(order), dtype=bool)
    kept[order[drawn]] = True
    return histories.keep(kept)


def _item_means(train: TrainingData, n_items: int) -> FloatArray:
    """Mean rating of each item in training; the mean of all ratings for an item without any. [I]."""
    rated = train.histories.keep(~np.isnan(train.histories.values))
    counts = np.bincount(rated.items, minlength=n_items)
    sums = np.bincount(rated.items, rated.values, minlength=n_items)
    means: FloatArray = np.where(counts > 0, sums / np.maximum(counts, 1), rated.values.mean(dtype=np.float64))
    return means


def _averages(item_means: FloatArray, inputs: Histories, targets: Histories) -> tuple[FloatArray, FloatArray]:
    """The items' means, and the same plus each user's damped mean difference from them. [N], [N]."""
    differences = np.bincount(inputs.owners, inputs.values - item_means[inputs.items], minlength=len(inputs))
    user_difference = differences / (inputs.lengths + DAMPING)
    means = item_means[targets.items]
    return means, means + user_difference[rows_of(targets.starts)]

"""Predicted values of target events, and how they are calibrated."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.arrays import FloatArray
from matinee.data.prefixes import Prefixes
from matinee.evaluation.bootstrap import draw_means, percentiles
from matinee.evaluation.metrics import PerUser
from matinee.histories import Histories
from matinee.models.base import PredictsValues, Recommender
from matinee.ranking.rank import BLOCK_BYTES

N_BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Target events of similar predictions: mean prediction, mean value with its 95% interval, number of events."""

    predicted: float
    actual: float
    low: float
    high: float
    events: int


def predict(model: Recommender[Any], histories: Histories | Prefixes, targets: Histories, n_items: int) -> FloatArray:
    """Predicted value of each target event. [N]. Users are scored in blocks of bounded memory."""
    predicted = np.empty(len(targets.items))
    size = max(1, BLOCK_BYTES // (8 * n_items))
    for start in range(0, len(targets), size):
        stop = min(start + size, len(targets))
        inputs = histories.block(start, stop)
        scores = (  # [b, I]
            model.predict_values(inputs) if isinstance(model, PredictsValues) else model.score(model.state_of(inputs))
        )
        wanted = targets.block(start, stop)
        predicted[targets.starts[start] : targets.starts[stop]] = scores[wanted.owners, wanted.items]
    return predicted


def calibration(
    predicted: FloatArray, targets: Histories, rng: np.random.Generator, samples: int = 1000
) -> tuple[CalibrationBin, ...]:
    """Target events [N] in N_BINS groups of equal size by prediction; equal predictions stay in one group.

    The interval is a bootstrap over users, as everywhere.
    """
    if len(predicted) == 0:
        return ()
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    groups = np.searchsorted(edges, predicted, side="right")
    owners, n_users = targets.owners, len(targets)
    measured: list[PerUser] = []
    for group in np.unique(groups):
        inside = groups == group
        counts = np.bincount(owners[inside], minlength=n_users).astype(np.float64)
        sums = np.bincount(owners[inside], targets.values[inside], minlength=n_users)
        measured.append(PerUser(np.divide(sums, counts, out=np.full(n_users, np.nan), where=counts > 0), counts))
    draws = draw_means(measured, n_users, samples, rng)
    bins = []
    for group, each, draw in zip(np.unique(groups), measured, draws.T, strict=True):
        inside = groups == group
        of = percentiles(each.mean, draw)
        bins.append(CalibrationBin(float(predicted[inside].mean()), of.mean, of.low, of.high, int(inside.sum())))
    return tuple(bins)

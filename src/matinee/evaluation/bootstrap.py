"""Bootstrap over users: how far a figure would move with other users of the same kind.

A resample is a row of counts [B]: how often each user was drawn. All figures are products with these counts, so a
thousand resamples cost a few matrix products.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.evaluation.metrics import PerUser, coverage, exposure, gini
from matinee.vocab import UNKNOWN

_CELLS = 2_000_000  # counts held at once: 16 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the interval that holds it with 95% confidence. NaN where there is nothing to say."""

    mean: float
    low: float
    high: float


def resample(n_users: int, samples: int, rng: np.random.Generator, width: int = 0) -> Iterator[FloatArray]:
    """Counts of `samples` draws of n_users users with replacement, in blocks [r, B] of bounded memory.

    width: the longest row that the caller makes of each resample, if it is more than n_users.
    """
    block = max(1, _CELLS // max(n_users, width, 1))
    for start in range(0, samples, block):
        r = min(block, samples - start)
        drawn = rng.integers(n_users, size=(r, n_users))
        drawn += np.arange(r)[:, None] * n_users
        yield np.bincount(drawn.ravel(), minlength=r * n_users).reshape(r, n_users).astype(np.float64)


def resampled_means(counts: FloatArray, measured: Sequence[PerUser]) -> FloatArray:
    """Each metric's figure in each resample. counts [r, B] -> [r, M], NaN where no user drawn has a value."""
    above, below = (np.column_stack(column) for column in zip(*(each.sums for each in measured), strict=True))
    total = counts @ below  # [r, M]
    means = np.divide(counts @ above, total, out=np.full(total.shape, np.nan), where=total > 0)
    root = np.array([each.root for each in measured])
    return np.asarray(np.where(root, np.sqrt(np.abs(means)), means))


def intervals(
    measured: Mapping[str, PerUser], lists: "Exposures", samples: int, rng: np.random.Generator
) -> dict[str, Interval]:
    """The interval of every metric, from the same resamples.

    Per-user metrics: the percentiles of the resampled means (Efron and Tibshirani 1993, ch. 13). Coverage and Gini:
    the same, moved so that the resamples' mean is the figure itself, for drawing users twice shows fewer items.
    """
    drawn: list[FloatArray] = []
    for counts in resample(lists.n_users, samples, rng, lists.n_items):
        means = resampled_means(counts, list(measured.values()))
        drawn.append(np.hstack([means, lists.resampled(counts)]))
    draws = np.concatenate(drawn)  # [R, metrics]
    figures = np.array([each.mean for each in measured.values()])
    found = {name: percentiles(*pair) for name, *pair in zip(measured, figures, draws.T, strict=False)}
    for name, figure, draw in zip(lists.names, lists.figures(), draws.T[len(measured) :], strict=True):
        low_high = percentiles(figure, draw + (figure - draw.mean()))
        found[name] = Interval(figure, max(0.0, low_high.low), min(1.0, low_high.high))
    return found


def percentiles(figure: float, draws: FloatArray, confidence: float = 0.95) -> Interval:
    """The middle `confidence` of the draws [R] as an interval around a figure; draws of NaN are left out."""
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        return Interval(float(figure), float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(figure), float(low), float(high))


class Exposures:
    """Coverage and Gini of all lists together, at several k, of all users or of a resample.

    items: [B, K] item rows, UNKNOWN where a list is short; owners: [B], ascending, the user of each list where some
    have several.
    """

    def __init__(self, items: IntArray, n_items: int, ks: Sequence[int], owners: IntArray | None = None) -> None:
        self.items, self.n_items = items, n_items
        self.owners = np.arange(len(items)) if owners is None else owners
        self.n_users = int(self.owners[-1]) + 1 if len(items) else 0
        self.ks = sorted(set(ks))
        self.names = [f"{metric}@{k}" for k in self.ks for metric in ("coverage", "gini")]
        # one matrix [I, B] for the places that each k adds to the one before
        self._added = [self._places(low, high) for low, high in zip([0, *self.ks], self.ks, strict=False)]

    def figures(self) -> list[float]:
        """Coverage and Gini at each k, in the order of `names`."""
        shown = [exposure(self.items[:, :k], self.n_items) for k in self.ks]
        return [float(figure(counts)) for counts in shown for figure in (coverage, gini)]

    def resampled(self, counts: FloatArray) -> FloatArray:
        """The same in each resample. counts [r, B] -> [r, names]."""
        users = np.ascontiguousarray(counts.T, dtype=np.float32)  # [B, r]; counts are exact in float32
        shown = np.zeros((self.n_items, len(counts)), dtype=np.float32)
        columns: list[FloatArray] = []
        for added in self._added:
            shown += added @ users
            rows = np.ascontiguousarray(shown.T)  # [r, I]
            columns += [coverage(rows), gini(rows)]
        return np.column_stack(columns)

    def _places(self, low: int, high: int) -> csr_array:
        lists, places = np.nonzero(self.items[:, low:high] != UNKNOWN)
        ones = np.ones(len(lists), dtype=np.float32)
        shape = (self.n_items, self.n_users)
        return csr_array((ones, (self.items[lists, places + low], self.owners[lists])), shape=shape)

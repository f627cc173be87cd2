"""Bootstrap over users: how much a metric would vary with other users from the same population.

A resample is a row of counts [B]: how often each user was drawn. Every metric is computed from products with these
counts, so a thousand resamples cost a few matrix products.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.evaluation.metrics import PerUser, coverage, exposure, gini
from matinee.vocab import UNKNOWN

_CELLS = 2_000_000  # counts in memory at once: 16 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric's value with its 95% confidence interval. NaN where it is undefined.

    As a number, in a format or rounded it is its mean; two of them are not ordered: that is what `compare` is for.
    """

    mean: float
    low: float
    high: float

    def __float__(self) -> float:
        return self.mean

    def __round__(self, digits: int = 0) -> float:
        return round(self.mean, digits)

    def __format__(self, form: str) -> str:
        return format(self.mean, form) if form else str(self)

    def __lt__(self, other: object) -> NoReturn:
        """Raises MatineeError with the calls that work."""
        raise MatineeError(
            'a metric has an interval; write report["ndcg@10"].mean for its value, and mt.compare([one, other], split) '
            "for whether two models differ"
        )

    __gt__ = __le__ = __ge__ = __lt__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __lt__


def resample(n_users: int, samples: int, rng: np.random.Generator, width: int = 0) -> Iterator[FloatArray]:
    """Counts of `samples` draws of n_users users with replacement, in blocks [r, B] of bounded memory.

    width: the longest row that the caller computes from each resample, if longer than n_users.
    """
    block = max(1, _CELLS // max(n_users, width, 1))
    for start in range(0, samples, block):
        r = min(block, samples - start)
        drawn = rng.integers(n_users, size=(r, n_users))
        drawn += np.arange(r)[:, None] * n_users
        yield np.bincount(drawn.ravel(), minlength=r * n_users).reshape(r, n_users).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What the means of M metrics over B users are made of.

    numerators: [B, M]; weights: [B, W], the different columns of the denominators; weights_of: [M], the column of each
    metric; root: [M], whether the mean is of squares.
    """

    numerators: FloatArray
    weights: FloatArray
    weights_of: IntArray
    root: BoolArray

    @classmethod
    def of(cls, measured: Sequence[PerUser]) -> "Terms":
        """The terms of M metrics of the same users."""
        numerators, weights = zip(*(each.sums for each in measured), strict=True)
        columns: dict[bytes, int] = {}
        kept: list[FloatArray] = []
        weights_of: list[int] = []
        for column in weights:
            index = columns.setdefault(column.tobytes(), len(columns))
            kept += [column] if index == len(kept) else []
            weights_of.append(index)
        root = np.array([each.root for each in measured])
        return cls(np.column_stack(numerators), np.column_stack(kept), np.array(weights_of), root)

    def means(self, counts: FloatArray) -> FloatArray:
        """Each metric in each resample. counts [r, B] -> [r, M], NaN where no drawn user has a value."""
        total = (counts @ self.weights)[:, self.weights_of]  # [r, M]
        means = np.divide(counts @ self.numerators, total, out=np.full(total.shape, np.nan), where=total > 0)
        return np.asarray(np.where(self.root, np.sqrt(np.abs(means)), means))


def resampled_means(counts: FloatArray, measured: Sequence[PerUser]) -> FloatArray:
    """As `Terms.means`, of metrics whose terms are used once."""
    return Terms.of(measured).means(counts)


def draw_means(measured: Sequence[PerUser], n_users: int, samples: int, rng: np.random.Generator) -> FloatArray:
    """Each metric of B users in `samples` resamples of them. [R, M], NaN where no drawn user has a value."""
    terms = Terms.of(measured)
    return np.concatenate([terms.means(counts) for counts in resample(n_users, samples, rng)])


def intervals(
    measured: Mapping[str, PerUser], lists: "Exposures", samples: int, rng: np.random.Generator
) -> dict[str, Interval]:
    """The interval of every metric, from the same resamples.

    Per-user metrics: percentiles of the resampled means (Efron and Tibshirani 1993, ch. 13). Coverage and Gini: the
    same, shifted so that the resamples' mean equals the value, since resamples repeat users and so list fewer items.
    """
    drawn: list[FloatArray] = []
    terms = Terms.of(list(measured.values()))
    for counts in resample(lists.n_users, samples, rng, lists.n_items):
        drawn.append(np.hstack([terms.means(counts), lists.resampled(counts)]))
    draws = np.concatenate(drawn)  # [R, metrics]
    means = np.array([each.mean for each in measured.values()])
    found = {name: percentiles(*pair) for name, *pair in zip(measured, means, draws.T, strict=False)}
    for name, value, draw in zip(lists.names, lists.values(), draws.T[len(measured) :], strict=True):
        shifted = percentiles(value, draw + (value - draw.mean()))
        found[name] = Interval(value, max(0.0, shifted.low), min(1.0, shifted.high))
    return found


def percentiles(value: float, draws: FloatArray, confidence: float = 0.95) -> Interval:
    """The middle `confidence` of the draws [R] as the interval of a value; NaN draws are left out."""
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(value), float(low), float(high))


class Exposures:
    """Coverage and Gini of all lists together, at several k, for all users or a resample of them.

    items: [B, K] item rows, UNKNOWN where a list is short; owners: [B], ascending, the user of each list if some users
    have several.
    """

    def __init__(self, items: IntArray, n_items: int, ks: Sequence[int], owners: IntArray | None = None) -> None:
        self.items, self.n_items = items, n_items
        self._listed = np.unique(items[items != UNKNOWN])  # [L]; no resample lists another item
        self.owners = np.arange(len(items)) if owners is None else owners
        self.n_users = int(self.owners[-1]) + 1 if len(items) else 0
        self.ks = sorted(set(ks))
        self.names = [f"{metric}@{k}" for k in self.ks for metric in ("coverage", "gini")]
        # one matrix [L, B] for the ranks that each k adds to the one before
        self._added = [self._incidence(low, high) for low, high in zip([0, *self.ks], self.ks, strict=False)]

    def values(self) -> list[float]:
        """Coverage and Gini at each k, in the order of `names`."""
        exposures = [exposure(self.items[:, :k], self.n_items) for k in self.ks]
        return [float(metric(counts)) for counts in exposures for metric in (coverage, gini)]

    def resampled(self, counts: FloatArray) -> FloatArray:
        """The same in each resample. counts [r, B] -> [r, names]."""
        users = np.ascontiguousarray(counts.T, dtype=np.float32)  # [B, r]; counts are exact in float32
        n_listed = len(self._listed)
        exposures = np.zeros((n_listed, len(counts)), dtype=np.float32)
        columns: list[FloatArray] = []
        for added in self._added:
            exposures += added @ users
            rows = np.ascontiguousarray(exposures.T)  # [r, L]
            columns += [np.count_nonzero(rows, axis=1) / self.n_items, gini(rows, self.n_items - n_listed)]
        return np.column_stack(columns)

    def _incidence(self, low: int, high: int) -> csr_array:
        """How often each user's lists hold each listed item at ranks low to high. [L, U]."""
        lists, ranks = np.nonzero(self.items[:, low:high] != UNKNOWN)
        ones = np.ones(len(lists), dtype=np.float32)
        rows = np.searchsorted(self._listed, self.items[lists, ranks + low])
        return csr_array((ones, (rows, self.owners[lists])), shape=(len(self._listed), self.n_users))

"""How counts are spread: quantiles, concentration, agreement of ranks."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Spread:
    """How a count is spread over users, items or sessions."""

    least: float
    quarter: float
    median: float
    mean: float
    three_quarters: float
    p95: float
    most: float

    @classmethod
    def of(cls, counts: IntArray) -> "Spread":
        """Of at least one count; quantiles are interpolated."""
        least, quarter, median, three_quarters, p95, most = np.quantile(counts, [0, 0.25, 0.5, 0.75, 0.95, 1]).tolist()
        return cls(least, quarter, median, float(np.mean(counts)), three_quarters, p95, most)

    def __str__(self) -> str:
        quarters = f"{self.quarter:,.0f} / {self.median:,.0f} / {self.three_quarters:,.0f}"
        return f"{self.least:,.0f} to {self.most:,.0f}; quarters {quarters}; mean {self.mean:,.1f}; p95 {self.p95:,.0f}"


def gini(counts: IntArray) -> float:
    """Gini's coefficient of counts that are not all zero: sum_i (2i - n - 1) x_i / (n sum x), x ascending, i from 1."""
    ordered = np.sort(counts)
    places = 2 * np.arange(1, len(ordered) + 1) - len(ordered) - 1
    return float((places * ordered).sum() / (len(ordered) * ordered.sum()))


def top_share(counts: IntArray, share: float) -> float:
    """The share of all events that the top share of items has; the number of items is rounded up."""
    n_top = max(1, int(np.ceil(len(counts) * share - 1e-9)))
    return float(np.sort(counts)[-n_top:].sum() / counts.sum())


def rank_correlation(first: IntArray, second: IntArray) -> float | None:
    """Spearman's correlation: Pearson's of the ranks, ties at their mean rank. None where a side is constant."""
    ranks = [_mean_ranks(first), _mean_ranks(second)]
    if len(first) < 2 or any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _mean_ranks(values: IntArray) -> FloatArray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def percent(share: float) -> str:
    """A share with one decimal; what is a little more than nothing or less than all must not look like it."""
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def counted(count: int, total: int) -> str:
    """`5 of 20 (25.0%)`."""
    return f"{count:,} of {total:,} ({percent(count / max(total, 1))})"

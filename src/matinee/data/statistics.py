"""Statistics of counts: quantiles, concentration, rank correlation."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary statistics of a count over users, items or sessions: extremes, quantiles and mean."""

    min: float
    q25: float
    median: float
    mean: float
    q75: float
    p95: float
    max: float

    @classmethod
    def of(cls, counts: IntArray) -> "Summary":
        """Summarise at least one count; quantiles are interpolated linearly."""
        least, q25, median, q75, p95, most = np.quantile(counts, [0, 0.25, 0.5, 0.75, 0.95, 1]).tolist()
        return cls(least, q25, median, float(np.mean(counts)), q75, p95, most)

    def __str__(self) -> str:
        quartiles = f"{self.q25:,.0f} / {self.median:,.0f} / {self.q75:,.0f}"
        return f"{self.min:,.0f} to {self.max:,.0f}; quartiles {quartiles}; mean {self.mean:,.1f}; p95 {self.p95:,.0f}"


def gini(counts: FloatArray | IntArray, n_zeros: int = 0) -> FloatArray:
    """Gini coefficient: sum_i (2i - n - 1) x_i / (n sum x), x ascending. [..., n] -> [...], NaN if all counts are 0.

    n_zeros: further counts of 0, which need not be written out.
    """
    n = counts.shape[-1] + n_zeros
    ranks = (2 * np.arange(1 + n_zeros, n + 1) - n - 1).astype(counts.dtype)
    total = n * counts.sum(axis=-1, dtype=np.float64)
    undefined = np.full(np.shape(total), np.nan)
    return np.asarray(np.divide(np.sort(counts, axis=-1) @ ranks, total, out=undefined, where=np.asarray(total) > 0))


def top_share(counts: IntArray, fraction: float) -> float:
    """Share of all events on the top fraction of items; the number of items is rounded up."""
    n_top = max(1, int(np.ceil(len(counts) * fraction - 1e-9)))
    return float(np.sort(counts)[-n_top:].sum() / counts.sum())


def rank_correlation(first: IntArray, second: IntArray) -> float | None:
    """Spearman's rank correlation, tied values at their mean rank. None if either side is constant."""
    ranks = [_mean_ranks(first), _mean_ranks(second)]
    if len(first) < 2 or any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _mean_ranks(values: IntArray) -> FloatArray:
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[groups]
    return ranks


def percent(share: float) -> str:
    """A share with one decimal. Only exactly 0 and 1 print as 0% and 100%."""
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def count_of(count: int, total: int) -> str:
    """`5 of 20 (25.0%)`."""
    return f"{count:,} of {total:,} ({percent(count / max(total, 1))})"

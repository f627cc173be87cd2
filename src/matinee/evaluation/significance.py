"""Whether models differ: paired bootstrap and permutation tests, corrections for many, and groups of tied models."""

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

import numpy as np

from matinee.arrays import BoolArray, FloatArray
from matinee.evaluation.metrics import PerUser

_CELLS = 2_000_000  # signs in memory at once


def paired_p(differences: FloatArray) -> FloatArray:
    """Two-sided bootstrap p-values: twice the share of resamples on the rarer side of 0. [R, M] -> [M].

    A p-value is at most alpha exactly when the percentile interval at 1 - alpha excludes 0. The observed value counts
    as one more resample, so p is never 0 (Davison and Hinkley 1997, eq. 4.11).
    """
    below, above = (differences <= 0).sum(axis=0), (differences >= 0).sum(axis=0)
    return np.asarray(np.minimum(1.0, 2 * (np.minimum(below, above) + 1) / (len(differences) + 1)))


def permutation_p(measured: Sequence[PerUser], best: int, samples: int, rng: np.random.Generator) -> FloatArray:
    """Two-sided p-values of the difference from one model, with the two models of each user exchanged at random. [M].

    The share of exchanges with a difference at least as far from 0 as the measured one, which counts as one more
    (Good 2005, ch. 3). 1 for the model itself.
    """
    sums, weights = (np.column_stack(columns) for columns in zip(*(each.sums for each in measured), strict=True))
    gaps = sums - sums[:, [best]]  # [B, M]
    both, total = (sums + sums[:, [best]]).sum(axis=0), weights.sum(axis=0)
    observed = np.abs(_difference(gaps.sum(axis=0), both, total, measured))
    beyond = np.zeros(len(measured), dtype=np.int64)
    for signs in _signs(len(gaps), samples, rng):
        exchanged = np.abs(_difference(signs @ gaps, both, total, measured))  # [r, M]
        beyond += (exchanged >= observed * (1 - 1e-9)).sum(axis=0)
    return np.asarray((beyond + 1) / (samples + 1))


def holm(p: FloatArray) -> FloatArray:
    """Holm's step-down correction for M tests (Holm 1979): the smallest p times M, the next times M - 1, and so on.

    [M] -> [M], at most 1 and never less than the correction of a smaller p.
    """
    order = np.argsort(p, kind="stable")
    steps = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * steps))
    return adjusted


def differing(draws: FloatArray, alpha: float) -> BoolArray:
    """Which pairs of models differ, all pairs tested at once: the largest of all gaps decides. [R, M] -> [M, M].

    A pair's gap is its difference, in units of half the length of that difference's interval at 1 - alpha. A pair
    differs if its gap is above the 1 - alpha quantile, over the resamples, of the largest deviation of any pair from
    its gap. With one pair that is its interval; with many, p-values times the number of pairs would need more resamples
    than there are. Source: Romano and Wolf 2005, a single step.
    """
    n = draws.shape[1]
    first, second = np.triu_indices(n, 1)
    gaps = draws[:, first] - draws[:, second]  # [R, pairs]
    middle, (low, high) = np.median(gaps, axis=0), np.quantile(gaps, [alpha / 2, 1 - alpha / 2], axis=0)
    length = np.where(high > low, (high - low) / 2, np.where(middle == 0, np.inf, np.finfo(float).tiny))
    largest = np.abs((gaps - middle) / length).max(axis=1, initial=0.0)  # [R]
    found = np.zeros((n, n), dtype=bool)
    found[first, second] = found[second, first] = np.abs(middle) / length > np.quantile(largest, 1 - alpha)
    return found


def tied_groups(differ: BoolArray) -> list[str]:
    """Letters for M models, in the order of the scores: two models share a letter exactly if they do not differ.

    [M, M] -> M strings, such as `a`, `ab`, `b`. Source: the insert-and-absorb algorithm of Piepho 2004.
    """
    groups = [frozenset(range(len(differ)))]
    for first, second in zip(*np.nonzero(np.triu(differ)), strict=True):
        halves = [
            part
            for group in groups
            for part in ((group - {first}, group - {second}) if {first, second} <= group else (group,))
        ]
        groups = [group for group in dict.fromkeys(halves) if not any(group < other for other in halves)]
    ordered = sorted(groups, key=sorted)
    return [
        "".join(_letter(index) for index, group in enumerate(ordered) if row in group) for row in range(len(differ))
    ]


def _letter(index: int) -> str:
    """Letters a to z, then a1 to z1, and so on."""
    rounds, letter = divmod(index, len(ascii_lowercase))
    return ascii_lowercase[letter] + (str(rounds) if rounds else "")


def _signs(n_users: int, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Random signs for each user, in blocks [r, B] of bounded memory."""
    block = max(1, _CELLS // max(1, n_users))
    for start in range(0, samples, block):
        shape = (min(block, samples - start), n_users)
        yield rng.integers(2, size=shape, dtype=np.int8).astype(np.float64) * 2 - 1


def _difference(gap: FloatArray, both: FloatArray, total: FloatArray, measured: Sequence[PerUser]) -> FloatArray:
    """Difference of two models' means from the difference and the sum of their terms. [..., M] -> [..., M]."""
    one, other = (both + gap) / 2 / total, (both - gap) / 2 / total
    root = np.array([each.root for each in measured])
    rooted = np.sqrt(np.maximum(one, 0)) - np.sqrt(np.maximum(other, 0))
    return np.asarray(np.where(root, rooted, one - other))

"""Tests that may be looked at after every visitor: their error rate holds at whichever moment one stops.

An interval of a fixed size is valid at one moment that was chosen before. Here the whole sequence of intervals contains
the truth at once, with probability 1 - alpha.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt
from typing import Literal, Self

import numpy as np
from scipy.special import betaln, gammaln

from matinee.arrays import FloatArray
from matinee.errors import UsageError

LEAST_VISITORS = 200
"""Of each arm, before a difference is called: the intervals rest on the central limit theorem."""
LEAST_OF_EACH = 10
"""Visitors of each arm with the rarer of two outcomes, before a difference of shares is called."""
TIGHT_AT = 2_000
"""Visitors at which the intervals are at their narrowest, relative to one of a fixed size."""

RATIO_PRIOR = 100.0
"""Strength of the mixture over shares, in visitors: it looks for shares that differ by some hundredths."""

Verdict = Literal["too few", "undecided", "first", "second"]


@dataclass(frozen=True, slots=True)
class ArmSample:
    """What was measured of the visitors of one arm. n: their number; variance: with n - 1 in the denominator."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, outcomes: FloatArray) -> Self:
        """From one outcome for each visitor. [N]."""
        n = len(outcomes)
        return cls(n, float(outcomes.mean()) if n else 0.0, float(outcomes.var(ddof=1)) if n > 1 else 0.0)


@dataclass(frozen=True, slots=True)
class Difference:
    """The second arm's mean minus the first one's, with an always-valid interval; verdict: which arm has more."""

    estimate: float
    low: float
    high: float
    verdict: Verdict


def compare(first: ArmSample, second: ArmSample, *, is_share: bool = False, alpha: float = 0.05) -> Difference:
    """The difference of two means, valid at every moment. is_share: whether outcomes are 0 or 1.

    The normal-mixture confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Theorem 2.2, which
    is the mixture SPRT of Johari, Koomen, Pekelis and Walsh (2017) turned around; with estimated variances it holds as
    the visitors become many, so nothing is called before LEAST_VISITORS. Raises UsageError unless 0 < alpha < 1.
    """
    _require_alpha(alpha)
    estimate, n = second.mean - first.mean, first.n + second.n
    if min(first.n, second.n) < 2:
        return Difference(estimate, -inf, inf, "too few")
    error = sqrt(first.variance / first.n + second.variance / second.n)
    radius = error * _boundary(n, alpha)
    low, high = estimate - radius, estimate + radius
    if not (_is_enough(first, is_share) and _is_enough(second, is_share)):
        return Difference(estimate, low, high, "too few")
    return Difference(estimate, low, high, "second" if low > 0 else "first" if high < 0 else "undecided")


def _boundary(n: int, alpha: float) -> float:
    """Standard errors on either side: sqrt((1 + 1/(n r²)) log((n r² + 1)/alpha²)), narrowest at TIGHT_AT."""
    rho_squared = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / TIGHT_AT  # r², eq. 10 there
    scaled = n * rho_squared
    return sqrt((1 + 1 / scaled) * log((scaled + 1) / alpha**2))


def _is_enough(arm: ArmSample, is_share: bool) -> bool:
    rarer = min(arm.mean, 1 - arm.mean) * arm.n if is_share else inf
    return arm.n >= LEAST_VISITORS and rarer >= LEAST_OF_EACH


@dataclass(frozen=True, slots=True)
class WinTest:
    """Of the visitors who preferred one side, how many preferred each. p: always valid; verdict: the preferred side."""

    wins_first: int
    wins_second: int
    share_second: float
    p: float
    verdict: Verdict


def compare_wins(wins_first: int, wins_second: int, *, alpha: float = 0.05) -> WinTest:
    """Whether both sides are preferred equally often, valid at every moment and for any number of visitors.

    A sign test: the likelihood of the wins under a uniform mixture of shares, over that under 1/2, is a martingale,
    which exceeds 1/alpha at any time with probability alpha at most (Ville 1939; Robbins 1970). p is its inverse, at
    most 1; of a sequence of looks the smallest p counts. Raises UsageError for impossible numbers.
    """
    _require_alpha(alpha)
    if min(wins_first, wins_second) < 0:
        raise UsageError("numbers of wins are 0 or more")
    n = wins_first + wins_second
    evidence = float(betaln(wins_first + 1, wins_second + 1)) + n * log(2)
    p = exp(-max(0.0, evidence))
    share = wins_second / n if n else 0.5
    called: Verdict = "second" if wins_second > wins_first else "first"
    return WinTest(wins_first, wins_second, share, p, called if p <= alpha else "undecided" if n else "too few")


def sample_ratio(visitors: Sequence[int], shares: Sequence[float]) -> float:
    """P that visitors came to the arms in their shares, valid at every moment; a small one says that something is off.

    A Dirichlet mixture of shares over the shares of the plan, with the closed form of Lindon and Malek (2022), eq. 6;
    by Ville's inequality p <= alpha happens with probability alpha at most if they did. shares: above 0, scaled to 1.
    """
    counts = np.asarray(visitors, dtype=np.float64)  # [A]
    expected = np.asarray(shares, dtype=np.float64) / sum(shares)
    prior = RATIO_PRIOR * expected
    evidence = gammaln(prior.sum()) - gammaln(prior.sum() + counts.sum())
    evidence += (gammaln(prior + counts) - gammaln(prior) - counts * np.log(expected)).sum()
    return exp(-max(0.0, float(evidence)))


def _require_alpha(alpha: float) -> None:
    if not 0 < alpha < 1 or not np.isfinite(alpha):
        raise UsageError(f"alpha = {alpha}: an error rate is between 0 and 1, such as 0.05")

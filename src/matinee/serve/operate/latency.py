"""What a site's counters say: how long answers take, and what became of requests, since the processes started."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isinf

from prometheus_client.core import Metric

from matinee.serve.http.access import UNMATCHED

QUANTILES = (0.5, 0.95, 0.99)
NOT_FOR_PEOPLE = ("/health", "/metrics", "/static", "/operate")
"""Routes that would hide how long pages and lists take."""
ALL = ""


@dataclass(frozen=True, slots=True)
class RouteTimes:
    """A route, or ALL of them. seconds: p50, p95 and p99, None where they are beyond the last bucket."""

    route: str
    n: int
    seconds: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of requests. failed: by route, of those that ended in a 5xx; refused: by the limit that did it."""

    n: int
    failed: tuple[tuple[str, int], ...]
    refused: tuple[tuple[str, int], ...]

    @property
    def n_failed(self) -> int:
        """Requests that ended in a 5xx."""
        return sum(n for _, n in self.failed)


def times_of(families: Iterable[Metric], most: int) -> list[RouteTimes]:
    """All routes for people together, then the most asked ones."""
    by_route: dict[str, Counter[float]] = {}
    for sample in _samples(families, "matinee_request_seconds_bucket"):
        route, bound = sample[0]["route"], float(sample[0]["le"])
        if route != UNMATCHED and not route.startswith(NOT_FOR_PEOPLE):
            by_route.setdefault(route, Counter())[bound] += int(sample[1])
            by_route.setdefault(ALL, Counter())[bound] += int(sample[1])
    found = [
        RouteTimes(route, counts[inf], tuple(quantile(sorted(counts.items()), share) for share in QUANTILES))
        for route, counts in by_route.items()
        if counts[inf]
    ]
    return sorted(found, key=lambda one: (one.route != ALL, -one.n, one.route))[: most + 1]


def answers_of(families: Sequence[Metric]) -> Answers:
    """What became of requests."""
    failed, refused, total = Counter[str](), Counter[str](), 0
    for labels, value in _samples(families, "matinee_requests_total"):
        total += int(value)
        if labels["status"].startswith("5"):
            failed[labels["route"]] += int(value)
    for labels, value in _samples(families, "matinee_refused_total"):
        refused[labels["reason"]] += int(value)
    return Answers(total, tuple(failed.most_common()), tuple(refused.most_common()))


def value_of(families: Iterable[Metric], name: str) -> int:
    """The sum of a counter or gauge."""
    return int(sum(value for _, value in _samples(families, name)))


def quantile(cumulative: Sequence[tuple[float, int]], share: float) -> float | None:
    """Interpolated in its bucket, as Prometheus does; None in the last one, which has no upper bound.

    cumulative: for each bucket its upper bound and the number of values up to it, ascending.
    """
    rank = share * cumulative[-1][1]
    for (low, n_below), (high, n) in pairwise([(0.0, 0), *cumulative]):
        if n >= rank and n > n_below:
            return None if isinf(high) else low + (high - low) * (rank - n_below) / (n - n_below)
    return None


def _samples(families: Iterable[Metric], name: str) -> Iterable[tuple[dict[str, str], float]]:
    return ((sample.labels, sample.value) for family in families for sample in family.samples if sample.name == name)

"""What a running site counts, for Prometheus.

Each application has a registry of its own. The workers of a site share their counts through files in the folder that
PROMETHEUS_MULTIPROC_DIR names, which `serve_by_workers` sets before a worker starts; then any of them answers for all.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from matinee.serve.http.access import Answer

SHARED = "PROMETHEUS_MULTIPROC_DIR"
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
STAGE_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2)
Outcome = Literal["accepted", "duplicate", "rejected"]


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a database says of itself. newest_event: UTC seconds, None of an empty log; lag: events by consumer."""

    newest_event: int | None
    lag: dict[str, int]


class FactsSource(Protocol):
    """Where facts come from that no process counts."""

    def __call__(self) -> StoreFacts:
        """The facts now. Raises MatineeError or SQLAlchemyError if the database cannot be read."""
        ...


class SiteMetrics:
    """The counters, gauges and histograms of one process. No label has values that a request can choose."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("matinee_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "matinee_request_seconds", "Time to an answer.", ("route",), buckets=REQUEST_SECONDS, registry=registry
        )
        self._stages = Histogram(
            "matinee_stage_seconds",
            "Time of a stage of a list: history, rank, reasons.",
            ("stage", "model"),
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._lists = Counter("matinee_lists", "Lists displayed.", ("shelf", "model"), registry=registry)
        self._events = Counter("matinee_events", "Events received.", ("outcome",), registry=registry)
        self._refused = Counter("matinee_refused", "Requests that a limit refused.", ("reason",), registry=registry)
        self._dropped = Counter("matinee_lists_dropped", "Lists that were never logged.", registry=registry)
        self._waiting = _gauge("matinee_lists_waiting", "Lists that wait to be logged.", registry)
        self._versions = Gauge(
            "matinee_model_info",
            "Versions: 1 of those served, 0 of those that were.",
            ("model", "version"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._n_dropped, self._noted = 0, set[tuple[str, str]]()
        self._of_arms: dict[str, set[tuple[str, str]]] = {}
        for outcome in ("accepted", "duplicate", "rejected"):
            self._events.labels(outcome)  # from the start, so that a rate has a zero to begin from
        if SHARED not in os.environ:
            ProcessCollector(registry=registry)

    def count_answer(self, answer: Answer) -> None:
        """Count a request that was answered."""
        method = answer.method if answer.method in METHODS else "other"
        self._requests.labels(method, answer.route, str(answer.status)).inc()
        self._seconds.labels(answer.route).observe(answer.seconds)
        if answer.refusal is not None:
            self._refused.labels(answer.refusal).inc()

    def count_stage(self, stage: str, model: str, seconds: float) -> None:
        """Count a stage of a list. model: a served one, empty for a stage that has none."""
        self._stages.labels(stage, model).observe(seconds)

    def count_list(self, shelf: str, model: str) -> None:
        """Count a list that is displayed."""
        self._lists.labels(shelf, model).inc()

    def count_events(self, outcome: Outcome, n: int) -> None:
        """Count events that were received."""
        self._events.labels(outcome).inc(n)

    def note_log_of_lists(self, n_waiting: int, n_dropped: int) -> None:
        """Note how many lists wait to be written, and how many this process has dropped since its start."""
        self._waiting.set(n_waiting)
        self._dropped.inc(max(0, n_dropped - self._n_dropped))
        self._n_dropped = max(n_dropped, self._n_dropped)

    def note_versions(self, versions: Iterable[tuple[str, str]], arm: str = "") -> None:
        """Note the versions that an arm is served now, each with its model; those that no longer are become 0."""
        self._of_arms[arm] = set(versions)
        now = set().union(*self._of_arms.values())
        for pair in self._noted | now:
            self._versions.labels(*pair).set(pair in now)
        self._noted |= now

    def families(self) -> list[Metric]:
        """All that is counted, by all processes of the site."""
        return list(self._counted().collect())

    def text(self, facts: FactsSource | None = None) -> bytes:
        """All of it in the text format of Prometheus, with the facts of the database if it answers."""
        asked = CollectorRegistry()
        asked.register(_Facts(facts))
        return generate_latest(self._counted()) + generate_latest(asked)

    def _counted(self) -> CollectorRegistry:
        if SHARED not in os.environ:
            return self._registry
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        return counted


def _gauge(name: str, about: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(name, about, registry=registry, multiprocess_mode="livesum")


class _Facts(Collector):
    """What is asked for when it is scraped, because no process counts it."""

    def __init__(self, source: FactsSource | None) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        if self._source is None:
            return
        try:
            facts = self._source()
        except Exception:  # whatever a driver raises: a scrape tells of a broken database, and never breaks with it
            yield GaugeMetricFamily("matinee_database_readable", "Whether the database can be read.", 0)
            return
        yield GaugeMetricFamily("matinee_database_readable", "Whether the database can be read.", 1)
        if facts.newest_event is not None:
            about = "Time of the newest event, UTC seconds."
            yield GaugeMetricFamily("matinee_newest_event_timestamp_seconds", about, facts.newest_event)
        lag = GaugeMetricFamily("matinee_consumer_lag_events", "Events not consumed yet.", labels=["consumer"])
        for consumer, n_events in facts.lag.items():
            lag.add_metric([consumer], n_events)
        yield lag

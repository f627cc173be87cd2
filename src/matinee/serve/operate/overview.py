"""All that the operator's page says, gathered at most twice a minute."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from matinee.errors import MatineeError
from matinee.experiments.report import Report, report_of
from matinee.histories import Instant
from matinee.serve.operate.facts import facts_of
from matinee.serve.operate.latency import Answers, RouteTimes, answers_of, times_of, value_of
from matinee.serve.site import Site
from matinee.serve.versions import ServedVersion
from matinee.store.database import SqlDatabase
from matinee.store.log_reading import last_sequence
from matinee.store.traffic import ClickThrough, Traffic, click_through_of, traffic_of
from matinee.store.versions import Registry, Version

HOURS = 48
CLICK_DAYS = 7
ROUTES = 8
KEPT_SECONDS = 30.0
"""How long what the database says is used again."""


@dataclass(frozen=True, slots=True)
class LogState:
    """What the database says. newest_event: UTC seconds, None of an empty log; lag: events by consumer."""

    traffic: Traffic
    clicks: Sequence[ClickThrough]
    newest_event: Instant | None
    lag: dict[str, int]
    n_events: int
    experiment: Report | None


@dataclass(frozen=True, slots=True)
class Served:
    """What serves. number: of the version in the registry, None without one; refused: why another one does not."""

    models: tuple[tuple[str, str], ...]
    number: int | None = None
    refused: str = ""
    learned: Version | None = None
    """The last version that learned from the log."""
    offset: int | None = None
    """How far into the log the version that serves has learned."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of a site. log: None where the database cannot be read; why: what is wrong, a sentence each."""

    at: Instant
    times: Sequence[RouteTimes]
    answers: Answers
    waiting: int
    dropped: int
    served: Served
    log: LogState | None
    why: tuple[str, ...]


@dataclass(slots=True)
class Overviews:
    """Gathers overviews, and keeps what the database said for a while."""

    _lock: Lock = field(default_factory=Lock)
    _log: LogState | None = None
    _until: float = 0.0

    def gather(self, site: Site, version: ServedVersion | None) -> Overview:
        """The state of a site now."""
        site.note_state()
        families = site.metrics.families()
        served = _served(site, version)
        state = site.database.check()
        log = self._log_of(site.database, site.now()) if state.is_readable else None
        return Overview(
            site.now(),
            times_of(families, ROUTES),
            answers_of(families),
            value_of(families, "matinee_lists_waiting"),
            value_of(families, "matinee_lists_dropped_total"),
            served,
            log,
            (*state.why, *((served.refused,) if served.refused else ())),
        )

    def _log_of(self, database: SqlDatabase, now: Instant) -> LogState | None:
        with self._lock:  # several who look at once wait for one reading
            if time.monotonic() >= self._until:
                try:
                    self._log = _log_state(database, now)
                except (SQLAlchemyError, MatineeError):
                    return None
                self._until = time.monotonic() + KEPT_SECONDS
            return self._log


def _log_state(database: SqlDatabase, now: Instant) -> LogState:
    facts = facts_of(database)
    return LogState(
        traffic_of(database, now, HOURS),
        click_through_of(database, now - CLICK_DAYS * 86_400),
        facts.newest_event,
        facts.lag,
        last_sequence(database),
        report_of(database, now),
    )


def _served(site: Site, version: ServedVersion | None) -> Served:
    models = tuple((name, site.engine.version(name)) for name in site.engine.models)
    if version is None:
        return Served(models)
    known = [found for number in version.registry.numbers() if (found := _known(version.registry, number))]
    learned = [one for one in known if one.log]
    offsets: list[Any] = [one.log.get("offset", 0) for one in known if one.number == version.number]
    return Served(
        models, version.number, version.refused, learned[-1] if learned else None, int(offsets[0]) if offsets else None
    )


def _known(registry: Registry, number: int) -> Version | None:
    try:
        return registry.version(number)
    except MatineeError:
        return None

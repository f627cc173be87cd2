"""What is popular now: by the live log of the last weeks, and after that by the last year of the training data."""

import threading
from copy import copy

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.ranking.allowed import both
from matinee.ranking.recommendation import Recommendation
from matinee.recommender import POPULAR
from matinee.serve.site import Site
from matinee.store.protocols import DatabaseGone
from matinee.vocab import UNKNOWN

LIVE_DAYS, DATA_DAYS = 28, 365
"""Window of the live log, up to today, and of the training data, up to its last event."""
LEAST_PEOPLE = 3
"""Visitors who must have watched a movie lately."""
GUEST_DAYS = 1
"""A guest counts after so long: guests cost nothing to make, and a handful of requests would move the shelf."""
FRESH_SECONDS = 60
"""The live log is read at most this often."""
DAY = 86_400


class Trending:
    """The items that people watch now, best first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._by_data = _by_recent_events(site)
        self._lock = threading.Lock()
        self._read_at, self._rows = -1, self._by_data

    def of_site(self, site: Site) -> "Trending":
        """The same for another catalogue."""
        other = copy(self)
        other._site, other._read_at = site, -1
        return other

    def recommend(self, k: int, excluded: set[int], mask: BoolArray | None = None) -> list[Recommendation]:
        """The k items watched most lately. Score: 1 / position, as two counts order them. mask: [I], None for all."""
        listed, current = both(self._site.engine.now.listed, mask), self._current()
        first = (current if listed is None else current[listed[current]])[: k + len(excluded)].tolist()
        rows = [row for row in first if row not in excluded][:k]
        ids = self._site.engine.items
        return [Recommendation(row, ids.id(row), 1 / n, POPULAR) for n, row in enumerate(rows, start=1)]

    def _current(self) -> IntArray:
        """All item rows, those of the live log first."""
        minute = self._site.now() // FRESH_SECONDS
        with self._lock:
            if minute != self._read_at:
                since = self._site.now() - LIVE_DAYS * DAY
                guests_before = self._site.now() - GUEST_DAYS * DAY
                try:
                    counts = self._site.log.watched_since(since, LEAST_PEOPLE, guests_before)
                except DatabaseGone:
                    return self._rows
                live = self._site.engine.items.rows([item_id for item_id, _ in counts])
                live = live[live != UNKNOWN]
                rest = self._by_data[~np.isin(self._by_data, live)]
                self._read_at, self._rows = minute, np.concatenate([live, rest])
            return self._rows


def _by_recent_events(site: Site) -> IntArray:
    """Item rows by their events in the last year of the training data, then by all events."""
    events = next(iter(site.engine.artefacts.values())).known.events
    recent = np.zeros(len(site.engine.items), dtype=np.int64)
    if len(events.times):
        late = events.times >= events.times.max() - DATA_DAYS * DAY
        recent = np.bincount(events.item_rows[late], minlength=len(recent))
    order = np.lexsort((np.arange(len(recent)), -site.engine.popularity, -recent))
    return order[site.engine.popularity[order] > 0].astype(np.int32)

"""What is popular now: by the live log of the last weeks, and where too few visitors left traces there, by the data."""

import threading

import numpy as np

from matinee.arrays import IntArray
from matinee.recommender import POPULAR, Recommendation
from matinee.serve.site import Site
from matinee.vocab import UNKNOWN

LIVE_DAYS, DATA_DAYS = 28, 365
"""How far back now reaches: in the live log from today, in the data from its last event."""
LEAST_PEOPLE = 2
"""Visitors who must have watched a movie lately before it is called popular."""
FRESH_SECONDS = 60
"""The live log is asked at most this often."""
DAY = 86_400


class PopularNow:
    """The items that people watch now, best first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._of_the_data = _by_recent_events(site)
        self._turn = threading.Lock()
        self._asked, self._rows = -1, self._of_the_data

    def listed(self, k: int, out: set[int]) -> list[Recommendation]:
        """The k items watched most lately, without those of `out`; scored by place, for no single count orders them."""
        known = self._now()[: k + len(out)].tolist()  # enough, whatever is left out
        rows = [row for row in known if row not in out][:k]
        ids = self._site.engine.items
        return [Recommendation(row, ids.id(row), 1 / place, POPULAR) for place, row in enumerate(rows, start=1)]

    def _now(self) -> IntArray:
        moment = self._site.now() // FRESH_SECONDS
        with self._turn:
            if moment != self._asked:
                since = self._site.now() - LIVE_DAYS * DAY
                counts = self._site.log.watched_since(since, LEAST_PEOPLE)
                live = self._site.engine.items.rows([item_id for item_id, _ in counts])
                live = live[live != UNKNOWN]
                rest = self._of_the_data[~np.isin(self._of_the_data, live)]
                self._asked, self._rows = moment, np.concatenate([live, rest])
            return self._rows


def _by_recent_events(site: Site) -> IntArray:
    """Item rows by training events of the data's last year, then by all events."""
    events = next(iter(site.engine.artefacts.values())).known.events
    recent = np.zeros(len(site.engine.items), dtype=np.int64)
    if len(events.times):
        late = events.times >= events.times.max() - DATA_DAYS * DAY
        recent = np.bincount(events.item_rows[late], minlength=len(recent))
    order = np.lexsort((np.arange(len(recent)), -site.engine.popularity, -recent))
    return order[site.engine.popularity[order] > 0].astype(np.int32)

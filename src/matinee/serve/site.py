"""What the pages and the API share: the engine, the log, and the few questions both ask of them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matinee.catalogue import Catalogue
from matinee.errors import MatineeError
from matinee.serve.covers import Covers
from matinee.serve.engine import Engine, Recommendation
from matinee.serve.search import TitleSearch
from matinee.serve.visitors import Visitors
from matinee.store.protocols import EventLog, LiveEvent
from matinee.store.sql import SqlDatabase
from matinee.vocab import UNKNOWN, Id

MAX_K = 100
MAX_QUERY = 100
"""Letters of a search that are looked at."""


@dataclass(frozen=True, slots=True)
class Site:
    """Everything behind the pages. clock: UTC seconds; api_open: whether the API serves any user id."""

    engine: Engine
    log: EventLog
    database: SqlDatabase
    visitors: Visitors
    search: TitleSearch
    covers: Covers
    clock: Callable[[], float]
    api_open: bool

    @property
    def catalogue(self) -> Catalogue:
        """Titles, years and genres by item row."""
        return self.engine.catalogue

    def now(self) -> int:
        """UTC seconds."""
        return int(self.clock())

    def row_of(self, item_id: Id) -> int:
        """The row of an item id. Raises MatineeError with a likely title where it is unknown."""
        row = self.engine.items.row(item_id)
        if row != UNKNOWN:
            return row
        close = self.search.find(str(item_id)[:MAX_QUERY], 1)
        hint = f"; did you mean {self.engine.items.id(close[0])} ({self.catalogue.titles[close[0]]})?" if close else ""
        raise MatineeError(f"no item {str(item_id)[:MAX_QUERY]!r}{hint or '; find ids with GET /api/v1/items?query='}")

    def for_you(self, user_id: str, k: int, model: str | None) -> list[Recommendation]:
        """A visitor's list as a page shows it: places that the model knows nothing about go to popular items.

        A score of exactly 0 is a neighbourhood model's way of saying so: nobody who watched this watched that.
        """
        history = self.engine.history(user_id)
        found = [item for item in self.engine.recommend_for(history, k, model) if item.score != 0]
        if len(found) < k:
            allowed = np.ones(len(self.engine.items), dtype=bool)
            allowed[history.items] = False
            allowed[[item.item_row for item in found]] = False
            found += self.engine.popular(k - len(found), allowed=allowed)
        return found

    def watched(self, user_id: str | None) -> dict[int, LiveEvent]:
        """A visitor's last event with each item by item row, newest first; items unknown by now are left out."""
        if user_id is None:
            return {}
        events = self.log.recent(user_id)
        rows = self.engine.items.rows([event.item_id for event in events]).tolist()
        return {row: event for row, event in zip(rows, events, strict=True) if row != UNKNOWN}


def new_list_id() -> str:
    """A name for one list as shown, so that what is done on it can be told."""
    return secrets.token_urlsafe(9)

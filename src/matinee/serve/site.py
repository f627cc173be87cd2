"""What the pages and the API share: the engine, the log, and the few questions both ask of them."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from matinee.arrays import IntArray
from matinee.catalogue import Catalogue
from matinee.config import Rerank
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.recommender import Engine, Recommendation
from matinee.serve.accounts.members import Accounts
from matinee.serve.accounts.sessions import Visitors
from matinee.serve.art.covers import Covers
from matinee.serve.search import TitleSearch
from matinee.serve.transfer.importer import Importer
from matinee.store.protocols import EventLog, ImpressionLog, Kind, ListImpression, LiveEvent
from matinee.store.sql import SqlDatabase
from matinee.vocab import UNKNOWN, Id

MAX_K = 100
MAX_QUERY = 100
"""Letters of a search that are looked at."""
DOUBLE_SECONDS = 5
"""What is said of a movie again within so many seconds is a double click."""


@dataclass(frozen=True, slots=True)
class Site:
    """Everything behind the pages. clock: UTC seconds; api_open: whether the API serves any user id.

    left_out: folders of artefacts that cannot be served.
    """

    engine: Engine
    log: EventLog
    database: SqlDatabase
    visitors: Visitors
    search: TitleSearch
    covers: Covers
    clock: Callable[[], float]
    api_open: bool
    lists: ImpressionLog
    accounts: Accounts
    importer: Importer
    left_out: tuple[str, ...] = ()

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

    def seen(self, user_id: str | None) -> "Seen":
        """What a visitor did, in one query; nothing for whoever has no session."""
        if user_id is None:
            return Seen(None, Histories.of([[]]), {}, np.zeros(0, dtype=np.int32))
        activity = self.log.activity(user_id)
        rows = self.engine.items.rows([event.item_id for event in activity.recent]).tolist()
        watched = {row: event for row, event in zip(rows, activity.recent, strict=True) if row != UNKNOWN}
        return Seen(user_id, activity.history, watched, activity.dismissed)

    def for_you(self, seen: "Seen", k: int, model: str | None, rerank: Rerank | None = None) -> list[Recommendation]:
        """A visitor's list as a page shows it: places that the model knows nothing about go to popular items.

        A score of exactly 0 is a neighbourhood model's way of saying so: nobody who watched this watched that.
        """
        listed = self.engine.recommend_for(seen.history, k, model, rerank=rerank, dismissed=seen.dismissed)
        found = [item for item in listed if item.score != 0]
        if len(found) < k:
            out = [*seen.history.items.tolist(), *seen.dismissed.tolist(), *(item.item_row for item in found)]
            allowed = self.engine.allowed(rerank, np.array(out, dtype=np.int32))
            found += self.engine.popular(k - len(found), allowed=allowed)
        return found

    def watched(self, user_id: str | None) -> dict[int, LiveEvent]:
        """A visitor's last event with each item by item row, newest first; items unknown by now are left out."""
        return self.seen(user_id).watched

    def record(self, user_id: str, item_row: int, kind: Kind, value: float = 1.0, place: "Place | None" = None) -> None:
        """Write what a visitor did with an item, where on a list if it was on one; the same again at once is not."""
        event = LiveEvent(user_id, self.engine.items.id(item_row), kind, value, self.now())
        self.log.append([_placed(event, place)], repeat_after=DOUBLE_SECONDS)

    def record_click(self, user_id: str, item_row: int, list_id: str) -> None:
        """Write that a movie was opened from a list that this visitor was shown; once for each place of a list."""
        place = self.place(user_id, item_row, list_id)
        if place is None:
            return
        event_id = f"click.{list_id}.{place.position}"
        event = LiveEvent(user_id, self.engine.items.id(item_row), "click", 1.0, self.now(), event_id)
        self.log.append([_placed(event, place)])

    def place(self, user_id: str, item_row: int, list_id: str) -> "Place | None":
        """Where on a list that this visitor was shown an item stands; None for any other list, or another's."""
        shown = self.lists.find(list_id) if list_id else None
        item_id = self.engine.items.id(item_row)
        if shown is None or shown.user_id != user_id or item_id not in shown.item_ids:
            return None
        return Place(list_id, shown.item_ids.index(item_id) + 1, shown.model, shown.version)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a visitor did.

    history: B = 1; watched: the last event by item row, newest first; dismissed: [D] item rows.
    """

    user_id: str | None
    history: Histories
    watched: dict[int, LiveEvent]
    dismissed: IntArray

    @property
    def out(self) -> set[int]:
        """Item rows that no list of recommendations holds."""
        return {*self.watched, *self.dismissed.tolist()}


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a list that was shown, from 1."""

    list_id: str
    position: int
    model: str
    version: str


class Showing:
    """The lists of one page: each gets a name when it is added, and all are written at once before the page is sent.

    Only for visitors with a session: looking alone leaves nothing behind.
    """

    def __init__(self, site: Site, user_id: str | None) -> None:
        self._site = site
        self._user_id = user_id
        self._lists: list[ListImpression] = []

    def add(self, name: str, model: str, items: Sequence[Recommendation]) -> str:
        """A list of recommendations by a model, under the name of its place on the page. Returns its list_id."""
        list_id = new_list_id()
        if self._user_id is not None and items:
            version, at = self._site.engine.version(model), self._site.now()
            item_ids = tuple(item.item_id for item in items)
            self._lists.append(ListImpression(list_id, self._user_id, name, model, version, at, item_ids))
        return list_id

    def write(self) -> None:
        """Write them, once."""
        lists, self._lists = self._lists, []
        self._site.lists.write(lists)


def _placed(event: LiveEvent, place: Place | None) -> LiveEvent:
    if place is None:
        return event
    return replace(
        event, list_id=place.list_id, position=place.position, model=place.model, version=place.version or None
    )


def new_list_id() -> str:
    """A name for one list as shown, so that what is done on it can be told."""
    return secrets.token_urlsafe(9)

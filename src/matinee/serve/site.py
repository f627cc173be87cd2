"""What pages and API share: the served models, the stores behind them, and what one visitor did."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np

from matinee.arrays import BoolArray
from matinee.catalogue import Catalogue
from matinee.config import Rerank
from matinee.errors import MatineeError
from matinee.ranking.allowed import both
from matinee.ranking.recommendation import Recommendation
from matinee.recommender import Engine
from matinee.serve.accounts.api_keys import ApiKeys
from matinee.serve.accounts.members import Accounts
from matinee.serve.accounts.sessions import Visitors
from matinee.serve.art.covers import Covers
from matinee.serve.experiments import MadeList, Make, default_for, make_list
from matinee.serve.http.rates import RequestRates
from matinee.serve.impressions import ImpressionRecorder, ListPosition
from matinee.serve.item_facts import ItemFacts, facts_of, facts_of_row
from matinee.serve.live_meaning import LiveMeaning
from matinee.serve.metrics import SiteMetrics
from matinee.serve.options import SiteOptions
from matinee.serve.own_fits.fits import OwnFits
from matinee.serve.pictures import Pictures
from matinee.serve.search import TitleSearch
from matinee.serve.transfer.importer import Importer
from matinee.serve.visitor_state import NOTHING, VisitorState, is_kept
from matinee.serve.wording import Wording
from matinee.store.database import SqlDatabase
from matinee.store.erasures import SqlErasures
from matinee.store.kept_lists import SqlKeptLists
from matinee.store.protocols import AccountBook, EventConflict, EventLog, ImportLog, ImpressionLog, Kind, LiveEvent
from matinee.titles import MovieTitle, spoken_title
from matinee.values import STARS
from matinee.vocab import UNKNOWN, Id

MAX_K = 100
MAX_QUERY = 100
"""Characters of a search that are used."""
DOUBLE_SECONDS = 5
"""The same event with the same item within so many seconds is a double click."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The services behind the pages and the API.

    clock: UTC seconds; kinds: of events that visitors and programs may write; left_out: folders of artefacts that
    cannot be served; about: what is kept of items that changed or came since training, by row; arm: of an experiment of
    versions, whose visitors it serves, empty for everyone else's site; own_fits: those of visitors, None where they may
    make none.
    """

    engine: Engine
    log: EventLog
    database: SqlDatabase
    visitors: Visitors
    search: TitleSearch
    covers: Covers
    clock: Callable[[], float]
    impressions: ImpressionLog
    book: AccountBook
    accounts: Accounts
    api_keys: ApiKeys
    importer: Importer
    imports: ImportLog
    kept_lists: SqlKeptLists
    erasures: SqlErasures
    wording: Wording
    kinds: tuple[Kind, ...]
    rates: RequestRates
    options: SiteOptions
    left_out: tuple[str, ...] = ()
    meaning: LiveMeaning = field(default_factory=LiveMeaning)
    about: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    own_fits: OwnFits | None = None
    pictures: Pictures = field(default_factory=lambda: Pictures(None))
    metrics: SiteMetrics = field(default_factory=SiteMetrics)
    arm: str = ""

    def __post_init__(self) -> None:
        self.engine.on_stage = self.metrics.count_stage
        if self.options.experiment is not None:
            self.options.experiment.require_served(self.engine.models)

    @property
    def catalogue(self) -> Catalogue:
        """Titles, years and genres by item row."""
        return self.engine.catalogue

    def now(self) -> int:
        """UTC seconds."""
        return int(self.clock())

    def row_of(self, item_id: Id) -> int:
        """The row of an item id. Raises MatineeError, with the closest title, for an unknown id."""
        row = self.engine.items.row(item_id)
        if row != UNKNOWN:
            return row
        close = self.search.find(str(item_id)[:MAX_QUERY], 1)
        hint = f"; did you mean {self.engine.items.id(close[0])} ({self.catalogue.titles[close[0]]})?" if close else ""
        raise MatineeError(f"no item {str(item_id)[:MAX_QUERY]!r}{hint or '; find ids with GET /api/v1/items?query='}")

    def stars_of(self, value: float | None) -> float | None:
        """A value of a history as stars; None for an event without one."""
        if value is None or not isfinite(value):
            return None
        value_map = next(iter(self.engine.artefacts.values())).model.value_map
        if value_map.config.scale in (None, (0.0, STARS)):
            return round(value, 2)
        return round(float(value_map.stars_of(np.array([value]))[0]), 2)

    def facts_of(self, item_row: int) -> ItemFacts:
        """What the page of an item says beside its title."""
        if item_row in self.about:
            return facts_of(self.about[item_row])
        return facts_of_row(next(iter(self.engine.artefacts.values())).item_table, item_row)

    def picture_of(self, item_row: int) -> str:
        """The picture of an item that can be shown, empty if there is none."""
        name = self.facts_of(item_row).picture
        return name if self.pictures.has(name) else ""

    def title_of(self, item_row: int) -> MovieTitle:
        """An item's title as it is shown: of movies, articles go to the front, and year and other names are cut off."""
        title = self.catalogue.titles[item_row]
        return spoken_title(title) if self.wording.is_movies else MovieTitle(title)

    def state_of(self, user_id: str | None) -> VisitorState:
        """What a visitor did, in one query; an empty state without a session."""
        if user_id is None:
            return VisitorState(None, NOTHING.history)
        begun = perf_counter()
        activity = self.log.activity(user_id)
        self.metrics.count_stage("history", "", perf_counter() - begun)
        return VisitorState.of(user_id, activity, self.engine.n_trained)

    def is_listed(self, item_row: int) -> bool:
        """Whether an item is in the catalogue now; not if it was withdrawn."""
        return self.engine.now.listed is None or bool(self.engine.now.listed[item_row])

    @property
    def n_items(self) -> int:
        """Items in the catalogue now."""
        listed = self.engine.now.listed
        return len(self.engine.items) if listed is None else int(listed.sum())

    def default_for(self, user_id: str | None) -> str:
        """The model of a visitor's lists for which none is named: that of their arm, if there is an experiment."""
        return default_for(self.options.experiment, user_id, self.engine.default)

    def list_for(self, visitor: VisitorState, k: int, model: str | None, make: Make) -> MadeList:
        """A visitor's list by a model, or if none is named by that of their arm. make: the list of a model."""
        if model:
            items = make(model)
            return MadeList(items, items[0].model if items else model)
        return make_list(self.options.experiment, visitor, k, self.engine.default, make, serving=self.arm)

    def list_of(
        self,
        visitor: VisitorState,
        k: int,
        model: str | None,
        rerank: Rerank | None = None,
        allowed: BoolArray | None = None,
        *,
        explain: bool = True,
    ) -> list[Recommendation]:
        """As `Engine.recommend_for`; a plain list is made once for a state. Nobody may change it."""

        def make() -> list[Recommendation]:
            return self.engine.recommend_for(
                visitor.history, k, model, rerank=rerank, dismissed=visitor.unlisted, allowed=allowed, explain=explain
            )

        filters = rerank if rerank and rerank.filters else None
        return visitor.once(("list", k, model, explain, rerank), make) if is_kept(k, filters, allowed) else make()

    def for_you(
        self,
        visitor: VisitorState,
        k: int,
        model: str | None,
        rerank: Rerank | None = None,
        among: BoolArray | None = None,
        *,
        explain: bool = True,
    ) -> list[Recommendation]:
        """A visitor's list for a page: popular items replace those about which the model knows nothing.

        among: [I], which items may be listed, None for all; explain: whether reasons are found.
        A neighbourhood model says so with a score of exactly 0: nobody who watched these items watched that one.
        """
        listed = self.list_of(visitor, k, model, rerank, among, explain=explain)
        found = [item for item in listed if item.score != 0]
        if len(found) < k:
            excluded = [
                *visitor.history.items.tolist(),
                *visitor.unlisted.tolist(),
                *(item.item_row for item in found),
            ]
            allowed = both(self.engine.allowed(rerank, np.array(excluded, dtype=np.int32)), among)
            found += self.engine.popular(k - len(found), allowed=allowed)
        return found

    def record(
        self, user_id: str, item_row: int, kind: Kind, value: float = 1.0, position: ListPosition | None = None
    ) -> None:
        """Write an event, with the list that it comes from if there is one; a double click is written once."""
        event = LiveEvent(user_id, self.engine.items.id(item_row), kind, value, self.now(), is_stamped=True)
        self.append([position.attach_to(event) if position else event], repeat_after=DOUBLE_SECONDS)

    def record_click(self, user_id: str, item_row: int, list_id: str) -> None:
        """Write a click on an impression of this visitor's, once for each position of each list."""
        position = self.find_position(user_id, item_row, list_id)
        if position is None:
            return
        event_id = f"click.{list_id}.{position.position}"
        event = LiveEvent(user_id, self.engine.items.id(item_row), "click", 1.0, self.now(), event_id, is_stamped=True)
        self.append([position.attach_to(event)])

    def find_position(self, user_id: str, item_row: int, list_id: str) -> ListPosition | None:
        """Where an item is on a list that this visitor saw; None for an unknown list or another visitor's."""
        seen = self.impressions.find(list_id) if list_id else None
        item_id = self.engine.items.id(item_row)
        if seen is None or seen.user_id != user_id or item_id not in seen.item_ids:
            return None
        position = seen.item_ids.index(item_id) + 1
        return ListPosition(list_id, position, *seen.maker_of(position))

    def impression_recorder(self, user_id: str | None) -> ImpressionRecorder:
        """Records the lists of one answer to this visitor."""
        return ImpressionRecorder(self.impressions, self.engine, user_id, self.now(), self.metrics.count_list)

    def append(self, events: Sequence[LiveEvent], *, repeat_after: int = 0) -> int:
        """Write events, and count their outcomes. As `EventLog.append`."""
        try:
            n_written = self.log.append(events, repeat_after=repeat_after)
        except MatineeError as error:
            self._count_written(events, error)
            raise
        self._count_written(events, n_written)
        return n_written

    def append_all(self, batches: Sequence[Sequence[LiveEvent]]) -> list[int | Exception]:
        """Write batches of events, and count their outcomes. As `EventLog.append_all`."""
        outcomes = self.log.append_all(batches)
        for events, outcome in zip(batches, outcomes, strict=True):
            self._count_written(events, outcome)
        return outcomes

    def _count_written(self, events: Sequence[LiveEvent], outcome: int | Exception) -> None:
        if isinstance(outcome, MatineeError):
            self.metrics.count_events("rejected", len(events))
        elif isinstance(outcome, int):
            self.metrics.count_events("accepted", outcome)
            self.metrics.count_events("duplicate", len(events) - outcome)

    def append_each(self, events: Sequence[LiveEvent]) -> list[int | EventConflict]:
        """Write each event that can be written, and count its outcome. As `EventLog.append_each`."""
        try:
            outcomes = self.log.append_each(events) if events else []
        except MatineeError:
            self.metrics.count_events("rejected", len(events))
            raise
        n_conflicts = sum(isinstance(outcome, EventConflict) for outcome in outcomes)
        n_written = sum(outcome for outcome in outcomes if not isinstance(outcome, EventConflict))
        self.metrics.count_events("rejected", n_conflicts)
        self.metrics.count_events("accepted", n_written)
        self.metrics.count_events("duplicate", len(outcomes) - n_conflicts - n_written)
        return outcomes

    def note_state(self) -> None:
        """Note in the metrics what nobody counts as it happens."""
        self.metrics.note_log_of_lists(len(self.database.later), self.database.later.dropped)
        self.metrics.note_versions(((name, self.engine.version(name)) for name in self.engine.models), self.arm)

"""The JSON API, version 1. Speaks of users and items; ids go in, ids and titles come out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from starlette.status import HTTP_403_FORBIDDEN, HTTP_404_NOT_FOUND

from matinee.config import Rerank, configure, parse_rerank
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.ranking.explain import Method
from matinee.recommender import Recommendation
from matinee.renamed import EVENT_KINDS
from matinee.serve.site import MAX_K, MAX_QUERY, Seen, Showing, Site, new_list_id
from matinee.store.protocols import Kind, LiveEvent
from matinee.vocab import UNKNOWN, Id

MAX_EVENTS = 1000
"""Events in one request."""
MAX_HISTORY = 1000
CLOCK_SLACK = 300
"""Seconds by which a sender's clock may run ahead."""
UNPROCESSABLE = 422

Length = Annotated[int, Query(ge=1, le=MAX_K, description="How many, at most.")]
Model = Annotated[str | None, Query(max_length=100, description="A served model; the site's default if left out.")]


def _present_name(kind: object) -> object:
    return EVENT_KINDS.get(kind, kind) if isinstance(kind, str) else kind


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class ItemOut(_Strict):
    """An item of the catalogue."""

    item_id: int | str
    title: str
    year: int | None
    genres: list[str]
    popularity: int
    """Training events."""


class BecauseOut(_Strict):
    """An event of the history that speaks for a recommendation."""

    item_id: int | str
    title: str
    value: float
    contribution: float
    """What it adds to the score."""


class RecommendationOut(_Strict):
    """One place of a list, the first has rank 1."""

    rank: int
    item_id: int | str
    title: str
    year: int | None
    genres: list[str]
    score: float
    model: str
    """The model that recommends it: `popularity` where there is no history."""
    because: list[BecauseOut] | None = None
    """Only with explain=true."""


class ListOut(_Strict):
    """A list, with a name under which events may refer to it."""

    list_id: str
    model: str
    history_length: int | None = None
    items: list[RecommendationOut]


class WhyOut(_Strict):
    """Why an item scores as it does."""

    item_id: int | str
    model: str
    method: Method
    """exact: contributions and share add up to the score; left-out: how far it falls without the event."""
    score: float
    share: float
    """What the item gets whatever the history."""
    looked_at: int
    """Of how many events, the last ones."""
    because: list[BecauseOut]


class EventIn(_Strict):
    """Something a user did with an item."""

    item_id: Annotated[int, Field(strict=True)] | Annotated[str, Field(strict=True, max_length=200)]
    kind: Annotated[Kind, BeforeValidator(_present_name)]
    value: float | None = Field(None, ge=0.5, le=5, allow_inf_nan=False)
    """A rating's value, 0.5 to 5; other kinds have none and count 1."""
    at: int | None = Field(None, ge=0)
    """UTC seconds; now, if left out."""
    event_id: str | None = Field(None, min_length=1, max_length=100)
    """Your own name for the event: sent twice it is written once."""
    user_id: int | str | None = Field(None)
    """Only where the API is open; else, and if left out, the visitor whose session this is."""
    model: str | None = Field(None, max_length=100)
    list_id: str | None = Field(None, max_length=100)
    position: int | None = Field(None, ge=1, le=10_000)

    @model_validator(mode="after")
    def _value_fits_kind(self) -> "EventIn":
        if (self.kind == "rating") != (self.value is not None):
            raise ValueError("a rating needs a value from 0.5 to 5; other kinds have none")
        if self.user_id is not None and not 0 < len(str(self.user_id)) <= 200:
            raise ValueError("user_id has 1 to 200 letters")
        return self


class EventsOut(_Strict):
    """What became of the events sent."""

    accepted: int
    duplicates: int


class Health(_Strict):
    """How the site is."""

    status: Literal["alive", "ready", "not ready"]
    models: list[str] = []
    items: int = 0


class Api:
    """The API as routes."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """All routes."""
        router = APIRouter()
        get = router.get
        get("/api/v1/recommendations", response_model_exclude_none=True, tags=["lists"])(self.recommendations)
        router.post("/api/v1/events", status_code=201, tags=["events"])(self.events)
        get("/api/v1/items", tags=["items"])(self.items)
        get("/api/v1/items/{item_id:path}/similar", response_model_exclude_none=True, tags=["lists"])(self.similar)
        get("/api/v1/items/{item_id:path}/why", tags=["lists"])(self.why)
        get("/api/v1/items/{item_id:path}", tags=["items"])(self.item)
        get("/health/live", tags=["health"])(self.live)
        get("/health/ready", tags=["health"])(self.ready)
        return router

    def recommendations(
        self,
        request: Request,
        user_id: Annotated[str | None, Query(max_length=200, description="Where the API is open.")] = None,
        history: Annotated[str | None, Query(max_length=20_000, description="Item ids: 1,2,3, oldest first.")] = None,
        k: Length = 10,
        model: Model = None,
        explain: bool = False,
        rerank: Annotated[str, Query(max_length=500, description="novelty=0.5,diversity=0.3,genres=A|B")] = "",
    ) -> ListOut:
        """The best items for a history, for a user id, or else for the visitor whose session this is."""
        engine = self._site.engine
        seen = self._seen(request, user_id, history)

        def listed() -> list[Recommendation]:
            asked = configure(Rerank, parse_rerank(rerank), "rerank")
            return engine.recommend_for(seen.history, k, model, rerank=asked, dismissed=seen.dismissed)

        found = self._lists(listed)
        showing = Showing(self._site, seen.user_id)
        list_id = showing.add("api", found[0].model if found else model or engine.default, found)
        showing.write()
        return ListOut(
            list_id=list_id,
            model=model or engine.default,
            history_length=len(seen.history.items),
            items=[self._place(item, rank, explain) for rank, item in enumerate(found, start=1)],
        )

    def why(
        self,
        request: Request,
        item_id: str,
        user_id: Annotated[str | None, Query(max_length=200, description="Where the API is open.")] = None,
        history: Annotated[str | None, Query(max_length=20_000, description="Item ids: 1,2,3, oldest first.")] = None,
        model: Model = None,
    ) -> WhyOut:
        """What each event of a history adds to an item's score, the strongest first; whose history as for a list."""
        engine = self._site.engine
        row = self._row(item_id, HTTP_404_NOT_FOUND)
        past = self._seen(request, user_id, history).history
        try:
            found = engine.why(past, row, model)
        except MatineeError as error:
            raise HTTPException(UNPROCESSABLE, str(error)) from None
        adds = found.contributions[:, 0]
        return WhyOut(
            item_id=engine.items.id(row),
            model=model or engine.default,
            method=found.method,
            score=float(found.scores[0]),
            share=float(found.item_bias[0]),
            looked_at=found.n_examined,
            because=[
                self._because(int(past.items[n]), float(past.weights[n]), float(adds[n]))
                for n in np.argsort(-np.abs(adds), kind="stable")
                if adds[n] != 0
            ],
        )

    def events(self, request: Request, response: Response, sent: EventIn | list[EventIn]) -> EventsOut:
        """Write one event or a list of them, all or none."""
        events = sent if isinstance(sent, list) else [sent]
        if not 1 <= len(events) <= MAX_EVENTS:
            raise HTTPException(UNPROCESSABLE, f"{len(events)} events; send 1 to {MAX_EVENTS} at a time")
        if any(event.user_id is not None for event in events):
            self._require_open()
        now = self._site.now()
        for event in events:
            if event.at is not None and event.at > now + CLOCK_SLACK:
                raise HTTPException(UNPROCESSABLE, f"at = {event.at} lies in the future; it is {now} (UTC seconds)")
        rows = [self._row(event.item_id, UNPROCESSABLE) for event in events]
        own = None
        if any(event.user_id is None for event in events):
            own = self._site.visitors.open(request, response, now)
        new = [
            LiveEvent(
                event.user_id if event.user_id is not None else str(own),
                self._site.engine.items.id(row),
                event.kind,
                event.value if event.value is not None else 1.0,
                event.at if event.at is not None else now,
                event.event_id,
                event.model,
                event.list_id,
                event.position,
            )
            for event, row in zip(events, rows, strict=True)
        ]
        accepted = self._site.log.append(new)
        return EventsOut(accepted=accepted, duplicates=len(new) - accepted)

    def items(self, query: Annotated[str, Query(max_length=MAX_QUERY)] = "", k: Length = 20) -> list[ItemOut]:
        """Items by title, best match first; without a query the most popular."""
        if not query.strip():
            return [self._item(item.item_row) for item in self._site.engine.popular(k)]
        return [self._item(row) for row in self._site.search.find(query, k)]

    def item(self, item_id: str) -> ItemOut:
        """One item."""
        return self._item(self._row(item_id, HTTP_404_NOT_FOUND))

    def similar(self, item_id: str, k: Length = 10, model: Model = None) -> ListOut:
        """Items that a model finds similar; fewer than k where there are no more."""
        engine = self._site.engine
        row = self._row(item_id, HTTP_404_NOT_FOUND)
        found = self._lists(lambda: engine.similar(row, k, model))
        places = [self._place(item, rank, explain=False) for rank, item in enumerate(found, start=1)]
        return ListOut(list_id=new_list_id(), model=model or engine.similar_default, items=places)

    def live(self) -> Health:
        """Whether the process answers."""
        return Health(status="alive")

    def ready(self, response: Response) -> Health:
        """Whether the models are loaded and the database answers; 503 if not."""
        ready = self._site.database.answers()
        response.status_code = 200 if ready else 503
        engine = self._site.engine
        return Health(status="ready" if ready else "not ready", models=list(engine.models), items=len(engine.items))

    def _seen(self, request: Request, user_id: str | None, history: str | None) -> Seen:
        """What a list is made of: a given history, a user's, or that of the visitor whose session this is."""
        if user_id is not None and history is not None:
            raise HTTPException(UNPROCESSABLE, "user_id and history were both given; give one of them")
        if history is not None:
            return replace(self._site.seen(None), history=self._history(history))
        if user_id is not None:
            self._require_open()
        return self._site.seen(user_id if user_id is not None else self._site.visitors.find(request))

    def _require_open(self) -> None:
        if not self._site.api_open:
            raise HTTPException(
                HTTP_403_FORBIDDEN,
                "user_id is only for sites whose API is open (--api-open); leave it out to use your own session, "
                "or give a history",
            )

    def _history(self, text: str) -> Histories:
        ids = [part.strip() for part in text.split(",") if part.strip()]
        if len(ids) > MAX_HISTORY:
            raise HTTPException(UNPROCESSABLE, f"{len(ids)} items in the history; at most {MAX_HISTORY}")
        rows = self._site.engine.items.rows(ids)
        for place in np.flatnonzero(rows == UNKNOWN)[:1]:
            self._row(ids[place], UNPROCESSABLE)
        last = dict.fromkeys(reversed(rows.tolist()))  # of a repeated item the last counts, as everywhere
        return Histories.of([list(reversed(last))])

    def _row(self, item_id: Id, status: int) -> int:
        try:
            return self._site.row_of(item_id)
        except MatineeError as error:
            raise HTTPException(status, str(error)) from None

    def _lists(self, make: Callable[[], list[Recommendation]]) -> list[Recommendation]:
        try:
            return make()
        except MatineeError as error:
            raise HTTPException(UNPROCESSABLE, str(error)) from None

    def _item(self, row: int) -> ItemOut:
        catalogue, engine = self._site.catalogue, self._site.engine
        return ItemOut(
            item_id=engine.items.id(row),
            title=catalogue.titles[row],
            year=catalogue.years[row] or None,
            genres=list(catalogue.genres[row]),
            popularity=int(engine.popularity[row]),
        )

    def _place(self, item: Recommendation, rank: int, explain: bool) -> RecommendationOut:
        catalogue = self._site.catalogue
        because = [self._because(reason.item_row, reason.value, reason.contribution) for reason in item.reasons]
        return RecommendationOut(
            rank=rank,
            item_id=item.item_id,
            title=catalogue.titles[item.item_row],
            year=catalogue.years[item.item_row] or None,
            genres=list(catalogue.genres[item.item_row]),
            score=item.score,
            model=item.model,
            because=because if explain else None,
        )

    def _because(self, row: int, value: float, contribution: float) -> BecauseOut:
        title = self._site.catalogue.titles[row]
        return BecauseOut(item_id=self._site.engine.items.id(row), title=title, value=value, contribution=contribution)

"""Writing events."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError
from starlette.status import HTTP_201_CREATED, HTTP_409_CONFLICT

from matinee.errors import MatineeError
from matinee.serve.accounts.sessions import session_of
from matinee.serve.api.dependencies import UNPROCESSABLE, CurrentKey, find_key, get_key, require_key
from matinee.serve.api.schemas import EventIn, EventsOut
from matinee.serve.dependencies import CurrentSite, get_site, site_of_user
from matinee.serve.http.quick_route import QuickRoute, answered_by
from matinee.serve.site import Site
from matinee.store.api_keys import ApiKey
from matinee.store.protocols import EventConflict, LiveEvent

MAX_EVENTS = 1000
"""Events in one request."""
CLOCK_SLACK = 300
"""Seconds by which a sender's clock may be ahead."""

LONGEST_EVENT_ID = 100
"""Letters of one as it is stored."""
CLIENT_LETTERS = 22
"""A client id of so many random letters cannot be guessed: 128 bits."""

ClientId = Annotated[
    str | None,
    Header(
        alias="X-Client-Id",
        min_length=CLIENT_LETTERS,
        max_length=100,
        description="A secret random id of a program without cookies: its events are those of one visitor from the "
        "first on, and an event_id that is sent again is known, whether or not the first answer arrived.",
    ),
]

router = APIRouter(tags=["events"], dependencies=[Depends(get_key)], route_class=QuickRoute)
_SENT: TypeAdapter[EventIn | list[EventIn]] = TypeAdapter(EventIn | list[EventIn])


@dataclass(frozen=True, slots=True)
class NamedEvents:
    """A request with events of users that it names."""

    request: Request
    site: Site
    batch: Sequence[EventIn]


async def answer_quickly(request: Request) -> Response | None:
    """The usual events, each with its user_id. Those of requests that wait together share a transaction."""
    batch = await read_usual(request)
    if batch is None:
        return None
    asked = NamedEvents(request, await get_site(request), batch)
    found: EventsOut = await request.app.state.gathered_events.write(asked)
    return Response(found.model_dump_json(), HTTP_201_CREATED, media_type="application/json")


async def read_usual(request: Request) -> Sequence[EventIn] | None:
    """The events of a request in JSON that names their users; None for any other, and where they cannot be read."""
    if request.headers.getlist("content-type") != ["application/json"] or "x-client-id" in request.headers:
        return None
    try:
        sent = _SENT.validate_python(await request.json(), from_attributes=True)
    except (ValueError, RecursionError):  # FastAPI says what is wrong
        return None
    batch = sent if isinstance(sent, list) else [sent]
    return batch if all(event.user_id is not None for event in batch) else None


def write_named(requests: Sequence[NamedEvents]) -> list[EventsOut | Exception]:
    """Write the events of requests with one sync. Of each request its answer, or why nothing of it is kept."""
    prepared = [_prepared_named(asked) for asked in requests]
    batches = [events for events in prepared if not isinstance(events, Exception)]
    outcomes = iter(requests[0].site.append_all(batches) if batches else ())
    return [
        events if isinstance(events, Exception) else _answer(asked.batch, next(outcomes))
        for asked, events in zip(requests, prepared, strict=True)
    ]


@router.post("/api/v1/events", status_code=HTTP_201_CREATED)
@answered_by(answer_quickly)
def events(
    request: Request,
    response: Response,
    site: CurrentSite,
    key: CurrentKey,
    sent: EventIn | list[EventIn],
    client_id: ClientId = None,
) -> EventsOut:
    """Write one event or a list of them, all or none."""
    batch = sent if isinstance(sent, list) else [sent]

    def open_visitor() -> str:
        use_client_id(client_id, request)
        return site.visitors.open(request, response, site.now())

    (outcome,) = site.append_all([_prepared(request, site, batch, key, open_visitor)])
    answer = _answer(batch, outcome)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _prepared_named(asked: NamedEvents) -> list[LiveEvent] | Exception:
    try:
        return _prepared(asked.request, asked.site, asked.batch, find_key(asked.request, asked.site))
    except (HTTPException, MatineeError, SQLAlchemyError) as error:
        return error


def _prepared(
    request: Request,
    site: Site,
    batch: Sequence[EventIn],
    key: ApiKey | None,
    open_visitor: Callable[[], str] | None = None,
) -> list[LiveEvent]:
    """The events of a request as they are stored. Raises HTTPException if one of them cannot be."""
    if not 1 <= len(batch) <= MAX_EVENTS:
        raise HTTPException(UNPROCESSABLE, f"{len(batch)} events; send 1 to {MAX_EVENTS} at a time")
    if any(event.user_id is not None for event in batch):
        require_key(key, "write")
    sites = [site_of_user(request, site, event.user_id) for event in batch]
    for event, theirs in zip(batch, sites, strict=True):
        if reason := event_problem(theirs, event):
            raise HTTPException(UNPROCESSABLE, reason)
    visitor_id = open_visitor() if open_visitor and any(event.user_id is None for event in batch) else None
    return [live_event(theirs, event, visitor_id, key) for event, theirs in zip(batch, sites, strict=True)]


def _answer(batch: Sequence[EventIn], outcome: int | Exception) -> EventsOut | Exception:
    """The answer to a request with events, or what to raise."""
    if isinstance(outcome, EventConflict):
        sent_id = str(batch[outcome.position].event_id)
        return HTTPException(HTTP_409_CONFLICT, str(EventConflict(sent_id, outcome.position, outcome.names)))
    if isinstance(outcome, Exception):
        return outcome
    return EventsOut(accepted=outcome, duplicates=len(batch) - outcome)


def event_problem(site: Site, event: EventIn) -> str:
    """Why this site cannot keep an event, empty if it can."""
    now = site.now()
    if (event.kind == "rating") != (event.value is not None):
        return "a rating needs a value from 0.5 to 5; other kinds have none"
    if event.kind not in site.kinds:
        return f"kind {event.kind[:40]!r} is none of this site's; send one of {', '.join(site.kinds)}"
    if event.at is not None and event.at > now + CLOCK_SLACK:
        return f"at = {event.at} is in the future; it is {now} (UTC seconds)"
    try:
        site.row_of(event.item_id)
    except MatineeError as error:
        return str(error)
    return ""


def live_event(site: Site, event: EventIn, visitor_id: str | None, key: ApiKey | None) -> LiveEvent:
    """An event as it is stored: of its user, or of the visitor; its event_id is one of its API key."""
    return LiveEvent(
        user_id=event.user_id if event.user_id is not None else str(visitor_id),
        item_id=site.engine.items.id(site.row_of(event.item_id)),
        kind=event.kind,
        value=event.value if event.value is not None else 1.0,
        at=event.at if event.at is not None else site.now(),
        event_id=_id_of_key(event.event_id, key),
        model=event.model,
        list_id=event.list_id,
        position=event.position,
        is_stamped=event.at is None,
    )


def _id_of_key(event_id: str | None, key: ApiKey | None) -> str | None:
    """An event_id as it is stored: two programs may use the same ones for a user. A long one is hashed to fit."""
    if event_id is None or key is None:
        return event_id
    text = f"{key.key_id}:{event_id}"
    return text if len(text) <= LONGEST_EVENT_ID else f"{key.key_id}:{sha256(event_id.encode()).hexdigest()}"


def use_client_id(client_id: str | None, request: Request) -> None:
    """Let a client id stand for the cookie of a request that has none."""
    session = session_of(request)
    if client_id and session.token is None:
        digest = sha256(f"matinee client {client_id}".encode()).digest()
        session.token = urlsafe_b64encode(digest).decode().rstrip("=")

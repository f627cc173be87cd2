"""Writing events."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, Response
from starlette.status import HTTP_409_CONFLICT

from matinee.errors import MatineeError
from matinee.serve.accounts.sessions import session_of
from matinee.serve.api.dependencies import UNPROCESSABLE, CurrentKey, require_key
from matinee.serve.api.schemas import EventIn, EventsOut
from matinee.serve.dependencies import CurrentSite, site_of_user
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

router = APIRouter(tags=["events"])


@router.post("/api/v1/events", status_code=201)
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
    if not 1 <= len(batch) <= MAX_EVENTS:
        raise HTTPException(UNPROCESSABLE, f"{len(batch)} events; send 1 to {MAX_EVENTS} at a time")
    if any(event.user_id is not None for event in batch):
        require_key(key, "write")
    sites = [site_of_user(request, site, event.user_id) for event in batch]
    for event, theirs in zip(batch, sites, strict=True):
        if reason := event_problem(theirs, event):
            raise HTTPException(UNPROCESSABLE, reason)
    visitor_id = None
    if any(event.user_id is None for event in batch):
        use_client_id(client_id, request)
        visitor_id = site.visitors.open(request, response, site.now())
    new = [live_event(theirs, event, visitor_id, key) for event, theirs in zip(batch, sites, strict=True)]
    try:
        accepted = site.append(new)
    except EventConflict as error:
        sent_id = str(batch[error.position].event_id)
        raise HTTPException(HTTP_409_CONFLICT, str(EventConflict(sent_id, error.position, error.names))) from None
    return EventsOut(accepted=accepted, duplicates=len(new) - accepted)


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

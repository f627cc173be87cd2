"""Writing events."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, Response
from starlette.status import HTTP_409_CONFLICT

from matinee.serve.accounts.sessions import session_of
from matinee.serve.api.dependencies import UNPROCESSABLE, CurrentKey, find_item_row, require_key
from matinee.serve.api.schemas import EventIn, EventsOut
from matinee.serve.dependencies import CurrentSite
from matinee.store.protocols import EventConflict, LiveEvent

MAX_EVENTS = 1000
"""Events in one request."""
CLOCK_SLACK = 300
"""Seconds by which a sender's clock may be ahead."""

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
    now = site.now()
    for event in batch:
        if event.kind not in site.kinds:
            kinds = ", ".join(site.kinds)
            raise HTTPException(UNPROCESSABLE, f"kind {event.kind[:40]!r} is none of this site's; send one of {kinds}")
        if event.at is not None and event.at > now + CLOCK_SLACK:
            raise HTTPException(UNPROCESSABLE, f"at = {event.at} is in the future; it is {now} (UTC seconds)")
    rows = [find_item_row(site, event.item_id, UNPROCESSABLE) for event in batch]
    visitor_id = None
    if any(event.user_id is None for event in batch):
        _use(client_id, request)
        visitor_id = site.visitors.open(request, response, now)
    new = [
        LiveEvent(
            user_id=event.user_id if event.user_id is not None else str(visitor_id),
            item_id=site.engine.items.id(row),
            kind=event.kind,
            value=event.value if event.value is not None else 1.0,
            at=event.at if event.at is not None else now,
            event_id=event.event_id,
            model=event.model,
            list_id=event.list_id,
            position=event.position,
            is_stamped=event.at is None,
        )
        for event, row in zip(batch, rows, strict=True)
    ]
    try:
        accepted = site.log.append(new)
    except EventConflict as error:
        raise HTTPException(HTTP_409_CONFLICT, str(error)) from None
    return EventsOut(accepted=accepted, duplicates=len(new) - accepted)


def _use(client_id: str | None, request: Request) -> None:
    """Let a client id stand for the cookie of a request that has none."""
    session = session_of(request)
    if client_id and session.token is None:
        digest = sha256(f"matinee client {client_id}".encode()).digest()
        session.token = urlsafe_b64encode(digest).decode().rstrip("=")

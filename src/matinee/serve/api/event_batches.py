"""Events in batches of which each row has its own outcome."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import ValidationError

from matinee.serve.api.dependencies import CurrentKey, get_key, require_key
from matinee.serve.api.events import MAX_EVENTS, ClientId, event_problem, live_event, use_client_id
from matinee.serve.api.schemas import EventIn, RowOut, RowsOut
from matinee.serve.dependencies import CurrentSite, site_of_user
from matinee.serve.site import Site
from matinee.store.protocols import EventConflict

router = APIRouter(tags=["events"], dependencies=[Depends(get_key)])

Rows = Annotated[
    list[Any], Body(min_length=1, max_length=MAX_EVENTS, description="Each row as in POST /api/v1/events.")
]


@router.post("/api/v1/events/batch")
def batch(
    request: Request,
    response: Response,
    site: CurrentSite,
    key: CurrentKey,
    sent: Rows,
    client_id: ClientId = None,
) -> RowsOut:
    """Write each event that can be written; the answer says of each row whether it was, and why not."""
    read = [_read(request, site, row) for row in sent]
    good = [row for row in read if isinstance(row, EventIn)]
    if any(event.user_id is not None for event in good):
        require_key(key, "write")
    visitor_id = None
    if any(event.user_id is None for event in good):
        use_client_id(client_id, request)
        visitor_id = site.visitors.open(request, response, site.now())
    events = [live_event(site_of_user(request, site, event.user_id), event, visitor_id, key) for event in good]
    site.metrics.count_events("rejected", len(sent) - len(good))
    written = iter(site.append_each(events))
    rows = [
        RowOut(row=n, status="rejected", reason=row) if isinstance(row, str) else _outcome(n, row, next(written))
        for n, row in enumerate(read)
    ]
    counts = {status: sum(row.status == status for row in rows) for status in ("accepted", "duplicate", "rejected")}
    return RowsOut(**counts, rows=rows)


def _read(request: Request, site: Site, row: Any) -> EventIn | str:  # noqa: ANN401 - whatever JSON holds
    """The event of a row, or why it is none."""
    try:
        event = EventIn.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return event_problem(site_of_user(request, site, event.user_id), event) or event


def _outcome(n: int, event: EventIn, outcome: int | EventConflict) -> RowOut:
    if isinstance(outcome, EventConflict):
        names = ", ".join(outcome.names)
        reason = f"the event_id {event.event_id!r} is that of an event with another {names}"
        return RowOut(row=n, status="rejected", reason=reason)
    return RowOut(row=n, status="accepted" if outcome else "duplicate")

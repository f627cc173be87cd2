"""Items of the catalogue. Their routes match any path, so `lists`, with longer paths, comes first."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.status import HTTP_404_NOT_FOUND, HTTP_405_METHOD_NOT_ALLOWED

from matinee.serve.api.dependencies import UNPROCESSABLE, ItemRow, Length, get_key, require_scope
from matinee.serve.api.schemas import FoundOut, ItemIn, ItemKept, ItemOut, found_out, item_out
from matinee.serve.dependencies import CurrentSite
from matinee.serve.live_items import LONGEST_ID, LiveItems, is_id
from matinee.serve.site import MAX_QUERY, Site
from matinee.store.protocols import LiveItem
from matinee.vocab import UNKNOWN

router = APIRouter(tags=["items"], dependencies=[Depends(get_key)])

PARTS = ("/similar", "/next", "/why", "/counterfactual")
"""What routes of `lists` and `asked_lists` tell of an item, at the ends of their paths."""


@router.get("/api/v1/items")
def items(site: CurrentSite, query: Annotated[str, Query(max_length=MAX_QUERY)] = "", k: Length = 20) -> list[FoundOut]:
    """Items by title, best match first, then by meaning; without a query the most popular."""
    if not query.strip():
        return [found_out(site, item.item_row, "popularity") for item in site.engine.popular(k)]
    by_title = site.search.find(query, k)
    by_meaning = site.meaning.find(query, k - len(by_title), by_title)
    return [
        *(found_out(site, row, "title") for row in by_title),
        *(found_out(site, row, "meaning") for row in by_meaning),
    ]


@router.get("/api/v1/items/{item_id:path}")
def item(site: CurrentSite, row: ItemRow) -> ItemOut:
    """One item."""
    return item_out(site, row)


def get_live(request: Request) -> LiveItems:
    """The catalogue as it changes."""
    live: LiveItems = request.app.state.live
    return live


Live = Annotated[LiveItems, Depends(get_live)]


def refuse_parts(item_id: str) -> None:
    """405 for what is asked of an item: nobody could read an item of this name."""
    if item_id.endswith(PARTS):
        raise HTTPException(HTTP_405_METHOD_NOT_ALLOWED, f"{item_id[-30:]!r} can only be read", {"Allow": "GET"})


@router.put(
    "/api/v1/items/{item_id:path}",
    dependencies=[Depends(require_scope("admin")), Depends(refuse_parts)],
    responses={201: {"model": ItemKept}},
)
def put(request: Request, response: Response, site: CurrentSite, live: Live, item_id: str, sent: ItemIn) -> ItemKept:
    """Add an item, or change one; it is found and listed at once, without training. 201 if it is new."""
    row = site.engine.items.row(item_id)
    known = str(site.engine.items.id(row)) if row != UNKNOWN else None
    if known != item_id and not (known is None and is_id(item_id, site.engine.items)):
        raise HTTPException(UNPROCESSABLE, _id_problem(item_id, known, site))
    about = sent.model_dump(exclude_defaults=True)
    is_new = live.put(LiveItem(item_id, about, live.fingerprint, site.now())) and known is None
    response.status_code = 201 if is_new else 200
    now: Site = request.app.state.site
    row = now.engine.items.row(item_id)
    return ItemKept(
        **item_out(now, row).model_dump(),
        recommendable=row < now.engine.n_trained or now.engine.is_predicted(row),
        notes=[*_notes(sent, live), *_picture_note(sent, now, row)],
    )


@router.delete(
    "/api/v1/items/{item_id:path}",
    status_code=204,
    dependencies=[Depends(require_scope("admin")), Depends(refuse_parts)],
)
def delete(site: CurrentSite, live: Live, item_id: str) -> None:
    """Withdraw an item: it is in no list and no search any more. Its page stays, and says so; PUT brings it back."""
    row = site.engine.items.row(item_id)
    if row == UNKNOWN or str(site.engine.items.id(row)) != item_id:
        raise HTTPException(HTTP_404_NOT_FOUND, f"no item {item_id[:MAX_QUERY]!r}")
    kept = live.about(item_id)
    about, fingerprint = (kept.about, kept.fingerprint) if kept else ({}, live.fingerprint)
    live.put(LiveItem(item_id, about, fingerprint, site.now(), withdrawn=True))


def _id_problem(item_id: str, known: str | None, site: Site) -> str:
    """Why no item can have an id, and which one can."""
    if known:
        return f"item_id {item_id[:MAX_QUERY]!r} is written {known!r} here"
    if site.engine.items.numeric:
        return (
            f"item_id {item_id[:MAX_QUERY]!r}: the ids of this site are whole numbers, written without zeros in front"
        )
    return (
        f"item_id {item_id[:MAX_QUERY]!r}: an id has 1 to {LONGEST_ID} printable letters and no blanks at its ends, "
        "and is no word for nothing, such as nan"
    )


def _picture_note(sent: ItemIn, site: Site, row: int) -> list[str]:
    """A sentence where no file of the site's folder of pictures has the name."""
    if not sent.picture or site.picture_of(row):
        return []
    return [f"picture: {sent.picture!r} is no picture in the site's folder of pictures, so a card is drawn"]


def _notes(sent: ItemIn, live: LiveItems) -> list[str]:
    """A sentence for each kind of columns that no model knows."""
    notes = []
    for kind, known in live.columns.items():
        unknown = sorted(set(getattr(sent, kind)) - known)
        if unknown:
            some = ", ".join(unknown[:5])
            names = f"one of {', '.join(sorted(known))}" if known else "none"
            notes.append(f"{kind}: {some} are shown but predict nothing; the models know {names}")
    return notes

"""Items of the catalogue. Their routes match any path, so `lists`, with longer paths, comes first."""

from typing import Annotated

from fastapi import APIRouter, Query

from matinee.serve.api.dependencies import ItemRow, Length
from matinee.serve.api.schemas import FoundOut, ItemOut, found_out, item_out
from matinee.serve.dependencies import CurrentSite
from matinee.serve.site import MAX_QUERY

router = APIRouter(tags=["items"])


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

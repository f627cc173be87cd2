"""Items of the catalogue. Their routes match any path, so `lists`, with longer paths, comes first."""

from typing import Annotated

from fastapi import APIRouter, Query

from matinee.serve.api.dependencies import ItemRow, Length
from matinee.serve.api.schemas import ItemOut, item_out
from matinee.serve.dependencies import CurrentSite
from matinee.serve.site import MAX_QUERY

router = APIRouter(tags=["items"])


@router.get("/api/v1/items")
def items(site: CurrentSite, query: Annotated[str, Query(max_length=MAX_QUERY)] = "", k: Length = 20) -> list[ItemOut]:
    """Items by title, best match first; without a query the most popular."""
    if not query.strip():
        return [item_out(site, item.item_row) for item in site.engine.popular(k)]
    return [item_out(site, row) for row in site.search.find(query, k)]


@router.get("/api/v1/items/{item_id:path}")
def item(site: CurrentSite, row: ItemRow) -> ItemOut:
    """One item."""
    return item_out(site, row)

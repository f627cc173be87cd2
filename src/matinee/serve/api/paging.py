"""Paging: a list that is asked for with `offset` is kept as it is, and read on under its id."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request
from starlette.status import HTTP_404_NOT_FOUND, HTTP_410_GONE

from matinee.serve.api.dependencies import UNPROCESSABLE, CurrentKey, require_key
from matinee.serve.api.schemas import ListOut, RecommendationOut
from matinee.serve.dependencies import CurrentSite
from matinee.serve.experiments import MadeList
from matinee.serve.site import Site
from matinee.store.kept_lists import KeptList
from matinee.store.protocols import BOTH, ListImpression, NotKept
from matinee.vocab import UNKNOWN

KEPT_ITEMS = 200
"""Items of a list that is kept: as many as re-ranking orders."""
KEPT_SECONDS = 3600
OF_PAGES = {"list", "offset", "k"}
"""Parameters that a further page may have; everything else was said when the list was made."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page is asked for. list_id: of a kept list, None to make one."""

    list_id: str | None
    offset: int


def get_paging(
    request: Request,
    list_id: Annotated[
        str | None,
        Query(
            alias="list",
            min_length=1,
            max_length=100,
            description="The list_id of a kept list, which is read on from `offset`.",
        ),
    ] = None,
    offset: Annotated[
        int | None,
        Query(
            ge=0,
            le=KEPT_ITEMS,
            description=f"0 keeps {KEPT_ITEMS} items as they are now, for an hour; with `list`, where to go on.",
        ),
    ] = None,
) -> Paging | None:
    """The page that is asked for, None without paging. Raises HTTPException for parameters that contradict it."""
    if list_id is None:
        if offset:
            raise HTTPException(
                UNPROCESSABLE, f"offset={offset} goes on with a list: ask for offset=0, then for list=ID"
            )
        return None if offset is None else Paging(None, 0)
    if others := sorted(request.query_params.keys() - OF_PAGES):
        raise HTTPException(UNPROCESSABLE, f"list={list_id} is kept as it was made; leave out {', '.join(others)}")
    return Paging(list_id, offset or 0)


AskedPage = Annotated[Paging | None, Depends(get_paging)]


def keep(site: Site, made: ListOut, user_id: str | None, k: int, *, by_key: bool) -> ListOut:
    """Keep a list that was made, and return its first page. It is served without further ones if it cannot be kept."""
    expires = site.now() + KEPT_SECONDS
    about = {"list": made.model_dump(mode="json", exclude_none=True), "by_key": by_key}
    try:
        site.kept_lists.keep(KeptList(made.list_id, user_id or "", expires, about), site.now())
    except NotKept as error:
        note = f"there are no further pages: {error.reason}"
        return made.model_copy(update={"items": made.items[:k], "notes": [*(made.notes or ()), note]})
    return _page(made, 0, k, expires)


def first_page(made: MadeList, k: int) -> MadeList:
    """What of a list is displayed at first."""
    exposure = made.exposure
    if exposure is not None and BOTH in made.model:
        exposure = replace(exposure, arm=exposure.arm[:k])
    return MadeList(made.items[:k], made.model, exposure)


def read_on(request: Request, site: CurrentSite, key: CurrentKey, asked: Paging, k: int) -> ListOut:
    """A page of a kept list, without items that were withdrawn since.

    Raises HTTPException: 404 for an unknown list or a stranger's, 410 for one that is expired, 401 and 403 for one that
    was made with an API key.
    """
    kept = site.kept_lists.find(str(asked.list_id))
    unknown = HTTPException(
        HTTP_404_NOT_FOUND,
        f"no list {asked.list_id!r} is kept; one asked for with offset=0 is, for {KEPT_SECONDS // 60} minutes",
    )
    if kept is None:
        raise unknown
    if kept.about["by_key"]:
        require_key(key, "read")
    elif kept.user_id and kept.user_id != site.visitors.user_id(request):
        raise unknown
    if kept.expires <= site.now():
        raise HTTPException(HTTP_410_GONE, f"the list {asked.list_id!r} expired at {kept.expires}; ask for a new one")
    page = _page(ListOut.model_validate(kept.about["list"]), asked.offset, k, kept.expires)
    listed = [item for item in page.items if _is_listed(site, item)]
    if listed and kept.user_id:
        ids = tuple(item.item_id for item in listed)
        name = f"{kept.list_id}+{asked.offset}"
        site.impressions.write([ListImpression(name, kept.user_id, "api", page.model, page.version, site.now(), ids)])
    return page.model_copy(update={"items": listed})


def _page(whole: ListOut, offset: int, k: int, expires: int) -> ListOut:
    end = offset + k
    about = {"offset": offset, "total": len(whole.items), "expires": expires}
    about |= {"next_offset": end} if end < len(whole.items) else {}
    return whole.model_copy(update={"items": whole.items[offset:end], **about})


def _is_listed(site: Site, item: RecommendationOut) -> bool:
    row = site.engine.items.row(item.item_id)
    return row == UNKNOWN or site.is_listed(row)

"""The form of tonight's mood: what every row leaves out, remembered in this browser."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from matinee.arrays import BoolArray
from matinee.ranking.shared import SERIES, kind_of_column
from matinee.serve.dependencies import CurrentSite
from matinee.serve.pages.cards import Card
from matinee.serve.pages.choices import TONIGHT, keep_choice
from matinee.serve.pages.errors import PageError, find_movie_row
from matinee.serve.site import MAX_QUERY, Site
from matinee.serve.tonight import Tonight, lengths_of, mask_of, read_tonight, tonight_of

router = APIRouter()


async def get_fields(request: Request) -> dict[str, list[str]]:
    """The fields of the form, each with all of its values."""
    form = await request.form()
    return {name: [str(value) for value in form.getlist(name)] for name in form}


@router.post("/tonight")
def tonight(
    request: Request, site: CurrentSite, given: Annotated[dict[str, list[str]], Depends(get_fields)]
) -> Response:
    """Remember the mood, or forget it (`reset`); then to the home page.

    like: a title, or with `item_id` an item in place of the one before. Raises PageError for years in the wrong order
    and for a title that nothing matches.
    """
    response = RedirectResponse("/#tonight", status_code=303)
    if "reset" in given:
        keep_choice(request, response, TONIGHT, "")
        return response
    if "item_id" in given:
        row = find_movie_row(site, given["item_id"][0])
        mood = replace(tonight_asked(request, site), like=str(site.engine.items.id(row)), lighter="lighter" in given)
    else:
        mood = tonight_of(given, site.catalogue)
    if mood.first is not None and mood.last is not None and mood.first > mood.last:
        raise PageError("rerank.bad_years", first=str(mood.first), last=str(mood.last))
    if mood.like and "item_id" not in given:
        mood = replace(mood, like=_find(site, mood.like))
    keep_choice(request, response, TONIGHT, mood.as_text())
    return response


def _find(site: Site, title: str) -> str:
    """The id of the item that a title means. Raises PageError if none does."""
    found = site.search.find(title[:MAX_QUERY], 1)
    if not found:
        raise PageError("tonight.unknown", wanted=title, name=title[:MAX_QUERY])
    return str(site.engine.items.id(found[0]))


def tonight_asked(request: Request, site: Site) -> Tonight:
    """The mood that this browser remembers."""
    return read_tonight(request.cookies.get(TONIGHT, ""), site.catalogue)


def mask_of_tonight(site: Site, mood: Tonight) -> BoolArray | None:
    """Which items every row may list. [I], None for all."""
    table = next(iter(site.engine.artefacts.values())).item_table
    return mask_of(mood, site.catalogue, lengths_of(table.numbers))


def firsts_of(cards: Sequence[Card], k: int) -> tuple[list[Card], list[Card]]:
    """The first k cards, one of each series as far as there are others, and the rest; both in order."""
    series = [
        card.shared.value if card.shared and kind_of_column(card.shared.attribute) == SERIES else "" for card in cards
    ]
    again = [bool(name) and name in series[:n] for n, name in enumerate(series)]
    chosen = set(sorted(range(len(cards)), key=again.__getitem__)[:k])
    return [cards[n] for n in sorted(chosen)], [card for n, card in enumerate(cards) if n not in chosen]

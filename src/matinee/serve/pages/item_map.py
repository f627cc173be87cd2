"""The map of items: the vectors of a served model in two dimensions, with the visitor's own items on it."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response

from matinee.serve.pages.context import Page, PageContext, Visitor
from matinee.serve.pages.errors import PageError, require_served
from matinee.serve.site import MAX_QUERY

MOST_OWN, MOST_FOUND = 300, 12
N_GENRES = 6
"""That have a colour; the others share one."""
WIDTH, HEIGHT, MARGIN = 1000, 680, 24
LETTER, LINE = 7.4, 17
"""Width and height of a title's letters."""
MOST_TITLES = 34
SIZES = 4

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Dot:
    """An item on the map. size: 1 to SIZES, by events; colour: 1 to N_GENRES, 0 for other genres."""

    title: str
    url: str
    year: int
    x: int
    y: int
    size: int
    colour: int
    is_own: bool
    is_found: bool
    is_named: bool = False


@router.get("/lab/map")
def item_map(
    page: Page, visitor: Visitor, model: str = "", find: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """The map by a model with vectors; find: a title to mark on it."""
    maps = page.resources.maps
    if not maps.models:
        raise PageError("map.none", 404)
    if model:
        require_served(model, tuple(maps.models))
    name = model or maps.models[0]
    found = page.site.search.find(find[:MAX_QUERY], MOST_FOUND) if find.strip() else []
    dots, genres = _dots(page, name, list(visitor.watched)[:MOST_OWN], found)
    return page.respond(
        "map.html",
        model=name,
        models=maps.models,
        dots=dots,
        genres=genres,
        find=find[:MAX_QUERY],
        own=[dot for dot in dots if dot.is_own],
        found=[dot for dot in dots if dot.is_found],
        size=(WIDTH, HEIGHT),
        n_watched=len(visitor.watched),
    )


def _dots(page: PageContext, model: str, own: list[int], found: list[int]) -> tuple[list[Dot], list[str]]:
    """The dots of a map, the most popular first but the visitor's and the found ones last, and the coloured genres."""
    site, maps = page.site, page.resources.maps
    catalogue, positions = site.catalogue, maps.positions(model)
    placed = [row for row in (*own, *found) if row < len(positions) and np.isfinite(positions[row, 0])]
    rows = [row for row in dict.fromkeys([*maps.shown.tolist(), *placed]) if site.is_listed(row)]
    first = [(catalogue.genres[row] or ("",))[0] for row in rows]
    counts: dict[str, int] = {}
    for genre in first:
        counts[genre] = counts.get(genre, 0) + 1
    genres = sorted((genre for genre in counts if genre), key=lambda genre: -counts[genre])[:N_GENRES]
    edges = np.quantile(site.engine.popularity[maps.shown], (0.5, 0.8, 0.95)) if len(maps.shown) else np.zeros(3)
    sizes = 1 + np.searchsorted(edges, site.engine.popularity[rows], side="right")
    own_rows, found_rows = set(own), set(found)
    dots = []
    for row, genre, size in zip(rows, first, sizes.tolist(), strict=True):
        x, y = positions[row].tolist()
        facts = page.cards.facts(row)
        dots.append(
            Dot(
                title=facts.title.name,
                url=facts.url,
                year=facts.year,
                x=round(WIDTH / 2 + x * (WIDTH / 2 - MARGIN)),
                y=round(HEIGHT / 2 - y * (HEIGHT / 2 - MARGIN)),
                size=size,
                colour=genres.index(genre) + 1 if genre in genres else 0,
                is_own=row in own_rows,
                is_found=row in found_rows,
            )
        )
    named = _without_overlap(dots)
    own_last = sorted(range(len(dots)), key=lambda index: dots[index].is_own or dots[index].is_found)
    return [replace(dots[index], is_named=index in named) for index in own_last], genres


def _without_overlap(dots: list[Dot]) -> set[int]:
    """Which dots have their title beside them: the visitor's and the found ones first, then the most popular."""
    taken: list[tuple[int, float, int, int]] = []
    named: set[int] = set()
    for index in sorted(range(len(dots)), key=lambda index: not (dots[index].is_own or dots[index].is_found)):
        dot = dots[index]
        left, top = dot.x + 9, dot.y - LINE // 2
        right, bottom = left + LETTER * len(dot.title), top + LINE
        covers = any(left < end and right > start and top < b and bottom > t for start, end, t, b in taken)
        if right < WIDTH and not covers:
            taken.append((left, right, top, bottom))
            named.add(index)
        if len(named) == MOST_TITLES:
            break
    return named

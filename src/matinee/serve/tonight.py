"""What a visitor is in the mood for tonight: filters that every row obeys, and "something like this, but lighter"."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

import numpy as np

from matinee.arrays import BoolArray, FloatArray
from matinee.catalogue import Catalogue
from matinee.ranking.recommendation import Recommendation
from matinee.recommender import Engine

LENGTHS = ("runtime", "minutes", "length", "duration")
"""Names of a number column that holds how long an item is, in minutes."""
HEAVY = frozenset({"Drama", "War", "Horror", "Thriller", "Crime", "Film-Noir", "Mystery", "Documentary"})
LIGHT = frozenset({"Comedy", "Romance", "Children", "Children's", "Animation", "Musical", "Adventure", "Fantasy"})
LIGHTER_BY = 0.25
"""How much less of an item's genres must be heavy, as a share of them, so that it is lighter than another."""
NEAR = 250
"""Similar items among which the lighter ones are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tonight:
    """The mood of an evening; empty fields ask for nothing.

    only: at least one of these genres; never: none of these; first, last: years; longest: minutes, where the data know
    them; like: the id of an item; lighter: than that item.
    """

    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    first: int | None = None
    last: int | None = None
    longest: int | None = None
    like: str = ""
    lighter: bool = False

    @property
    def filters(self) -> bool:
        """Whether any item is left out."""
        return bool(self.only or self.never) or not (self.first is None and self.last is None and self.longest is None)

    @property
    def on(self) -> bool:
        """Whether anything is asked for."""
        return self.filters or bool(self.like)

    def as_text(self) -> str:
        """As a cookie holds it, "" if nothing is asked for."""
        pairs: list[tuple[str, object]] = [(name, word) for name in ("only", "never") for word in getattr(self, name)]
        pairs += [(name, value) for name in ("first", "last", "longest") if (value := getattr(self, name)) is not None]
        pairs += [("like", self.like)] * bool(self.like) + [("lighter", 1)] * (bool(self.like) and self.lighter)
        return urlencode(pairs)


def read_tonight(text: str, catalogue: Catalogue) -> Tonight:
    """What `as_text` wrote; what cannot be read, or names a genre that the catalogue does not have, is left out."""
    return tonight_of(parse_qs(text[:4000]), catalogue)


def tonight_of(given: Mapping[str, Sequence[str]], catalogue: Catalogue) -> Tonight:
    """The mood in the fields of a form; unreadable values are left out. A genre that is never wanted is not wanted."""
    known = set(catalogue.genre_names)
    never = tuple(dict.fromkeys(word for word in given.get("never", ()) if word in known))
    only = tuple(dict.fromkeys(word for word in given.get("only", ()) if word in known and word not in never))
    numbers = {name: _number(given.get(name, ())) for name in ("first", "last", "longest")}
    like = next(iter(given.get("like", ())), "")[:200]
    return Tonight(only=only, never=never, like=like, lighter=bool(like) and "lighter" in given, **numbers)


def _number(values: Sequence[str]) -> int | None:
    text = next(iter(values), "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else None


def lengths_of(numbers: Mapping[str, FloatArray]) -> FloatArray | None:
    """The minutes of each item, NaN where they are unknown; None if the data have no such column. [I]."""
    return next((column for name, column in numbers.items() if name.lower() in LENGTHS), None)


def mask_of(tonight: Tonight, catalogue: Catalogue, lengths: FloatArray | None) -> BoolArray | None:
    """Which items the filters let through, None for all. [I]. An item without a year passes no filter of years.

    lengths: [T], T <= I, minutes; an item of unknown length passes.
    """
    if not tonight.filters:
        return None
    passes = np.ones(len(catalogue), dtype=bool)
    names, years = catalogue.genre_names, np.array(catalogue.years)
    if tonight.only:
        passes &= catalogue.genre_matrix[:, [names.index(genre) for genre in tonight.only]].any(axis=1)
    if tonight.never:
        passes &= ~catalogue.genre_matrix[:, [names.index(genre) for genre in tonight.never]].any(axis=1)
    if tonight.first is not None:
        passes &= years >= tonight.first
    if tonight.last is not None:
        passes &= (years <= tonight.last) & (years > 0)
    if tonight.longest is not None and lengths is not None:
        passes[: len(lengths)] &= ~(lengths > tonight.longest)
    return passes


def heaviness(genres: Collection[str]) -> float:
    """The share of heavy genres less that of light ones, from -1 to 1; 0 without genres."""
    return (len(HEAVY & set(genres)) - len(LIGHT & set(genres))) / max(1, len(genres))


def is_lighter(genres: Collection[str], than: Collection[str]) -> bool:
    """Whether an item of some genres is lighter than one of others: less heavy, and heavy in no new way."""
    return heaviness(genres) <= heaviness(than) - LIGHTER_BY and HEAVY & set(genres) <= set(than)


def something_like(
    engine: Engine, item_row: int, k: int, *, lighter: bool, mask: BoolArray | None, excluded: Collection[int]
) -> list[Recommendation]:
    """At most k items that are similar to one, the most similar first; lighter: only those that are lighter."""
    genres = engine.catalogue.genres
    near = engine.similar(item_row, NEAR) if engine.similar_models else []
    return [
        item
        for item in near
        if item.item_row not in excluded
        and (mask is None or mask[item.item_row])
        and (not lighter or is_lighter(genres[item.item_row], genres[item_row]))
    ][:k]

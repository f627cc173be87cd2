"""Whose export a table is, and which of its columns hold what."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matinee.reading.columns import NAMES, PERSONAL_NAMES, columns_named, plain_name
from matinee.serve.transfer.scale import without_scale

_SITES: Mapping[str, tuple[set[str], int | None]] = {
    "matinee": ({"eventid", "listid"}, 5),
    "imdb": ({"const"}, 10),
    "tmdb": ({"tmdbid", "yourrating"}, 10),
    "simkl": ({"simklid"}, 10),
    "trakt": ({"traktid"}, 10),
    "letterboxd": ({"letterboxduri"}, None),
    "movielens": ({"userid", "movieid", "rating"}, None),
}
"""Columns that only one site's exports have, and what its ratings are out of whatever the column holds."""
_CATALOGUES = ({"movieid", "title", "genres"}, {"movieid", "imdbid", "tmdbid"})
"""MovieLens's movies.csv and links.csv: which movies there are, and not what somebody watched."""
_BODIES = ("movie", "show", "season", "episode", "anime", "person", "list")
"""What a record of Trakt or Simkl is about, as an object inside it."""
RECORD_FIELDS = (*_BODIES, "season_number", "episode_number", "listed", "collected", "paused")
"""Fields that only such records have."""
_FOR_LATER = re.compile(r"watch[-_ ]?list|wish[-_ ]?list|want[-_ ]?to[-_ ]?(?:watch|see)|plan[-_ ]?to[-_ ]?watch", re.I)
_NAMING = ("item", "title", "imdb", "tmdb")
"""Fields that say which item a row is of."""
_LISTED = {"position", "created"}
"""IMDb's lists have these columns, its ratings do not."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of one table hold.

    site: a key of texts, `table` if it is not known; columns: of each field, the first that is not blank counts;
    out_of: the scale of the site's ratings; is_for_later: whether it lists what its owner wants to watch.
    """

    site: str
    columns: Mapping[str, Sequence[str]]
    out_of: int | None = None
    is_for_later: bool = False

    @property
    def names_movies(self) -> bool:
        """Whether a column holds ids or titles."""
        return any(field in self.columns for field in _NAMING)

    def used(self, is_marked: bool) -> dict[str, str]:
        """The field of each column that is used. is_marked: whether `seen` tells what was watched."""
        idle = {*_BODIES, *(() if is_marked else ("seen",))}
        return {name: field for field, names in self.columns.items() if field not in idle for name in names}


def layout_of(names: Sequence[str], file: str, *, is_list: bool = False) -> Layout:
    """The layout of a table with these columns, from a file of this name. is_list: whether it is known to be a list."""
    for_later = is_list or _FOR_LATER.search(file.rsplit("/", 1)[-1]) is not None
    if any(name.partition(".")[0] in _BODIES and "." in name for name in names):
        return _layout_of_records(names, for_later)
    plain = {plain_name(name) for name in names}
    site, (_, out_of) = next(((key, of) for key, of in _SITES.items() if of[0] <= plain), ("table", (set(), None)))
    columns = {field: columns_named(names, known) for field, known in PERSONAL_NAMES.items()}
    if not columns["rating"]:
        plain_of = {without_scale(name): name for name in reversed(names)}
        columns["rating"] = [plain_of[name] for name in columns_named(list(plain_of), PERSONAL_NAMES["rating"])]
    columns |= {field: columns[field][:1] for field in ("rating", "title")}  # another is somebody else's, or a comment
    if not any(columns[field] for field in _NAMING):
        columns["item"] = columns_named(names, NAMES["item"])[:1]  # ids, as logs name their column: product_id, artist
    if site == "imdb" and not columns["date"]:
        columns["date"] = columns_named(names, ("created",))  # before 2017 the date of a rating had this name
    return Layout(site, _filled(columns), out_of, for_later or (site == "imdb" and bool(_LISTED & plain)))


def is_catalogue(names: Iterable[str]) -> bool:
    """Whether a table only says which movies there are."""
    return {plain_name(name) for name in names} in _CATALOGUES


def _layout_of_records(names: Sequence[str], for_later: bool) -> Layout:
    """The layout of records as Trakt and Simkl write them: who did what, and the movie or show as an object inside."""
    outer = [name for name in names if "." not in name]
    columns = {field: columns_named(outer, PERSONAL_NAMES[field]) for field in ("rating", "date", "type", "status")}
    columns["rating"] = columns["rating"][:1]
    columns["type"] += [name for name in ("anime_type",) if name in outer]
    columns |= {
        "title": ["movie.title", "anime.title", "show.title", "person.name", "list.name"],
        "year": ["movie.year", "anime.year", "show.year"],
        "imdb": ["movie.ids.imdb"],
        "tmdb": ["movie.ids.tmdb"],
        "season_number": ["episode.season", "season.number"],
        "episode_number": ["episode.number"],
        "listed": ["listed_at", "added_to_watchlist_at"],
        "collected": ["collected_at"],
        "paused": ["paused_at"],
    }
    columns |= {body: [name for name in names if name.startswith(f"{body}.")][:1] for body in _BODIES}
    present = {field: [name for name in wanted if name in names] for field, wanted in columns.items()}
    site = "simkl" if any(name.endswith(".ids.simkl") for name in names) else "trakt"
    return Layout(site, _filled(present), 10, for_later)


def _filled(columns: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {field: found for field, found in columns.items() if found}

"""Column roles: which column of a table is the user, the item, the value and the time."""

import re
from collections.abc import Sequence

import polars as pl

from matinee.config import ColumnsConfig
from matinee.errors import DataError, did_you_mean
from matinee.reading.delimited import is_number
from matinee.reading.timestamps import to_micros

SNIFFED = ColumnsConfig()
"""No column is configured: all are recognised by name."""
_RATINGS = "yourrating myrating yourated userrating myscore rating ratings value score stars star overall vote"
_TIMES = (
    "watcheddate datewatched watchedat lastwatchedat daterated ratedat userratedat timestamp time at date datetime ts "
    "createdat unixreviewtime unixtime eventtime reviewtime when t"
)
_NAMES = {
    "user": "user userid uid member memberid customer customerid visitor visitorid viewer account accountid "
    "reviewer reviewerid person personid username usersha1 u",
    "item": "item itemid iid movie movieid film filmid product productid parentasin asin show showid video videoid "
    "book bookid isbn track trackid song songid artist artistid article articleid business businessid i",
    "value": f"{_RATINGS} preference weight plays playcount count r",
    "at": _TIMES,
}
NAMES = {role: tuple(names.split()) for role, names in _NAMES.items()}
"""Known column names by role, in order of preference, in lower case without punctuation. One's own rating precedes the
community's, and when a movie was watched precedes when that was written down."""
_PERSONAL = {
    "item": "movieid itemid id",
    "title": "title name movie film movietitle filmtitle titel titre titulo 제목 영화 영화제목 영화명",
    "original": "originaltitle 원제",
    "year": "year releaseyear releasedate 연도 개봉연도 제작연도",
    "imdb": "imdbid const tconst imdb",
    "tmdb": "tmdbid tmdb",
    "rating": f"{_RATINGS} rating10 note nota 별점 평점 내별점",
    "date": f"{_TIMES} 날짜 본날짜 관람일",
    "kind": "kind",
    "record": "record",
    "type": "titletype type mediatype contenttype",
    "status": "status watchlist liststatus",
    "seen": "watched seen",
    "user": "userid user username",
}
PERSONAL_NAMES = {field: tuple(names.split()) for field, names in _PERSONAL.items()}
"""The same for a table of the movies of one person, as sites of movies export them: `movie` is a title there."""


def find_roles(names: Sequence[str], where: str, columns: ColumnsConfig) -> dict[str, str]:
    """The column of each role, as configured or recognised by name. Raises DataError without a user or item."""
    roles: dict[str, str] = {}
    for role, wanted in columns.named.items():
        if wanted not in names:
            raise DataError(f"{where}: no column {wanted!r} for the {role}{did_you_mean(wanted, names)}")
        roles[role] = wanted
    free = [name for name in names if name not in roles.values()]
    for role, known in NAMES.items():
        found = columns_named(free, known)
        if role not in roles and found:
            roles[role] = found[0]
    for role in ("user", "item"):
        if role not in roles:
            raise DataError(
                f"{where}: no column for the {role} among {', '.join(map(repr, names))}; name it (--{role} COLUMN)"
            )
    return roles


def numbered_roles(frame: pl.DataFrame, where: str, columns: ColumnsConfig) -> dict[str, str]:
    """The column of each role of a table without a header: user, item, value, time.

    A third column is the time if it holds large numbers or dates. Raises DataError without a user or item.
    """
    named = columns.named
    for role, wanted in named.items():
        if wanted not in frame.columns:
            raise DataError(
                f"{where}: no column {wanted!r} for the {role}: the table has no header; "
                f"columns are numbered 1 to {frame.width}"
            )
    free = [name for name in frame.columns if name not in named.values()]
    order = [role for role in ("user", "item", "value", "at") if role not in named]
    if "value" in order and "at" in order and order.index("value") == len(free) - 1 and _is_time(frame[free[-1]]):
        order.remove("value")
    roles = named | dict(zip(order, free, strict=False))
    for role in ("user", "item"):
        if role not in roles:
            raise DataError(f"{where}: there is no column for the {role}; the table has {frame.width} columns")
    return roles


def _is_time(column: pl.Series) -> bool:
    head = column.drop_nulls().head(100)
    numbers = head.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    middle = numbers.median()
    if isinstance(middle, float):
        return middle > 1e8  # ratings and counts stay below; epoch seconds exceed it since 1973
    return len(head) > 0 and to_micros(head)[0].null_count() == 0


def is_header(first: list[str], following: list[str], wanted: set[str]) -> bool:
    """Whether the first row is a header: it has a wanted or two known names, or words above numbers."""
    cells = [cell.strip() for cell in first]
    if any(name in cells and not is_number(name) for name in wanted):
        return True
    if any(map(is_number, cells)):
        return False
    known = sum(any(plain_name(cell) in names for cell in cells) for names in NAMES.values())
    return known >= 2 or any(map(is_number, following)) or not following


def columns_named(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The columns that have one of the known names, in the order of the known names; of equal ones the first."""
    plain = {plain_name(name): name for name in reversed(names)}
    return [plain[name] for name in known if name in plain]


def plain_name(name: str) -> str:
    """Normalise a column name: `User_ID` and `user_id:token` become `userid`."""
    return re.sub(r"[\W_]", "", name.casefold().split(":")[0])

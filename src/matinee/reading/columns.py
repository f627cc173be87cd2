"""Column roles: which column of a table is the user, the item, the value, the time, the title."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import polars as pl

from matinee.config import ColumnsConfig
from matinee.errors import DataError, did_you_mean
from matinee.reading.names import ENDINGS, NAMES, NOT_AN_EVENT, OTHERS, OWN, PERSONAL_NAMES, UNRELATED
from matinee.reading.timestamps import to_micros

__all__ = ["NAMES", "PERSONAL_NAMES", "ROLES", "SNIFFED"]

SNIFFED = ColumnsConfig()
"""No column is configured: all are recognised by name."""
ROLES = ("user", "item", "value", "at")
"""The roles of a log's columns."""


def find_roles(names: Sequence[str], where: str, columns: ColumnsConfig) -> dict[str, str]:
    """The column of each role, as configured or recognised by name. Raises DataError without a user or item."""
    roles = dict(columns.named)
    for role, wanted in roles.items():
        if wanted not in names:
            raise DataError(f"{where}: no column {wanted!r} for the {role}{did_you_mean(wanted, names)}")
    free = [name for name in names if name not in roles.values()]
    roles |= recognise(free, [role for role in ROLES if role not in roles])
    for role in ("user", "item"):
        if role not in roles:
            raise DataError(f"{where}: no column for the {role} among {listed(names)}; name it (--{role} COLUMN)")
    return roles


def listed(names: Sequence[str]) -> str:
    """Names of columns for a message: the first ones, each shortened."""
    shown = ", ".join(repr(name if len(name) <= 40 else f"{name[:40]}...") for name in names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12:,} more"


def recognise(names: Sequence[str], roles: Iterable[str] = ROLES) -> dict[str, str]:
    """The column of each role that a name gives away; a column has one role, the first of those asked for.

    roles: of NAMES. Known names come before mere endings, and of ratings the user's own before others; one that is the
    average of many people's is none.
    """
    found: dict[str, str] = {}
    for role in roles:
        free = [name for name in names if name not in found.values()]
        known = columns_named(free, NAMES[role])
        if not known and role in ENDINGS:
            known = _by_ending(free, role)
        if known:
            found[role] = known[0]
    return found


def _by_ending(names: Sequence[str], role: str) -> list[str]:
    """The columns whose names end like the role; those that say whose they are come first."""
    words = {name: _words(name) for name in names}
    barred = OTHERS if role == "value" else NOT_AN_EVENT
    fitting = [name for name in names if _ends(words[name], role) and not barred & set(words[name])]
    return sorted(fitting, key=lambda name: not OWN & set(words[name]))


def _ends(words: Sequence[str], role: str) -> bool:
    endings = ENDINGS[role].split()
    if not words:
        return False
    if words[-1] in endings or (role == "at" and words[0] == "date"):
        return True
    return any(len(end) > 3 and words[-1].endswith(end) and words[-1] not in UNRELATED for end in endings)


def _words(name: str) -> list[str]:
    """`Book-Rating`, `bookRating` and `book_rating:float` as book, rating."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.split(":")[0])
    return re.sub(r"[\W_]+", " ", apart).lower().split()


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
    order = [role for role in ROLES if role not in named]
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


def is_header(first: Sequence[str], following: Sequence[str], wanted: set[str]) -> bool:
    """Whether the first row is a header: it has a wanted or two known names, or words above numbers."""
    cells = [cell.strip() for cell in first]
    if any(name in cells and not is_number(name) for name in wanted):
        return True
    if any(map(is_number, cells)):
        return False
    known = sum(any(plain_name(cell) in names for cell in cells) for names in map(NAMES.__getitem__, ROLES))
    return known + (len(recognise(cells)) > known > 0) >= 2 or any(map(is_number, following)) or not following


def is_number(cell: str) -> bool:
    """Whether a cell is a decimal number."""
    return bool(_NUMBER.match(cell))


_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")


def columns_named(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The columns that have one of the known names, in the order of the known names; of equal ones the first."""
    plain = {plain_name(name): name for name in reversed(names)}
    return [plain[name] for name in known if name in plain]


def plain_name(name: str) -> str:
    """Normalise a column name: `User_ID` and `user_id:token` become `userid`, `Película` becomes `pelicula`."""
    letters = unicodedata.normalize("NFKD", name.split(":")[0]).casefold()
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", re.sub(r"[\W_]", "", plain))

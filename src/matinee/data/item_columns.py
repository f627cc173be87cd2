"""The columns of a table of items: by name, as they are given or recognised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matinee.config import ItemColumnsConfig
from matinee.errors import DataError, did_you_mean
from matinee.reading.columns import columns_named, listed, recognise

_ONE = {
    "item": "item itemid productid sku asin parentasin isbn movieid filmid bookid trackid songid gameid appid artistid "
    "articleid videoid showid animeid recipeid businessid beerid jokeid id productcode itemcode code handle",
    "title": "title name producttitle productname itemtitle itemname movietitle filmtitle booktitle originaltitle "
    "titel titulo titre 제목 상품명",
    "year": "year releaseyear yearofpublication releasedate published publicationyear yearpublished",
    "genres": "genres genre categories category productcategory producttype department 카테고리 장르",
    "link": "link url producturl itemurl permalink website",
    "picture": "picture image imageurl imagelink pictureurl photo photourl thumbnail thumbnailurl poster posterurl "
    "posterpath img cover coverurl imageurlhighres imageurll imageurlm",
    "credit": "credit attribution licence license rights textcredit",
}
_SEVERAL = {
    "text": "text description overview abstract plot summary synopsis details about tagline features "
    "shortdescription longdescription productdescription bodyhtml 설명",
    "lists": "tags keywords subcategory subcategories brand brands manufacturer maker vendor seller publisher author "
    "authors artist artists director directors actors cast starring writers creator creators people color colors "
    "colour colours material materials ingredients designer 브랜드",
    "numbers": "price listprice saleprice cost weight length width height duration runtime minutes pages numpages "
    "pagecount 가격",
}
ONE, SEVERAL = ({role: tuple(names.split()) for role, names in known.items()} for known in (_ONE, _SEVERAL))
"""Names of columns by role, in lower case without punctuation: of roles that one column has, in order of preference,
and of those that several may have."""


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """The columns that are read. one: by role (item, title, ...); text, lists, numbers: any number; unused: the others.

    given: those that were named, not recognised.
    """

    one: Mapping[str, str]
    text: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()


def find_item_columns(
    names: Sequence[str], config: ItemColumnsConfig, where: str, log_column: str | None = None
) -> ItemColumns:
    """The columns of each role. log_column: the log's column of items, which is that of ids where this table has it.

    Raises DataError for a given column that is not there or has two roles, and if there is no column of ids.
    """
    one = {role: name for role in ONE if (name := getattr(config, role)) is not None}
    several = {role: getattr(config, role) for role in SEVERAL}
    given = [*one.values(), *(name for chosen in several.values() for name in chosen)]
    for name in given:
        if name not in names:
            raise DataError(f"{where}: no column {name!r}{did_you_mean(name, names)}")
        if given.count(name) > 1:
            raise DataError(f"{where}: the column {name!r} is named for two roles; name it for one")
    free = [name for name in names if name not in given]
    if "item" not in one and log_column in free:
        one["item"] = str(log_column)
    for role, known in ONE.items():
        free = [name for name in free if name not in one.values()]
        if role not in one and (found := columns_named(free, known)):
            one[role] = found[0]
    if "item" not in one:
        raise DataError(_without_ids(names, where))
    for role, known in SEVERAL.items():
        free = [name for name in free if name not in one.values()]
        if not several[role]:
            several[role] = tuple(sorted(columns_named(free, known), key=names.index))
            free = [name for name in free if name not in several[role]]
    free = [name for name in free if name not in one.values()]
    return ItemColumns(one, **several, unused=tuple(free), given=frozenset(given))


def is_log(names: Sequence[str]) -> bool:
    """Whether the columns are those of a log: somebody, something, and how much or when."""
    return len({"user", "item", "value", "at"} & recognise(names).keys()) >= 3 and "user" in recognise(names)


def is_item_table(names: Sequence[str]) -> bool:
    """Whether the columns are those of a table of items: an id and a title, a text, a price or a picture."""
    known = [role for role, words in (ONE | SEVERAL).items() if columns_named(names, words)]
    return "item" in known and len(known) >= 3 and "user" not in recognise(names)


def _without_ids(names: Sequence[str], where: str) -> str:
    return f"{where}: no column of ids among {listed(names)}; name it (--items-id COLUMN, or item= in Python)"

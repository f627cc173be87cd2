"""Tables of items from frames, and data sets with the items that only such a table has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from matinee.arrays import FloatArray
from matinee.catalogue import Catalogue, split_genres
from matinee.config import Config, configure
from matinee.dataset import Dataset
from matinee.errors import DataError, did_you_mean
from matinee.item_table import ItemTable, Texts, Words
from matinee.reading.cells import read_ids
from matinee.reading.columns import plain_name
from matinee.reading.table import Table, as_table
from matinee.titles import split_year
from matinee.vocab import Vocab

SEQUENCES = (list, tuple, np.ndarray)
NAMES = {
    "item": ("item", "itemid", "id", "movieid", "productid", "sku", "asin", "isbn"),
    "title": ("title", "name"),
    "year": ("year", "releaseyear", "published"),
    "genres": ("genres", "genre", "categories", "category"),
    "text": ("text", "description", "overview", "abstract", "plot", "summary"),
    "link": ("link", "url"),
    "picture": ("picture", "image", "imageurl", "poster"),
}
"""Names by which a column is recognised, in lower case without punctuation."""


class ItemColumnsConfig(Config):
    """The columns of a table of items. Those left out are recognised by name; lists and numbers must be named."""

    item: str | None = None
    """The column of ids, those of the log."""
    title: str | None = None
    """The title; a year in brackets at its end is read where there is no column of years."""
    year: str | None = None
    genres: str | None = None
    """Genres or categories: lists, or text with `|` between."""
    text: tuple[str, ...] = ()
    """Columns of running text: descriptions, abstracts."""
    lists: tuple[str, ...] = ()
    """Columns of lists, or of text with `|` between: people, tags, materials."""
    numbers: tuple[str, ...] = ()
    """Columns of numbers: a price, a length."""
    link: str | None = None
    picture: str | None = None


def read_items(frame: Any, columns: ItemColumnsConfig, where: str = "items") -> ItemTable:  # noqa: ANN401 - any frame
    """A table of items from a frame of any library, one row an item.

    Raises DataError for a column that is not there, an id that is missing or stands twice, or a cell of a wrong type.
    """
    table = as_table(_with_joined_lists(frame), where)
    names = _named(table.frame.columns, columns, where)
    if "item" not in names:
        raise DataError(f"{where}: no column of ids among {', '.join(map(repr, table.frame.columns))}; name it: item=")
    ids, _ = read_ids(table.frame[names["item"]], "item", where, table.locate)
    _require_unique(ids, table)
    items, rows = Vocab.index(ids.to_numpy() if ids.dtype.is_integer() else _text_ids(ids))
    ordered = table.frame[np.argsort(rows).tolist()]
    titles = _texts(ordered, names.get("title"))
    texts = columns.text or ((names["text"],) if "text" in names else ())
    lists = {"genres": names["genres"]} if "genres" in names else {}
    lists |= {name: name for name in columns.lists}
    return ItemTable(
        items,
        titles,
        _years(ordered, names.get("year"), titles),
        {name: _lists(ordered[column]) for name, column in lists.items()},
        {name: _texts(ordered, name) for name in texts},
        {name: _numbers(ordered[name], where) for name in columns.numbers},
        _texts(ordered, names["link"]) if "link" in names else (),
        _texts(ordered, names["picture"]) if "picture" in names else (),
    )


def items_of(frame: Any = None, **columns: object) -> ItemTable:  # noqa: ANN401 - any frame
    """`read_items` with columns as keywords; text, lists and numbers take one name or several."""
    many = ("text", "lists", "numbers")
    given = {name: (value,) if name in many and isinstance(value, str) else value for name, value in columns.items()}
    return read_items(frame, configure(ItemColumnsConfig, given, "items"))


def add_items(data: Dataset, table: ItemTable) -> Dataset:
    """The data set with what a table knows of items, and with the items that only the table has, without events.

    Events are the same, in other rows. Raises DataError if the ids of one are numbers and those of the other text.
    """
    if len(table) == 0:
        return data
    if data.items.numeric != table.items.numeric:
        kinds = ["numbers" if vocab.numeric else "text" for vocab in (data.items, table.items)]
        raise DataError(
            f"item ids are {kinds[0]} in {data.name} and {kinds[1]} in the table of items; make them the same type"
        )
    items = Vocab(np.union1d(data.items.ids, table.items.ids))
    rows = items.rows(data.items.ids)
    merged = table.of_items(items).filled_from(data.item_table.of_items(items))
    counts = data.catalogue.counts
    catalogue = Catalogue(
        tuple(title or str(items.id(row)) for row, title in enumerate(merged.titles)),
        tuple(merged.years.tolist()),
        merged.lists.get("genres", ((),) * len(items)),
        merged.lists.get("tags", ()),
        None if counts is None else np.bincount(rows, counts, minlength=len(items)).astype(counts.dtype),
    )
    events = replace(data.events, item_rows=rows[data.events.item_rows].astype(np.int32))
    n_new = len(items) - len(data.items)
    notes = (f"{n_new:,} items have no event and are from the table of items alone",) if n_new else ()
    return replace(data, items=items, events=events, catalogue=catalogue, notes=(*data.notes, *notes), table=merged)


def _with_joined_lists(frame: Any) -> Any:  # noqa: ANN401 - any frame
    """A frame whose lists are text with `|` between; polars' own lists stay."""
    named = frame if isinstance(frame, Mapping) else getattr(frame, "columns", ())
    if isinstance(frame, (pl.DataFrame, pl.LazyFrame)) or not all(isinstance(name, str) for name in named):
        return frame
    joined = {}
    for name in named:
        cells = list(frame[name])
        if any(isinstance(cell, SEQUENCES) for cell in cells):
            joined[name] = ["|".join(map(str, cell)) if isinstance(cell, SEQUENCES) else cell for cell in cells]
    return {name: joined.get(name, frame[name]) for name in named} if joined else frame


def _named(names: Sequence[str], columns: ItemColumnsConfig, where: str) -> dict[str, str]:
    """The column of each role that is given or recognised. Raises DataError for a given one that is not there."""
    given = {role: name for role, name in columns.model_dump().items() if isinstance(name, str)}
    for name in [*given.values(), *columns.text, *columns.lists, *columns.numbers]:
        if name not in names:
            raise DataError(f"{where}: no column {name!r}{did_you_mean(name, names)}")
    taken = {*given.values(), *columns.text, *columns.lists, *columns.numbers}
    free = {plain_name(name): name for name in reversed(names) if name not in taken}
    found = {role: next((free[name] for name in known if name in free), None) for role, known in NAMES.items()}
    return {role: name for role, name in found.items() if name is not None} | given


def _require_unique(ids: pl.Series, table: Table) -> None:
    repeated = ids.is_duplicated()
    if repeated.any():
        first = int(np.flatnonzero(repeated.to_numpy())[0])
        again = [row for row, id in enumerate(ids.to_list()) if id == ids[first]][1]
        raise DataError(
            f"{table.where}: item {ids[first]} stands twice, in {table.locate(first)} and {table.locate(again)}; "
            "give one row an item"
        )


def _text_ids(ids: pl.Series) -> np.ndarray[Any, Any]:
    return np.array(ids.to_list(), dtype=np.dtypes.StringDType())


def _texts(frame: pl.DataFrame, name: str | None) -> Texts:
    if name is None:
        return ("",) * len(frame)
    return tuple(cell or "" for cell in frame[name].cast(pl.String, strict=False).to_list())


def _lists(column: pl.Series) -> Words:
    if isinstance(column.dtype, pl.List):
        return tuple(tuple(str(word) for word in cell or () if word is not None) for cell in column.to_list())
    return tuple(map(split_genres, column.cast(pl.String, strict=False).to_list()))


def _numbers(column: pl.Series, where: str) -> FloatArray:
    numbers = column.cast(pl.Float64, strict=False)
    bad = numbers.is_null() & column.is_not_null()
    if bad.any():
        index = int(np.flatnonzero(bad.to_numpy())[0])
        raise DataError(f"{where}, row {index + 1}: {column[index]!r} in column {column.name!r} is not a number")
    return numbers.fill_null(np.nan).to_numpy()


def _years(frame: pl.DataFrame, name: str | None, titles: Texts) -> np.ndarray[Any, Any]:
    if name is None:
        return np.array([split_year(title)[1] for title in titles], dtype=np.int32)
    years = frame[name].cast(pl.String, strict=False).str.extract(r"(\d{4})").cast(pl.Int32, strict=False)
    return years.fill_null(0).to_numpy()

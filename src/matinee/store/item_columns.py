"""What is known of items as columns of items.parquet, which older versions read without them.

list:NAME holds lists of text, text:NAME and the columns link, picture and credit text, number:NAME numbers or null. The
title, year, genres and tags are columns of every artefact; list:genres is written where a genre has a `|`.
"""

from typing import Any

import numpy as np
import polars as pl

from matinee.catalogue import Catalogue, join_genres, split_genres
from matinee.item_table import ItemTable, Texts, Words
from matinee.store.soundness import UnsoundError
from matinee.vocab import Vocab

LIST, TEXT, NUMBER = "list:", "text:", "number:"
SINGLE = ("link", "picture", "credit")
OWN_COLUMNS = ("genres", "tags")
"""Lists that the catalogue has too."""


def columns_of(table: ItemTable) -> dict[str, pl.Series]:
    """The columns beyond those of the catalogue. [I] each."""
    columns = {}
    for name, words in table.lists.items():
        if name not in OWN_COLUMNS or (name == "genres" and any(split_genres(join_genres(w)) != w for w in words)):
            columns[LIST + name] = pl.Series(list(map(list, words)), dtype=pl.List(pl.String))
    columns |= {TEXT + name: pl.Series(texts, dtype=pl.String) for name, texts in table.texts.items()}
    columns |= {NUMBER + name: pl.Series(numbers, dtype=pl.Float64) for name, numbers in table.numbers.items()}
    for name, texts in zip(SINGLE, (table.links, table.pictures, table.credits), strict=True):
        if texts:
            columns[name] = pl.Series(texts, dtype=pl.String)
    return columns


def catalogue_of(table: pl.DataFrame) -> Catalogue:
    """The catalogue in a table of items that passed `require_items`."""
    tags = tuple(map(tuple, table["tags"])) if "tags" in table.columns else ()
    name = f"{LIST}genres"
    genres = _words(table[name]) if name in table.columns else tuple(map(split_genres, table["genres"]))
    return Catalogue(tuple(table["title"]), tuple(table["year"]), genres, tags, table["events"].to_numpy())


def table_of(table: pl.DataFrame, items: Vocab, catalogue: Catalogue) -> ItemTable | None:
    """What else is known of the items; None if nothing is. Raises UnsoundError for a column of a wrong type."""
    names = [name for name in table.columns if name.startswith((LIST, TEXT, NUMBER)) or name in SINGLE]
    if not names:
        return None
    columns: dict[str, dict[str, Any]] = {LIST: {}, TEXT: {}, NUMBER: {}}
    readers = {LIST: _words, TEXT: _texts, NUMBER: _numbers}
    for name in names:
        role, colon, column = name.partition(":")
        if colon:
            columns[role + colon][column] = readers[role + colon](table[name])
    return ItemTable(
        items,
        catalogue.titles,
        np.array(catalogue.years, dtype=np.int32),
        columns[LIST],
        columns[TEXT],
        columns[NUMBER],
        *(_texts(table[name]) if name in names else () for name in SINGLE),
    )


def _words(column: pl.Series) -> Words:
    is_list = isinstance(column.dtype, pl.List) and column.dtype.inner in (pl.String, pl.Null)
    if not is_list or column.null_count() or (column.list.drop_nulls().list.len() < column.list.len()).any():
        raise UnsoundError(f"column {column.name} does not hold lists of texts")
    return tuple(map(tuple, column.to_list()))


def _texts(column: pl.Series) -> Texts:
    if column.dtype != pl.String or column.null_count():
        raise UnsoundError(f"column {column.name} does not hold texts")
    return tuple(column.to_list())


def _numbers(column: pl.Series) -> np.ndarray[Any, Any]:
    if not column.dtype.is_numeric():
        raise UnsoundError(f"column {column.name} does not hold numbers")
    numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    if np.isinf(numbers).any():
        raise UnsoundError(f"column {column.name} holds infinite values")
    return numbers

"""Tables of items from files and frames, and data sets with the items that only such a table has."""

import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.config import ItemColumnsConfig, ItemsConfig, configure
from matinee.data.item_cells import read_lists, read_numbers, read_texts, read_titles, read_years, years_of_titles
from matinee.data.item_columns import ItemColumns, find_item_columns, is_log
from matinee.data.item_ids import example_of_text, read_item_ids, same_looking, show_id
from matinee.data.lookup import stem
from matinee.dataset import Dataset, Events
from matinee.errors import DataError, UsageError
from matinee.item_table import ItemTable
from matinee.nouns import ITEM, Noun, noun_of_column
from matinee.reading.archives import open_source
from matinee.reading.cells import blank_cells
from matinee.reading.columns import listed
from matinee.reading.encodings import BYTE_ORDER_MARK, Encoding
from matinee.reading.table import Table, as_table, read_table
from matinee.vocab import UNKNOWN, Vocab, as_ids

SEQUENCES = (list, tuple, np.ndarray)


@dataclass(frozen=True, slots=True, eq=False)
class ReadItems:
    """A table of items, and what reading it took.

    notes: one sentence each; record: columns by role and unused ones, ready for JSON; noun: by the column of ids.
    """

    table: ItemTable
    notes: tuple[str, ...]
    record: dict[str, Any]
    noun: Noun = ITEM


def load_items(path: str | Path, config: ItemsConfig, data: Dataset, *, drop_blank: bool = False) -> ReadItems:
    """Read a file of items, of any format of `read_table` with a header, for the items of a data set.

    Raises DataError: one line with the problem, its place and the fix.
    """
    path = Path(path).expanduser()
    if not path.exists() and str(path) != "-":
        raise DataError(f"no file of items {path}; give --items a CSV, TSV, Parquet or JSON lines file")
    archive, single = open_source(path)
    if single is None:
        raise DataError(f"{path} is a folder or an archive; give --items the table of items in it")
    where = str(path)
    raw = archive.read(single)
    if not raw.strip(BYTE_ORDER_MARK + string.whitespace.encode()):
        raise DataError(f"{where} is empty; a table of items has a header and a line for each item: id, title, ...")
    log_columns = data.read[0]["columns"] if data.read else {}
    table = read_table(raw, where, headed=True, encoding=Encoding(config.encoding, "--items-encoding"))
    if len(table.frame) == 0:
        raise DataError(f"{where} has a header and no item below it; give a line for each item, or leave --items out")
    return read_items(table, config, log_columns.get("item"), drop_blank=drop_blank)


def items_of(frame: Any = None, **columns: object) -> ItemTable:  # noqa: ANN401 - any frame
    """A table of items from a frame, with columns as keywords; text, lists and numbers take one name or several."""
    many = ("text", "lists", "numbers")
    given = {name: (value,) if name in many and isinstance(value, str) else value for name, value in columns.items()}
    table = as_table(_with_joined_lists(frame), "items")
    return read_items(table, configure(ItemColumnsConfig, given, "items")).table


def read_items(
    table: Table, config: ItemColumnsConfig, log_column: str | None = None, *, drop_blank: bool = False
) -> ReadItems:
    """A table of items, one row an item. log_column: the log's column of items.

    drop_blank: leave out rows without an id, and count them. Raises DataError for a column that is not there, an id
    that is missing or stands twice, or a cell of a wrong type.
    """
    where, names = table.where, table.frame.columns
    if config.item is None and is_log(names):
        raise DataError(
            f"{where} looks like a log, with the columns {listed(names)}; give it as the data, or name --items-id"
        )
    columns = find_item_columns(names, config, where, log_column)
    if drop_blank and (blank := blank_cells(table.frame[columns.one["item"]])).any():
        table = table.filtered(~blank, {"no item": int(blank.sum())})
    ids, id_notes = read_item_ids(table, columns.one["item"])
    items, rows = Vocab.index(as_ids(ids.to_list()))
    found = _Cells(table, columns)
    read = found.table(items, np.argsort(rows))
    record = {
        "where": where,
        "format": table.format,
        "columns": dict(columns.one) | {role: list(getattr(columns, role)) for role in ("text", "lists", "numbers")},
        "unused": [*columns.unused, *found.left_out],
        "dropped": dict(table.dropped),
    }
    notes = (_columns_note(record), *table.notes, *id_notes, *found.notes)
    return ReadItems(read, notes, record, noun_of_column(columns.one["item"]))


class _Cells:
    """The cells of a table of items by column, and sentences on what reading them took.

    A recognised column of numbers that holds something else is left out; a named one is an error.
    """

    def __init__(self, table: Table, columns: ItemColumns) -> None:
        self._table, self._columns = table, columns
        self.notes: list[str] = []
        self.left_out: list[str] = []

    def table(self, items: Vocab, order: np.ndarray[Any, Any]) -> ItemTable:
        """The table with the rows in an order, which is that of the ids. [n]."""
        frame, one = self._table.frame, self._columns.one
        titles = self._titles(one["title"]) if "title" in one else ("",) * len(items)
        lists = {name: name for name in self._columns.lists} | ({"genres": one["genres"]} if "genres" in one else {})
        numbers = {name: self._numbers(name) for name in self._columns.numbers}
        unordered = ItemTable(
            Vocab(np.arange(len(items))),
            titles,
            self._years(one.get("year"), titles),
            {name: self._lists(column) for name, column in lists.items()},
            {name: read_texts(frame[name]) for name in self._columns.text},
            {name: column for name, column in numbers.items() if column is not None},
            *(read_texts(frame[one[role]]) if role in one else () for role in ("link", "picture", "credit")),
        )
        if (empty := sum(not title for title in titles)) and "title" in one:
            self.notes.append(f"items: {empty:,} have no title and are shown by their id")
        return replace(unordered.of_items(Vocab(order)), items=items)

    def _titles(self, name: str) -> tuple[str, ...]:
        titles, n_changed = read_titles(self._table.frame[name])
        if n_changed:
            self.notes.append(f"items: {n_changed:,} titles had line breaks or control letters, read as blanks")
        return titles

    def _years(self, name: str | None, titles: tuple[str, ...]) -> IntArray:
        if name is None:
            return years_of_titles(titles)
        years = read_years(self._table.frame[name])
        unread = (years == 0) & ~blank_cells(self._table.frame[name]).to_numpy()
        if unread.any():
            first = int(np.argmax(unread))
            cell = str(self._table.frame[name][first])[:40]
            self.notes.append(
                f"items: {int(unread.sum()):,} cells of {name!r} have no year and are left out, such as {cell!r} in "
                f"{self._table.locate(first)}"
            )
        return years

    def _lists(self, name: str) -> tuple[tuple[str, ...], ...]:
        words, separator, n_other = read_lists(self._table.frame[name])
        if n_other:
            self.notes.append(
                f"items: {n_other:,} cells of {name!r} have `;` and no `|`: each is one word, for others are cut at `|`"
            )
        if separator is not None:
            self.notes.append(f"items: {name!r} was cut into words at {separator!r}")
        return words

    def _numbers(self, name: str) -> FloatArray | None:
        try:
            numbers, unit = read_numbers(self._table.frame[name], self._table.where, self._table.locate)
        except DataError as error:
            if name in self._columns.given:
                raise
            self.notes.append(f"items: the column {name!r} is left out: {error}")
            self.left_out.append(name)
            return None
        if unit is not None:
            self.notes.append(f"items: {name!r} was read without its unit {unit!r}")
        return numbers


def with_items_file(data: Dataset, config: ItemsConfig, *, drop_blank: bool = False) -> Dataset:
    """The data set with what the file of `config` says of its items, and with the items that only the file has.

    Raises UsageError if there is no file and another field of `config` is set.
    """
    if config.file is None:
        if config != ItemsConfig():
            names = (name for name, field in ItemsConfig.model_fields.items() if getattr(config, name) != field.default)
            raise UsageError(f"items.{next(names)} is about a file of items; give one with --items")
        return data
    read = load_items(config.file, config, data, drop_blank=drop_blank)
    noun = read.noun if data.noun == ITEM else data.noun
    data = add_items(replace(data, notes=(*data.notes, *read.notes)), read.table, stem(Path(config.file)))
    return replace(data, noun=noun, read=(*data.read, read.record))


def add_items(data: Dataset, table: ItemTable, where: str = "the table of items") -> Dataset:
    """The data set with what a table knows of items, and with the items that only the table has, without events.

    Events are the same, in other rows. where: the table's name. Raises DataError if the ids of one are numbers and
    those of the other text.
    """
    if len(table) == 0:
        return data
    if data.items.numeric != table.items.numeric:
        kinds = ["numbers" if vocab.numeric else "text" for vocab in (data.items, table.items)]
        one, other = (show_id(example_of_text(vocab)) for vocab in (data.items, table.items))
        raise DataError(
            f"item ids are {kinds[0]} in {data.name} (such as {one}) and {kinds[1]} in {where} (such as {other}); make "
            "them the same, or name another column of ids (--items-id)"
        )
    items = Vocab(np.array(sorted({*data.items.ids.tolist(), *table.items.ids.tolist()}), dtype=data.items.ids.dtype))
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
    moved = data.events
    events = Events(moved.user_rows, rows[moved.item_rows].astype(np.int32), moved.values, moved.times)
    notes = (*data.notes, _matched_note(data, table, where), *same_looking(items))
    return replace(data, items=items, events=events, catalogue=catalogue, notes=notes, table=merged)


def _matched_note(data: Dataset, table: ItemTable, where: str) -> str:
    """How many items of the log the table has, and how many it has beyond them."""
    n_known = int((table.items.rows(data.items.ids) != UNKNOWN).sum())
    if n_known == 0:
        ids = f"{show_id(data.items.id(0))} in the log, {show_id(table.items.id(0))} there"
        return f"items: none of the {len(data.items):,} items of the log is in {where}: ids such as {ids}"
    n_new = len(table) - n_known
    more = f"; {n_new:,} more have no event and are from the table of items alone" if n_new else ""
    return f"items: {n_known:,} of {len(data.items):,} items of the log are in {where}{more}"


def _columns_note(record: Mapping[str, Any]) -> str:
    """`items: item=product_id, title=name, text=description; not used: weight class`."""
    shown = [
        f"{role}={'+'.join(names) if isinstance(names, list) else names}"
        for role, names in record["columns"].items()
        if names
    ]
    unused = f"; not used: {listed(record['unused'])}" if record["unused"] else ""
    dropped = "".join(f"; dropped {n:,} lines: {reason}" for reason, n in record["dropped"].items())
    return f"items: {', '.join(shown)}{unused}{dropped}"


def _with_joined_lists(frame: Any) -> Any:  # noqa: ANN401 - any data frame
    """A frame whose lists are polars' own; polars' frames stay."""
    named = frame if isinstance(frame, Mapping) else getattr(frame, "columns", ())
    if isinstance(frame, (pl.DataFrame, pl.LazyFrame)) or not all(isinstance(name, str) for name in named):
        return frame
    lists = {}
    for name in named:
        cells = list(frame[name])
        if any(isinstance(cell, SEQUENCES) for cell in cells):
            words = [list(map(str, cell)) if isinstance(cell, SEQUENCES) else _one_word(cell) for cell in cells]
            lists[name] = pl.Series(name, words, dtype=pl.List(pl.String))
    return {name: lists.get(name, frame[name]) for name in named} if lists else frame


def _one_word(cell: object) -> list[str] | None:
    return None if cell is None or cell != cell else str(cell).split("|")

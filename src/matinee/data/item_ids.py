"""Ids of a table of items: each once, shown safely in messages, with a note on those that look the same."""

import re
import unicodedata
from collections import defaultdict
from functools import reduce
from operator import and_

import numpy as np
import polars as pl

from matinee.errors import DataError
from matinee.reading.cells import blank_cells, read_ids
from matinee.reading.table import Table
from matinee.vocab import Id, Vocab

_LONGEST_SHOWN = 40
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")


def read_item_ids(table: Table, column: str) -> tuple[pl.Series, tuple[str, ...]]:
    """The ids of a table of items, and notes. Raises DataError for one that is missing or stands twice."""
    cells = table.frame[column]
    blank = blank_cells(cells)
    if blank.any():
        first, n_more = int(blank.arg_max() or 0), int(blank.sum()) - 1
        more = f", and on {n_more:,} more lines" if n_more else ""
        raise DataError(
            f"{table.where}, {table.locate(first)}: no item ({str(cells[first] or '').strip() or 'blank'}) in column "
            f"{column!r}{more}; fill it in, drop the line (--drop-blank true does), or name another column (--items-id)"
        )
    ids, notes = read_ids(cells, "item", table.where, table.locate)
    repeated = ids.is_duplicated()
    if repeated.any():
        first = int(np.flatnonzero(repeated.to_numpy())[0])
        again = int(np.flatnonzero((ids == ids[first]).to_numpy())[1])
        raise DataError(
            f"{table.where}: item {show_id(ids[first])} stands twice, in {table.locate(first)} and "
            f"{table.locate(again)}; give one row an item"
        )
    return ids, (*notes, *_nothing_but_ids(table, column, ids))


def _nothing_but_ids(table: Table, column: str, ids: pl.Series) -> list[str]:
    """A note on rows with an id and nothing else, where others have more: often a line with another separator."""
    others = table.frame.drop(column)
    if others.width == 0:
        return []
    bare = reduce(and_, map(blank_cells, others))
    if not bare.any() or bare.all():
        return []
    first = int(bare.arg_max() or 0)
    return [f"items: {int(bare.sum()):,} rows have an id alone, such as {show_id(ids[first])} in {table.locate(first)}"]


def show_id(item_id: Id) -> str:
    """An id in a sentence: text in quotes where it would break it, and cut if it is long."""
    if not isinstance(item_id, str):
        return str(item_id)
    cut = item_id if len(item_id) <= _LONGEST_SHOWN else f"{item_id[:_LONGEST_SHOWN]}..."
    return cut if cut.isprintable() and cut.isascii() and " " not in cut else repr(cut)


def example_of_text(items: Vocab) -> Id:
    """An id that is no whole number, of a vocabulary of text; the first if there is none."""
    return next((item_id for item_id in items.ids.tolist() if not _WHOLE.fullmatch(str(item_id))), items.id(0))


def same_looking(items: Vocab) -> list[str]:
    """A note on ids that differ in capitals, blanks, accents' encoding or invisible letters alone; they stay apart."""
    if items.numeric:
        return []
    groups: dict[str, list[str]] = defaultdict(list)
    for item_id in items.ids.tolist():
        groups[_look(item_id)].append(item_id)
    found = [group for group in groups.values() if len(group) > 1]
    if not found:
        return []
    same_letters = len({unicodedata.normalize("NFKC", item_id) for item_id in found[0]}) < len(found[0])
    one = " and ".join((ascii if same_letters else repr)(item_id[:_LONGEST_SHOWN]) for item_id in found[0][:3])
    n_ids = sum(map(len, found))
    return [f"items: {n_ids:,} ids look the same and are different items, such as {one}; write an item's id in one way"]


def _look(item_id: str) -> str:
    if item_id.isascii() and item_id.isprintable():
        return item_id.casefold()
    plain = unicodedata.normalize("NFKC", item_id).casefold()
    return "".join(letter for letter in plain if letter.isprintable() and not letter.isspace())

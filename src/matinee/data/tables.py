"""Tables as logs: the columns of a file or a data frame, checked, become a log and a data set."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray
from matinee.config import ColumnsConfig
from matinee.data.event_kinds import chosen_kinds, count_kinds, kind_column, kinds_note, read_kinds
from matinee.data.item_columns import is_item_table
from matinee.data.log import Log, Repeats, Titles, assemble, check_scale, titles_of
from matinee.data.parquet import NOUN, SOURCE, TAGS
from matinee.dataset import Dataset, EventKind
from matinee.errors import DataError
from matinee.histories import Instant
from matinee.nouns import Noun
from matinee.reading.cells import blank_cells, check_times, read_ids, read_micros, read_values
from matinee.reading.columnar import OWN
from matinee.reading.columns import SNIFFED, recognise
from matinee.reading.encodings import Encoding
from matinee.reading.table import Read, Table, as_table, read_table
from matinee.reading.timestamps import note_on, whole_seconds
from matinee.vocab import Id


def read_log(raw: bytes, where: str, columns: ColumnsConfig, now: Instant) -> Log:
    """Read a log from a file's bytes, in any format of `read_table`. Raises DataError."""
    return log_of(read_table(raw, where, columns, encoding=encoding_of(columns)), columns, now)


def encoding_of(columns: ColumnsConfig) -> Encoding:
    """What is said of the encoding of a log's files."""
    return Encoding(columns.encoding, "--encoding")


def events_from_frame(
    frame: Any,  # noqa: ANN401 - any table: polars, pandas, Arrow, dict of arrays
    columns: ColumnsConfig = SNIFFED,
    *,
    name: str = "events",
    repeats: Repeats = "last",
    now: Instant | None = None,
) -> Dataset:
    """Build a data set from a table in memory: polars, pandas, Arrow, or a dict of columns.

    Columns that `columns` leaves out are recognised by name, including optional titles and genres.
    now: times more than a day later are an error, by default the current time. Raises DataError.
    """
    if columns.encoding is not None:
        raise DataError(f"encoding is that of a file, and {name} is a table in memory; leave it out")
    now = int(time.time()) if now is None else now
    log = log_of(as_table(frame, name), columns.model_copy(update={"scale": None}), now)
    return assemble(check_scale(log, columns.scale), name, repeats=repeats)


def log_of(table: Table, columns: ColumnsConfig, now: Instant) -> Log:
    """Convert a table, whose cells may all be text, to a log. Raises DataError with the column and the line."""
    if "user" not in columns.named and is_item_table(table.frame.columns):
        raise DataError(f"{table.where} looks like a table of items; give it as --items, and the log as --data")
    roles = table.roles(columns)
    table = _without_blanks(table, roles) if columns.drop_blank else table
    table, kinds, kind_values = _with_kinds(table, columns, roles)
    frame, where, locate = table.frame, table.where, table.locate
    users, items = frame[roles["user"]], frame[roles["item"]]
    notes = table.notes
    if table.format != OWN:  # there text ids are text on purpose
        users, user_notes = read_ids(users, "user", where, locate)
        items, item_notes = read_ids(items, "item", where, locate)
        notes += (*user_notes, *item_notes)
    values = None
    if "value" in roles:
        values, value_notes = read_values(frame[roles["value"]], where, locate)
        notes += value_notes
    if kind_values is not None:
        values = kind_values if values is None else values * kind_values
    of_titles = title_columns(frame.columns, roles)
    titles = _titles(frame, items, of_titles) if of_titles else None
    if titles and table.format == OWN and TAGS in frame.columns:
        titles = replace(titles, tags=_tags(frame[TAGS], items))
        of_titles |= {TAGS: TAGS}
    times: IntArray | None = None
    if "at" in roles:
        micros, unit = read_micros(frame[roles["at"]], where, locate)
        times, is_split = whole_seconds(micros)
        check_times(where, times, now, locate)
        notes += () if (note := note_on(unit)) is None else (note,)
        if is_split:  # sort now: truncation loses the order within a second
            order = np.argsort(micros, kind="stable")
            users, items, times = users[order], items[order], times[order]
            values = None if values is None else values[order]
    taken = {*roles.values(), *of_titles.values(), *kinds.columns}
    unused = tuple(name for name in frame.columns if name not in taken)
    read = Read(where, table.format, roles, unused, table.dropped, notes)
    log = Log(where, users, items, values, times, titles, (*notes, *kinds.notes), read, kinds=kinds.counts)
    return replace(log, source=table.facts.get(SOURCE, ""), own_noun=_noun_of(table.facts))


def _noun_of(facts: Mapping[str, str]) -> Noun | None:
    """What an imported data set calls its items; None for other tables, and where it is not a noun."""
    try:
        return Noun(**json.loads(facts[NOUN]))
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The kinds of events of a table: their column, counts and a sentence; all empty without them."""

    columns: tuple[str, ...] = ()
    counts: Mapping[str, EventKind] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _with_kinds(
    table: Table, columns: ColumnsConfig, roles: Mapping[str, str]
) -> tuple[Table, _Kinds, FloatArray | None]:
    """The rows of the kinds that count, what is known of these, and each event's weight if kinds have weights. [N]."""
    column = kind_column(table, columns, tuple(roles.values()))
    if column is None:
        return table, _Kinds(), None
    kinds = read_kinds(table.frame[column])
    weights = chosen_kinds(columns, kinds, table.where)
    kept = kinds.is_in(list(weights))
    if not kept.all():
        others = kinds.filter(~kept).value_counts().sort("count", descending=True).rows()
        table = table.filtered(kept, {f"kind {name}": n for name, n in others})
        kinds = kinds.filter(kept)
    counts = count_kinds(kinds, weights)
    values = None
    if None not in weights.values():
        values = kinds.replace_strict(weights, return_dtype=pl.Float32).to_numpy()
    return table, _Kinds((column,), counts, (kinds_note(column, counts),)), values


def _without_blanks(table: Table, roles: Mapping[str, str]) -> Table:
    """Drop rows with a blank cell in a used column; they are counted by the first role that is blank."""
    kept = pl.repeat(True, len(table.frame), eager=True)
    dropped = {}
    for role, column in roles.items():
        blank = blank_cells(table.frame[column]) & kept
        if blank.any():
            dropped[f"no {'time' if role == 'at' else role}"] = int(blank.sum())
            kept &= ~blank
    return table.filtered(kept, dropped) if dropped else table


def title_columns(names: Sequence[str], roles: Mapping[str, str]) -> dict[str, str]:
    """The columns of titles and genres in a log's own table; empty without titles."""
    columns = recognise([name for name in names if name not in roles.values()], ("title", "genres"))
    return columns if "title" in columns else {}


def _tags(column: pl.Series, items: pl.Series) -> dict[Id, tuple[str, ...]]:
    """Tags by item, from a data set that was imported."""
    known = pl.DataFrame({"id": items, "tags": column}).unique("id").filter(pl.col("tags") != "")
    return {id: tuple(tags.split("|")) for id, tags in known.rows()}


def _titles(frame: pl.DataFrame, items: pl.Series, columns: Mapping[str, str]) -> Titles:
    """Titles from a log's own column, the first of each item."""
    genres = pl.col(columns["genres"]).cast(pl.String) if "genres" in columns else pl.lit(None, pl.String)
    known = frame.select(items.alias("id"), title=pl.col(columns["title"]).cast(pl.String), genres=genres)
    return titles_of(known.unique("id", keep="first", maintain_order=True))

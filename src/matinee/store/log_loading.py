"""Writing a whole log of events into a site's database, part by part, each event once however often it is loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import polars as pl
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from matinee.errors import MatineeError
from matinee.store.database import SqlDatabase
from matinee.store.tables import events_table, is_storable

PART = 10_000
"""Events in one transaction: a site that runs meanwhile waits for no longer than one takes."""
LONGEST_ID, LONGEST_KIND = 200, 20
"""Letters of a user's or an item's id, and of a kind, as they are stored."""
LONGEST_NAME = 40
"""Letters of an item's id that stand in an event's own id; of a longer one its hash does."""
PREFIX, AFTER_PREFIX = "log:", "log;"
"""How the ids of loaded events begin, and the first text behind all of them."""
USERS = 1000
"""Users whose loaded events are looked up at once."""
COLUMNS = ("user_id", "item_id", "kind", "value", "at")
_event = events_table.c


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a log: events that were written, and those that an earlier load had written."""

    written: int
    present: int


def load_log(database: SqlDatabase, log: pl.DataFrame, on_part: Callable[[int], None] = lambda done: None) -> Loaded:
    """Write the events of a log that the database does not hold from an earlier load.

    log: the columns COLUMNS, ids as text, in the order in which events are to arrive; on_part: called with the
    number of new events that are written. A load that is interrupted leaves whole parts, and goes on behind them when
    it is run again. Equal events of a log (same user, item, kind, value and time) are events of their own.
    Raises MatineeError, before anything is written, for an id that no database can hold.
    """
    require_storable(log)
    named = with_event_ids(log)
    new = named.filter(~_is_present(database, named))
    try:
        for start in range(0, len(new), PART):
            part = new.slice(start, PART)
            with database.write() as connection:
                connection.execute(insert(events_table), part.to_dicts())
            on_part(start + len(part))
    except IntegrityError:
        raise MatineeError("another load is writing the same log into this database; run it again") from None
    return Loaded(len(new), len(named) - len(new))


def with_event_ids(log: pl.DataFrame) -> pl.DataFrame:
    """The log with a column `event_id`, which is the same for an event whenever its log is read."""
    items = log["item_id"].unique()
    names = pl.DataFrame({"item_id": items, "name": [_name(item_id) for item_id in items.to_list()]})
    nth = pl.int_range(pl.len()).over(COLUMNS)
    parts = [pl.col("kind"), pl.col("name"), pl.col("at").cast(pl.String), pl.col("value").cast(pl.String)]
    more = pl.when(pl.col("nth") > 0).then(pl.format(":{}", "nth")).otherwise(pl.lit(""))
    event_id = pl.concat_str([pl.lit(PREFIX), pl.concat_str(parts, separator=":"), more])
    joined = log.with_columns(nth=nth).join(names, on="item_id", how="left", maintain_order="left")
    return joined.with_columns(event_id=event_id).select(*COLUMNS, "event_id")


def require_storable(log: pl.DataFrame) -> None:
    """Raises MatineeError for an id or a kind that is empty, too long, or has letters that no database can hold."""
    for column, longest in (("user_id", LONGEST_ID), ("item_id", LONGEST_ID), ("kind", LONGEST_KIND)):
        for text in log[column].unique(maintain_order=True).to_list():
            if not (text and len(text) <= longest and is_storable(text)):
                what = "has a character that no database can hold" if text and len(text) <= longest else "is too long"
                raise MatineeError(
                    f"the {column} {text[:50]!r} {what if text else 'is empty'}: a site keeps 1 to {longest} letters; "
                    "change it in the log, or leave its events out"
                )


def _name(item_id: str) -> str:
    return item_id if len(item_id) <= LONGEST_NAME else blake2b(item_id.encode(), digest_size=16).hexdigest()


def _is_present(database: SqlDatabase, named: pl.DataFrame) -> pl.Series:
    """Whether each event was loaded before, found by ranges of the index on users and event ids. [N]."""
    keys = named.select("user_id", "event_id").with_row_index()
    users = named["user_id"].unique().to_list()
    is_loaded = (_event.event_id >= PREFIX) & (_event.event_id < AFTER_PREFIX)
    found = np.zeros(len(named), dtype=bool)
    for start in range(0, len(users), USERS):
        some = users[start : start + USERS]
        with database.read() as connection:
            query = select(_event.user_id, _event.event_id).where(_event.user_id.in_(some), is_loaded)
            rows = list(map(tuple, connection.execute(query)))
        there = pl.DataFrame(rows, schema={"user_id": pl.String, "event_id": pl.String}, orient="row")
        found[keys.join(there, on=["user_id", "event_id"], how="semi")["index"].to_numpy()] = True
    return pl.Series(found)

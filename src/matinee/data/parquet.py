"""A data set as one Parquet file, which loads as the same data set, fast and without guesses."""

import json
from pathlib import Path

import polars as pl

from matinee.catalogue import join_genres
from matinee.dataset import Dataset
from matinee.destinations import MARK
from matinee.writing import new_file

SOURCE, NOUN = "source", "noun"
"""Facts beside the columns: whose data it is, and what the items are called."""
TAGS = "item_tags"
"""Column of an item's tags, separated by |."""


def write_parquet(data: Dataset, path: Path) -> None:
    """Write a data set whole or not at all, over an older file. Raises MatineeError if it cannot be written."""
    with new_file(path, "data set") as part:
        facts = {"author": MARK.decode(), SOURCE: data.source, NOUN: json.dumps(data.noun.to_json())}
        frame_of(data).write_parquet(part, metadata=facts)


def frame_of(data: Dataset) -> pl.DataFrame:
    """A table with a row for each event: user, item, title, genres, and value, at and tags if the data has them."""
    events, items = data.events, data.events.item_rows
    titles, genres, tags = data.catalogue.titles, data.catalogue.genres, data.catalogue.tags
    columns = {
        "user": pl.Series(data.users.ids.tolist()).gather(events.user_rows),
        "item": pl.Series(data.items.ids.tolist()).gather(items),
        "title": pl.Series(titles, dtype=pl.String).gather(items),
        "genres": pl.Series(list(map(join_genres, genres)), dtype=pl.String).gather(items),
    }
    columns |= {"value": pl.Series(events.values)} if data.kind == "rating" else {}
    columns |= {"at": pl.Series(events.times)} if data.timed else {}
    columns |= {TAGS: pl.Series(["|".join(words) for words in tags], dtype=pl.String).gather(items)} if tags else {}
    return pl.DataFrame(columns)

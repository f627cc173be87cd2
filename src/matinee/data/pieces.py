"""Tables that were written in several files, as Spark, BigQuery and DuckDB write them."""

import re
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from matinee.errors import DataError
from matinee.reading.table import Table

_NUMBER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+", re.IGNORECASE)
"""What tells pieces apart in their names: a number, or the identifier of a job."""
_FOLDER_COLUMN = re.compile(r"([^/=]+)=([^/]*)/")
"""A folder that stands for a column, such as `year=2024/`, as Hive names them."""


def is_one_table(names: Sequence[str]) -> bool:
    """Whether two or more files are the pieces of one table: their paths differ in numbers only.

    The names of folders that stand for a column may differ in more.
    """
    return len(names) > 1 and len({_NUMBER.sub("#", _FOLDER_COLUMN.sub(r"\1=/", name)) for name in names}) == 1


def has_folder_columns(name: str) -> bool:
    """Whether a folder of the piece at this path stands for a column."""
    return _FOLDER_COLUMN.search(name) is not None


def with_folder_columns(table: Table, name: str) -> Table:
    """The piece at this path with a column for each of its folders that stands for one.

    Raises DataError where the table has the column already.
    """
    columns = dict(_FOLDER_COLUMN.findall(name))
    for column in columns:
        if column in table.frame.columns:
            raise DataError(
                f"{table.where} has a column {column} and lies in a folder of that name; rename one of them"
            )
    return replace(table, frame=table.frame.with_columns(pl.lit(text).alias(key) for key, text in columns.items()))

"""Tables in memory as polars frames: polars, pandas, Arrow, or a dict of columns, without other libraries."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.errors import DataError, first_line


def as_frame(table: Any) -> pl.DataFrame:  # noqa: ANN401 - any table
    """Convert a table to polars, column by column. Raises DataError for anything else."""
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if isinstance(table, pl.DataFrame):
        return table
    named = table if isinstance(table, Mapping) else getattr(table, "column_names", getattr(table, "columns", ()))
    names = list(named)
    if not names and isinstance(table, Mapping):
        raise DataError("the table has no columns; give polars, pandas, Arrow or a dict of columns")
    if isinstance(table, str | Path):
        raise DataError(f"a path is not a table; write mt.load({str(table)!r})")
    if not names and isinstance(table, list) and table and isinstance(table[0], Mapping):
        return as_frame({name: [row.get(name) for row in table] for name in dict.fromkeys(chain(*table))})
    if not names:
        columns = _columns_of(table)
        raise DataError(
            f"{type(table).__name__} is not a table; give polars, pandas, Arrow or a dict of columns{columns}"
        )
    try:
        return pl.DataFrame([_series(str(name), table[name]) for name in names])
    except (pl.exceptions.PolarsError, OverflowError, TypeError, ValueError) as error:
        fix = "give columns of equal length and different names, each of one type"
        raise DataError(f"the table cannot be read: {first_line(error)}; {fix}") from None


def _columns_of(table: Any) -> str:  # noqa: ANN401 - anything that people may pass
    """How to name the columns of something that has the cells, as the end of a message."""
    if hasattr(table, "tocoo"):
        return ', such as {"user": coo.row, "item": coo.col, "value": coo.data} with coo = matrix.tocoo()'
    if isinstance(table, np.ndarray):
        return ', such as {"user": array[:, 0], "item": array[:, 1]}'
    if isinstance(table, list | tuple):
        return ', such as {"user": [1, 1], "item": [5, 6]}'
    return ", such as its .to_frame()" if hasattr(table, "to_frame") else ""


def _series(name: str, column: Any) -> pl.Series:  # noqa: ANN401 - a column of any library
    """Convert a column by way of numpy; missing values of any kind become null."""
    if isinstance(column, pl.Series):
        return column.alias(name)
    values = np.asarray(column)
    if values.ndim > 1:
        return pl.Series(name, values.tolist())
    if values.dtype.kind in "Mm":
        return pl.Series(name, values.astype(f"{'datetime' if values.dtype.kind == 'M' else 'timedelta'}64[us]"))
    if values.dtype.kind in "biuf":
        return pl.Series(name, values)
    cells = [None if cell is None or _is_nan(cell) else cell for cell in values.tolist()]
    try:
        series = pl.Series(name, cells, strict=True)
        if series.dtype != pl.Object:
            return series
    except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError):
        pass
    return pl.Series(name, [None if cell is None else str(cell) for cell in cells], dtype=pl.String)


def _is_nan(cell: object) -> bool:
    """Whether a cell differs from itself, as NaN and the missing values of pandas do."""
    different = cell != cell
    return different if isinstance(different, bool) else type(cell).__name__ in ("NAType", "NaTType")

"""JSON as tables: lines of objects, an array of objects or rows, or an object that wraps one.

Objects inside objects become columns with a dotted name, such as `movie.ids.imdb`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from matinee.errors import DataError

_FEW_CELLS, _CELL_RATIO = 2**22, 20
"""Cells that a table may have at any size of its file; beyond, cells for each byte (or each cell that is there)."""
_DEPTH = 5
"""Objects inside objects become columns down to this depth."""
_DEEPEST = 64
"""Levels of arrays and objects in a cell; polars takes memory for each of a type's levels, over and over."""


def is_json(raw: bytes) -> bool:
    """Whether decoded text begins like JSON objects or an array of them. `[1] x` of running text does not."""
    start = raw[:65_536].lstrip()
    if start.startswith(b"{"):
        return bool(re.match(rb'\{\s*("|\})', start))
    return bool(re.match(rb"\[\s*(\{|\[|\])|\[[^\n]*\]\s*(\n|$)", start))


def read_json(raw: bytes, where: str) -> tuple[pl.DataFrame, str, tuple[str, ...]]:
    """The table of decoded JSON text, its format and notes. Raises DataError if it is damaged or not one table."""
    if _is_lines(raw):
        return _lines(raw, where), "JSON lines", ()
    return tables_of(raw, where)


def tables_of(raw: bytes, where: str, *, key: str | None = None) -> tuple[pl.DataFrame, str, tuple[str, ...]]:
    """The table of one JSON document. key: which array of an object that has several. Raises DataError."""
    document = _parsed(raw, where)
    if isinstance(document, Mapping):
        return _of_object(document, where, key)
    return _of_rows(document, where, None), "JSON", ()


def arrays_of(raw: bytes, where: str) -> dict[str, pl.DataFrame]:
    """Every table of decoded JSON text: the arrays of objects in an object by name, else the only one, without a name.

    Raises DataError if it is damaged or holds no table.
    """
    if raw.lstrip().startswith(b"{") and not _is_lines(raw):
        document = _parsed(raw, where)
        arrays = {name: rows for name, rows in document.items() if _is_table(rows)}
        if arrays:
            return {name: _of_rows(rows, where, None) for name, rows in arrays.items()}
    return {"": read_json(raw, where)[0]}


def _parsed(raw: bytes, where: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(raw)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        problem = getattr(error, "msg", error)
        raise DataError(f"{where}, line {line}: damaged JSON ({problem}); write or copy it again") from None
    except RecursionError:
        raise _too_deep(where) from None


def _too_deep(where: str) -> DataError:
    return DataError(f"{where} is JSON nested too deep for a table; give an array of objects")


def _of_object(document: Mapping[str, Any], where: str, key: str | None) -> tuple[pl.DataFrame, str, tuple[str, ...]]:
    """The array that an object wraps; or its columns, in the three forms in which pandas writes them."""
    values = list(document.values())
    names = document.get("columns")
    if isinstance(names, list) and isinstance(document.get("data"), list):  # orient="split"
        return _of_rows(document["data"], where, [str(name) for name in names]), "JSON", ()
    arrays = {name: value for name, value in document.items() if _is_table(value) and key in (None, name)}
    if len(arrays) > 1:
        raise DataError(f"{where} has several tables ({', '.join(arrays)}); save one of them as a file of its own")
    if arrays:
        [(name, rows)] = arrays.items()
        return _of_rows(rows, where, None), "JSON", (f"read the array {name!r}",)
    if values and all(isinstance(value, list) for value in values):  # orient="list"
        return _frame(document, where), "JSON", ()
    if values and all(_is_flat(value) and value.keys() == values[0].keys() for value in values):  # orient="columns"
        return _frame({name: list(value.values()) for name, value in document.items()}, where), "JSON", ()
    if values and _is_flat(document):
        return _of_rows([document], where, None), "JSON", ()
    raise DataError(f"{where} is JSON without a table; give an array of objects, one for each event, or JSON lines")


def _is_flat(value: object) -> bool:
    return isinstance(value, Mapping) and not any(isinstance(cell, list | Mapping) for cell in value.values())


def _is_table(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(row, Mapping) for row in value)


def _of_rows(rows: Sequence[Any], where: str, names: Sequence[str] | None) -> pl.DataFrame:
    """Columns from objects, or from arrays whose first one names the columns unless names are given."""
    if not rows:
        raise DataError(f"{where} is an empty array; a log has an object for each event: user, item, value, time")
    for number, row in enumerate(rows, start=1):
        if type(row) is not type(rows[0]) or not isinstance(row, list | Mapping):
            raise DataError(f"{where}, entry {number}: it is no {'array' if isinstance(rows[0], list) else 'object'}")
    if isinstance(rows[0], Mapping):
        rows = [_flat_row(row) for row in rows]
        keys = dict.fromkeys(key for row in rows for key in row)
        _check_width(len(rows), len(keys), sum(map(len, rows)), where)
        return _frame({str(key): [row.get(key) for row in rows] for key in keys}, where)
    if names is None:
        header = all(isinstance(cell, str) for cell in rows[0]) and len(rows) > 1
        names = [str(cell) for cell in rows[0]] if header else [str(n + 1) for n in range(len(rows[0]))]
        rows = rows[1:] if header else rows
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise DataError(f"{where}, row {number}: {len(row)} cells, but there are {len(names)} columns")
    return _frame({name: [row[column] for row in rows] for column, name in enumerate(names)}, where)


def _check_width(n_rows: int, n_columns: int, size: int, where: str) -> None:
    """Raise DataError if a table of all keys would be nearly empty and far larger than what is read."""
    if n_rows * n_columns > max(_FEW_CELLS, _CELL_RATIO * size):
        raise DataError(f"{where} has {n_columns:,} different keys; give objects with the same keys")


def _frame(columns: Mapping[str, Sequence[Any]], where: str) -> pl.DataFrame:
    """Columns of one type each; a column of several becomes text."""
    if len({len(cells) for cells in columns.values()}) > 1:
        raise DataError(f"{where}: the columns {', '.join(map(repr, list(columns)[:5]))} have different lengths")
    if any(_is_deep(cell) for cells in columns.values() for cell in cells if isinstance(cell, list | Mapping)):
        raise _too_deep(where)
    series = [_series(_text(name), cells) for name, cells in columns.items()]
    return pl.DataFrame(list({column.name: column for column in series}.values()))


def _is_deep(cell: list[Any] | Mapping[str, Any]) -> bool:
    """Whether a cell has more levels than any table; level by level, since Python's own stack may be too short."""
    level: list[Any] = [cell]
    for _ in range(_DEEPEST):
        inside = (child for each in level for child in (each.values() if isinstance(each, Mapping) else each))
        level = [child for child in inside if isinstance(child, list | Mapping)]
        if not level:
            return False
    return True


def _may_be_deep(raw: bytes) -> bool:
    """Whether a line of JSON may have too many levels: brackets are counted in texts too, so it may as well not."""
    text = np.frombuffer(raw, dtype=np.uint8)
    opened = np.flatnonzero((text == ord("[")) | (text == ord("{")))
    ends = np.append(np.flatnonzero(text == ord("\n")), len(text))
    return bool(np.diff(np.searchsorted(opened, ends), prepend=0).max() > _DEEPEST)


def _series(name: str, cells: Sequence[Any]) -> pl.Series:
    try:
        return pl.Series(name, cells, strict=True)
    except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if cell is None else _text(cell) for cell in cells], dtype=pl.String)


def _text(cell: object) -> str:
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else json.dumps(cell)


def _lines(raw: bytes, where: str) -> pl.DataFrame:
    try:
        if not _may_be_deep(raw):
            scanned = pl.scan_ndjson(raw, infer_schema_length=None)
            _check_width(raw.count(b"\n") + 1, len(scanned.collect_schema()), len(raw), where)
            return _flat(scanned.collect())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        pass  # Python's reader accepts more, arrays too, or names the line
    rows = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                problem = getattr(error, "msg", error)
                raise DataError(f"{where}, line {number}: damaged JSON ({problem}); fix it or drop the line") from None
    return _of_rows(rows, where, None)


def _is_lines(raw: bytes) -> bool:
    """Whether each line is a document of its own, by the first of them."""
    raw = raw.strip()
    return b"\n" in raw and _is_whole(raw[: raw.find(b"\n")])


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with a column for each field of a nested object, named `outer.inner`."""
    for _ in range(_DEPTH):
        if any(isinstance(dtype, pl.Struct) for dtype in frame.dtypes):
            frame = pl.DataFrame([part for column in frame for part in _parts(column)])
    return frame


def _parts(column: pl.Series) -> Iterator[pl.Series]:
    if not isinstance(column.dtype, pl.Struct):
        yield column
        return
    for field in column.dtype.fields:
        yield column.struct.field(field.name).alias(f"{column.name}.{field.name}")


def _flat_row(row: Mapping[str, Any], depth: int = _DEPTH) -> dict[str, Any]:
    """The same for one object."""
    if depth == 0 or not any(isinstance(cell, Mapping) for cell in row.values()):
        return dict(row)
    flat: dict[str, Any] = {}
    for name, cell in row.items():
        inner = _flat_row(cell, depth - 1) if isinstance(cell, Mapping) else None
        flat |= {name: cell} if inner is None else {f"{name}.{key}": value for key, value in inner.items()}
    return flat

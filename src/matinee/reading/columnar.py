"""Tables that carry their types: Parquet, Arrow (Feather) and workbooks such as xlsx."""

import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

import polars as pl

from matinee.destinations import MARK, MARKED_BYTES
from matinee.errors import DataError, first_line
from matinee.reading.archives import Zip

OWN = "Parquet of Matinee"
"""The format of a data set that `matinee data import` wrote: its ids are as they should be."""
MAX_CELL_RATIO = 4_000
"""Cells for each byte of a Parquet file: run lengths may stand for any number of rows in a few bytes."""
_FEW_CELLS = 2**26
_CELL = re.compile(rb'<c r="([A-Z]{1,3})(\d{1,7})"')
_HOLDING = threading.Lock()
_PARQUET, _ARROW, _ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"


def read_columnar(raw: bytes, where: str) -> tuple[pl.DataFrame, str, tuple[str, ...]] | None:
    """The table of a file, its format and notes; None if the bytes are of none of the formats. Raises DataError."""
    if raw.startswith(_PARQUET):
        return _parquet(raw, where), OWN if MARK in raw[-MARKED_BYTES:] else "Parquet", ()
    if raw.startswith(_ARROW):
        return _arrow(raw, where, pl.read_ipc), "Arrow", ()
    if raw.startswith(_ARROW_STREAM):
        return _arrow(raw, where, pl.read_ipc_stream), "Arrow", ()
    if raw.startswith(b"PK\x03\x04"):
        return _workbook(raw, where)
    return None


def scan_columnar(path: Path) -> pl.LazyFrame | None:
    """A Parquet or Arrow file, of which only the schema is read; None for other files and damaged ones."""
    with path.open("rb") as file:
        head = file.read(len(_ARROW))
    scan = pl.scan_parquet if head.startswith(_PARQUET) else pl.scan_ipc if head == _ARROW else None
    if scan is None:
        return None
    try:
        with _translated(str(path), "columns"):
            frame = scan(path, glob=False) if scan is pl.scan_parquet else scan(path)
            frame.collect_schema()
    except DataError:
        return None
    return frame


def format_of(path: Path) -> str:
    """The format of a file that `scan_columnar` takes: Arrow, Parquet, or OWN."""
    with path.open("rb") as file:
        if not file.read(len(_PARQUET)).startswith(_PARQUET):
            return "Arrow"
        file.seek(max(0, path.stat().st_size - MARKED_BYTES))
        return OWN if MARK in file.read() else "Parquet"


def sample_columnar(path: Path, n_rows: int) -> tuple[int, list[pl.Series]] | None:
    """The number of rows of a Parquet or Arrow file, and the columns of its first; None as in `scan_columnar`."""
    frame = scan_columnar(path)
    if frame is None:
        return None
    try:
        with _translated(str(path), "columns"):
            return int(frame.select(pl.len()).collect().item()), frame.head(n_rows).collect().get_columns()
    except DataError:
        return None


def facts_of(raw: bytes, where: str) -> dict[str, str]:
    """What the writer of a Parquet file said about it: its key-value metadata. Raises DataError."""
    with _translated(where, "Parquet"):
        return dict(pl.read_parquet_metadata(io.BytesIO(raw)))


def _parquet(raw: bytes, where: str) -> pl.DataFrame:
    with _translated(where, "Parquet"):
        rows = pl.scan_parquet(io.BytesIO(raw))
        n_cells = rows.select(pl.len()).collect().item() * len(rows.collect_schema())
        if n_cells > max(_FEW_CELLS, MAX_CELL_RATIO * len(raw)):
            raise DataError(f"{where} has {n_cells:,} cells in {len(raw):,} bytes; write it again without the padding")
        return pl.read_parquet(io.BytesIO(raw))


def _arrow(raw: bytes, where: str, read: Callable[[io.BytesIO], pl.DataFrame]) -> pl.DataFrame:
    with _translated(where, "Arrow"):
        return read(io.BytesIO(raw))


def _workbook(raw: bytes, where: str) -> tuple[pl.DataFrame, str, tuple[str, ...]]:
    """The first sheet of a workbook that is not empty."""
    archive = Zip(Path(where), raw)
    if not archive.is_spreadsheet:
        raise DataError(f"{where} holds a zip inside of what packs it; unpack it once and give the zip")
    if find_spec("fastexcel") is None:
        raise DataError(f"{where} is an Excel file; install the extra (pip install 'matinee[excel]') or save it as CSV")
    _check_extent(archive, where, len(raw))
    with _translated(where, "Excel"):
        sheets = pl.read_excel(
            io.BytesIO(raw), sheet_id=0, infer_schema_length=None, raise_if_empty=False, drop_empty_rows=False
        )
    filled = {name: sheet for name, sheet in sheets.items() if len(sheet)}
    if not filled:
        raise DataError(f"{where} has no sheet with rows; a log has a row for each event: user, item, value, time")
    chosen, *others = filled
    left = f" (left out: {', '.join(others)})" if others else ""
    notes = (f"read the sheet {chosen!r}{left}",) if others else ()
    return filled[chosen], "Excel", notes


def _check_extent(archive: Zip, where: str, size: int) -> None:
    """Raise DataError for a sheet with cells so far out that the rectangle up to them does not fit into memory."""
    for name in archive.names():
        if "worksheets/" in name and name.endswith(".xml"):
            cells = _CELL.findall(archive.read(name))
            rows = max((int(row) for _, row in cells), default=0)
            width = max((len(column) for column, _ in cells), default=0)
            if rows * 26**width > max(_FEW_CELLS, MAX_CELL_RATIO * size):
                raise DataError(f"{where}: a cell in {name} stands far outside of the table; delete it and save again")


@contextmanager
def _translated(where: str, kind: str) -> Iterator[None]:
    """Translate whatever the libraries raise for damaged bytes to DataError; they panic on some."""
    try:
        with _held_stderr():
            yield
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{where} does not fit into memory, or is damaged {kind}; write or copy it again") from None
    except (Exception, pl.exceptions.PanicException) as error:
        raise DataError(f"{where} is damaged {kind} ({first_line(error)}); write or copy it again") from None


@contextmanager
def _held_stderr() -> Iterator[None]:
    """Hold back what is written to standard error, and drop it after an error: a panic writes a trace of Rust there."""
    with _HOLDING, TemporaryFile() as held:
        try:
            saved = os.dup(2)
        except OSError:  # there is no standard error
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        held.seek(0)
        while chunk := held.read(2**16):  # no error, so it was somebody else's
            os.write(2, chunk)

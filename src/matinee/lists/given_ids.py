"""Ids as people give them: in Python, on the command line, or in a file with one id a line."""

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from matinee.errors import DataError
from matinee.ranking.allowed import Allowed, allow
from matinee.reading import cells
from matinee.reading.archives import read_bytes
from matinee.reading.columns import NAMES, plain_name
from matinee.reading.encodings import decode
from matinee.reading.table import Table, as_table, read_table
from matinee.vocab import Id, Vocab

Role = Literal["user", "item"]
GivenIds: TypeAlias = Iterable[Id] | str | Path
"""Ids, the name of a file of ids, or a text such as `1,2,3`; in Python also a frame with a column of them."""
ALL = "all"
BINARY = (b"PAR1", b"\x1f\x8b")
"""How Parquet and gzip begin."""
ENDINGS = {".csv", ".tsv", ".txt", ".parquet", ".gz"}


def read_ids(given: GivenIds, role: Role) -> list[Id]:
    """Ids from a sequence, a frame, a file, or a text such as `1,2,3`. Repeats are dropped, the order is kept.

    A file has one id a line, or is a table (CSV, TSV, Parquet) with a column named after the role, as a frame is. A
    text that is the name of a file is that file. Raises DataError if a file cannot be read, if there is no such column,
    and for what has no ids.
    """
    if isinstance(given, Mapping) or hasattr(given, "columns"):
        return list(dict.fromkeys(_from_table(as_table(given, f"{role}s"), role)))
    if isinstance(given, str):
        is_file = Path(given).suffix in ENDINGS or (os.path.exists(given) and not os.path.isdir(given))
        given = Path(given) if is_file else [part.strip() for part in given.split(",") if part.strip()]
    if isinstance(given, Path):
        given = _from_file(given, role)
    if not isinstance(given, Iterable):
        one = f"[{given!r}]" if isinstance(given, int | np.integer | float) else "[...]"
        raise DataError(f"{role}s are ids; write {role}s={one} for one, and leave them out for all")
    ids = list(given)
    if odd := next((each for each in ids if not isinstance(each, str | int | np.integer)), None):
        raise DataError(f"{role}s are ids, numbers or text, not a {type(odd).__name__}; give a list of them")
    return list(dict.fromkeys(ids))


def read_ids_or_all(given: GivenIds, role: Role) -> list[Id] | None:
    """As `read_ids`; None for the text `all`."""
    return None if isinstance(given, str) and given == ALL else read_ids(given, role)


def allow_given(items: Vocab, among: GivenIds | None = None, without: GivenIds | None = None) -> Allowed:
    """Which items may be listed. Raises as `read_ids` and `allow`."""
    ids = [None if given is None else read_ids(given, "item") for given in (among, without)]
    return allow(items, *ids)


def _from_file(path: Path, role: Role) -> list[Id]:
    raw = read_bytes(path)
    if not raw.startswith(BINARY):
        text = decode(raw, path.name).decode()
        first = next((line for line in text.splitlines() if line.strip()), "")
        if not any(separator in first for separator in ("\t", ",", ";", "|", "::")):
            return _from_lines(text, path.name, role)
    return _from_table(read_table(raw, path.name), role)


def _from_lines(text: str, where: str, role: Role) -> list[Id]:
    ids: list[Id] = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if len(row) > 1:
            raise DataError(f"{where}, line {number}: more than one column; give one {role} id a line, or a header")
        ids += [cell.strip() for cell in row if cell.strip()]
    has_header = bool(ids) and plain_name(str(ids[0])) in {*NAMES[role], "id", role + "s"}
    return ids[1:] if has_header else ids


def _from_table(table: Table, role: Role) -> list[Id]:
    frame = table.frame
    first = [str(cell) for cell in frame.row(0)] if table.numbered else frame.columns  # text above text has no header
    names = list(map(plain_name, first))
    known = next((name for name in (*NAMES[role], "id") if name in names), None)
    if known is None and frame.width > 1:
        raise DataError(
            f"{table.where}: none of the columns {', '.join(map(repr, first[:6]))} is named {role!r}; "
            f"name one, or give one id a line"
        )
    skipped = int(table.numbered and known is not None)
    column = frame.to_series(names.index(known) if known else 0)[skipped:]
    ids, _ = cells.read_ids(column, role, table.where, lambda row: table.locate(row + skipped))
    return ids.to_list()

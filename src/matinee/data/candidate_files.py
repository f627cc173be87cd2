"""Files of candidates: the items that a user's list may have, as papers draw them that rank among sampled negatives.

A table with a row for each user and candidate, or NCF's file, a line for each user: (user,target), then negatives.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl

from matinee.arrays import IntArray
from matinee.data.splits import Split
from matinee.errors import DataError
from matinee.reading.archives import read_bytes
from matinee.reading.cells import read_ids
from matinee.reading.columns import listed, recognise
from matinee.reading.compression import unpack
from matinee.reading.encodings import decode
from matinee.reading.table import Table, read_table
from matinee.vocab import UNKNOWN, Vocab

NCF = re.compile(rb"\s*\([^,()\n]+,[^,()\n]+\)\t")
"""How a line of NCF's `ml-1m.test.negative` begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a file of candidates has.

    keys: [N] user row * I + item row, ascending, each once; rows: [N], the row of each in the file, which `locate`
    names; n_items: I.
    """

    keys: IntArray
    rows: IntArray
    locate: Callable[[int], str]
    n_items: int


_READ: WeakKeyDictionary[Split, dict[str, Candidates]] = WeakKeyDictionary()
"""Files that were read, by their name and content: every model of a comparison takes its lists from the same one."""


def read_candidates(path: str, split: Split) -> Candidates:
    """Read a file of candidates for the users and items of a split.

    Raises DataError if it cannot be read, has no columns of users and items, an unknown user or item, or a row twice.
    """
    raw = read_bytes(Path(path).expanduser())
    key = f"{path} {hashlib.sha256(raw).hexdigest()}"
    known = _READ.setdefault(split, {})
    if key not in known:
        known[key] = _checked(*_columns(raw, path), path, split)
    return known[key]


def fingerprint(path: str) -> str:
    """What names the content of a file of candidates: 16 hex digits; of a number of drawn ones: itself.

    Raises DataError if it cannot be read.
    """
    if path.isdecimal():
        return path
    return hashlib.sha256(read_bytes(Path(path).expanduser())).hexdigest()[:16]


def _columns(raw: bytes, where: str) -> tuple[pl.Series, pl.Series, Table]:
    """Users and items [N], and the table that locates a row."""
    plain = unpack(raw, where)
    if NCF.match(plain):
        table = _read_ncf(decode(plain, where).decode(), where)
        names = {"user": "user", "item": "item"}
    else:
        table = read_table(raw, where)
        columns = table.frame.columns
        names = dict(zip(("user", "item"), columns, strict=False)) if table.numbered else recognise(columns)
        for role in ("user", "item"):
            if role not in names:
                raise DataError(f"{where}: no column for the {role} among {listed(columns)}; call it {role!r}")
    if not len(table.frame):
        raise DataError(f"{where} has no candidates; it needs a row for each user and item that may be listed")
    users, items = (read_ids(table.frame[names[role]], role, where, table.locate)[0] for role in ("user", "item"))
    return users, items, table


def _read_ncf(text: str, where: str) -> Table:
    """NCF's lines, `(user,target)` and its negatives with tabs between, as a row for each candidate."""
    lines = pl.DataFrame({"text": text.splitlines()}).with_row_index("line", offset=1)
    lines = lines.filter(pl.col("text").str.strip_chars() != "")
    parts = lines.with_columns(
        user=pl.col("text").str.extract(r"^\s*\(([^,()]+),[^,()]+\)\t"),
        item=pl.concat_list(
            pl.col("text").str.extract(r"^\s*\([^,()]+,([^,()]+)\)\t"),
            pl.col("text").str.replace(r"^\s*\([^()]*\)\t", "").str.strip_chars().str.split("\t"),
        ),
    )
    wrong = parts.filter(pl.col("user").is_null())
    if len(wrong):
        raise DataError(f"{where}, line {wrong['line'][0]}: not `(user,target)` and negatives, with tabs between")
    rows = parts.select("line", "user", "item").explode("item")
    return Table(where, rows.select("user", "item"), rows["line"], format="NCF")


def _checked(users: pl.Series, items: pl.Series, table: Table, where: str, split: Split) -> Candidates:
    n_items = len(split.data.items)
    user_rows = _rows(users, split.data.users, "user", table)
    item_rows = _rows(items, split.data.items, "item", table)
    keys = user_rows.astype(np.int64) * n_items + item_rows
    order = np.argsort(keys, kind="stable")
    twice = order[1:][np.diff(keys[order]) == 0]
    if len(twice):
        row = int(twice.min())
        raise DataError(
            f"{where}, {table.locate(row)}: user {users[row]} has item {items[row]} already; keep one of the two rows"
        )
    return Candidates(keys[order], order, table.locate, n_items)


def _rows(ids: pl.Series, vocab: Vocab, role: str, table: Table) -> IntArray:
    """The row of each id [N]. Raises DataError for the first unknown one."""
    different = ids.unique()
    rows = ids.replace_strict(different, vocab.rows(different.to_list()), return_dtype=pl.Int32).to_numpy()
    unknown = np.flatnonzero(rows == UNKNOWN)
    if len(unknown):
        first, known = int(unknown[0]), repr(vocab.id(0))
        raise DataError(
            f"{table.where}, {table.locate(first)}: no {role} {str(ids[first])!r} in the data, whose ids are such as "
            f"{known}; {len(set(ids.gather(unknown).to_list())):,} {role}s of the file are unknown"
        )
    return rows

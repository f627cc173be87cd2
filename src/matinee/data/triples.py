"""Triples of a knowledge graph from files and frames: head, relation, tail, and RecBole's .kg with .link."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from matinee.config import ColumnsConfig, Config
from matinee.data.lookup import find
from matinee.errors import DataError, did_you_mean
from matinee.reading.archives import Archive, base, open_source
from matinee.reading.cells import blank_cells, read_ids
from matinee.reading.columns import columns_named, listed
from matinee.reading.table import Table, as_table, read_table
from matinee.shown import Framed, Overview, Shown

NAMES = {
    "head": ("head", "headid", "h", "subject", "item", "itemid", "movie", "movieid", "source"),
    "relation": ("relation", "relationid", "r", "predicate", "property", "edge"),
    "tail": ("tail", "tailid", "t", "object", "entity", "entityid", "target"),
    "name": ("name", "label", "tailname", "taillabel"),
}
"""Names by which a column is recognised, in lower case without punctuation."""
REQUIRED = ("head", "relation", "tail")
REPEAT = re.compile(r"#\d+$")
"""What a reader adds to a column's name that stands twice."""
OF_TRIPLES = "a graph has a line for each triple: head, relation, tail"
OF_LINKS = "a .link has a line for each item: item_id, entity_id"
LINK = {"item": ("itemid", "item"), "entity": ("entityid", "entity")}
"""Names of the columns of a .link."""


class TripleColumnsConfig(Config):
    """The columns of a table of triples; those left out are recognised by name, or by their order without a header."""

    head: str | None = None
    relation: str | None = None
    tail: str | None = None
    name: str | None = None
    """What the tail is called, where tails are ids: people who share a name then stay apart."""


RECOGNISED = TripleColumnsConfig()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Triples(Shown, Framed):
    """T triples as they are written.

    frame: head, relation, tail and name, [T] text; name is the tail itself where the table has none. item_of: of an
    entity the id of its item, by RecBole's .link. notes: what reading took, one sentence each.
    """

    where: str
    frame: pl.DataFrame
    item_of: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def overview(self) -> Overview:
        """See Shown: how many triples each relation has, the most frequent first."""
        counts = self.frame.group_by("relation").len().sort(["len", "relation"], descending=[True, False])
        rows = [(relation, f"{n:,}") for relation, n in counts.iter_rows()]
        headline = f"knowledge graph of {self.where}: {len(self.frame):,} triples, {len(rows):,} kinds of relations"
        following = 'mt.fit("kprn", data, graph=graph)'
        return Overview(headline, [("relation", "triples"), *rows], self.notes, following, "relations")

    def to_frame(self) -> pl.DataFrame:
        """One row a triple: head, relation, tail and name, as text."""
        return self.frame


def load_triples(path: str | Path) -> Triples:
    """Read the triples of a file, or of a folder or archive with a .kg or one table. Raises DataError.

    A `.link` beside a `.kg` says which entities are items.
    """
    place = find(path)
    archive, single = open_source(place)
    name = single or _only_graph(archive, place)
    triples = triples_of(_read(archive, name))
    link = base(name).removesuffix(".kg") + ".link"
    links = [other for other in archive.names() if base(other) == link] if base(name).endswith(".kg") else []
    if not links:
        return triples
    item_of, notes = _links(_read(archive, links[0], OF_LINKS))
    return replace(triples, item_of=item_of, notes=(*triples.notes, *notes))


def triples_from_frame(frame: Any, columns: TripleColumnsConfig, where: str = "triples") -> Triples:  # noqa: ANN401
    """Triples from a polars, pandas or Arrow frame, or a dict of columns. Raises DataError."""
    return triples_of(as_table(frame, where), columns)


def triples_of(table: Table, columns: TripleColumnsConfig = RECOGNISED) -> Triples:
    """The triples of a table. Raises DataError without a column of each role, a triple, or a cell of one."""
    table = _with_header(table)
    roles = _roles(table, columns)
    if not len(table.frame):
        raise DataError(f"{table.where} has no triples; {OF_TRIPLES}")
    cells, notes = {}, [*table.notes, *_rivals(table, roles)]
    for role in REQUIRED:
        _require_cells(table, roles[role], role)
        ids, of_role = read_ids(table.frame[roles[role]], role, table.where, table.locate)
        cells[role] = ids.cast(pl.String)
        notes += of_role
    if "name" in roles:
        named = table.frame[roles["name"]].cast(pl.String).str.strip_chars().replace("", None)
        if n := named.null_count():
            notes.append(f"{table.where}: {n:,} tails without a name are called by their id")
        cells["name"] = pl.select(pl.coalesce(named, cells["tail"])).to_series()
    else:
        cells["name"] = cells["tail"]
    return Triples(table.where, pl.DataFrame(cells), notes=tuple(notes))


def _read(archive: Archive, name: str, what: str = OF_TRIPLES) -> Table:
    raw, where = archive.read(name), archive.where(name)
    if not raw.strip():
        raise DataError(f"{where} is empty; {what}")
    try:  # naming a column keeps lines of three numbers from being read as adjacency text
        return read_table(raw, where, ColumnsConfig(user="head"))
    except DataError as error:
        raise DataError(_of_graphs(str(error))) from None


def _of_graphs(message: str) -> str:
    """What a reader says of logs, said of graphs."""
    message = message.replace("user, item, value, time", "head, relation, tail")
    return re.sub("a log has (an? [a-z]+) for each event", r"a graph has \1 for each triple", message)


def _require_cells(table: Table, column: str, role: str) -> None:
    """Raises DataError for the first line without a head, relation or tail, with the number of further ones."""
    blank = blank_cells(table.frame[column])
    if blank.any():
        n_more = int(blank.sum()) - 1
        more = f", and none on {n_more:,} more lines" if n_more else ""
        place = table.locate(blank.arg_max() or 0)
        raise DataError(f"{table.where}, {place}: no {role}{more}; fill it in or leave the line out of the graph")


def _only_graph(archive: Archive, path: Path) -> str:
    names = list(archive.names())
    graphs = [name for name in names if base(name).endswith(".kg")]
    tables = [name for name in names if base(name).endswith((".csv", ".tsv", ".parquet"))]
    found = graphs or tables
    if len(found) != 1:
        of_what = f" ({listed(names)})" if names else ""
        raise DataError(f"{path} has {len(found)} tables that may be a graph{of_what}; give the file itself")
    return found[0]


def _with_header(table: Table, known: Mapping[str, Sequence[str]] = NAMES, n_roles: int = len(REQUIRED)) -> Table:
    """The table with its first row as header where that row names the roles."""
    if not table.numbered or not len(table.frame):
        return table
    first = [str(cell) for cell in table.frame.row(0)]
    if len(_recognised(first, known)) < n_roles or len(set(first)) < len(first):
        return table
    named = table.frame[1:].rename(dict(zip(table.frame.columns, first, strict=True)))
    return replace(table, frame=named, lines=None if table.lines is None else table.lines[1:], numbered=False)


def _roles(table: Table, columns: TripleColumnsConfig) -> dict[str, str]:
    names = table.frame.columns
    given = {role: name for role, name in columns.model_dump().items() if name is not None}
    for role, name in given.items():
        if name not in names:
            raise DataError(f"{table.where}: no column {name!r} for the {role}{did_you_mean(name, names)}")
    free = [name for name in names if name not in given.values()]
    wanted = [role for role in NAMES if role not in given]
    if table.numbered:
        if len(names) < len(REQUIRED):
            raise DataError(f"{table.where} has {len(names)} columns; a triple has three: head, relation, tail")
        return given | dict(zip(wanted, free, strict=False))
    repeated = [name for name in names if (stem := REPEAT.sub("", name)) != name and stem in names]
    if any(_recognised([REPEAT.sub("", name)]) for name in repeated):
        twice = REPEAT.sub("", repeated[0])
        raise DataError(f"{table.where}: two columns are called {twice!r}; rename one of them")
    roles = given | {role: name for role, name in _recognised(free).items() if role in wanted}
    for role in REQUIRED:
        if role not in roles:
            raise DataError(
                f"{table.where}: no column for the {role} of a triple among {listed(names)}; "
                "name the columns head, relation and tail"
            )
    return roles


def _rivals(table: Table, roles: Mapping[str, str]) -> list[str]:
    """Notes on columns that a role could be read from, and is not."""
    notes = []
    for role, chosen in roles.items():
        others = [name for name in columns_named(table.frame.columns, NAMES[role]) if name not in roles.values()]
        if others and not table.numbered:
            notes.append(f"{table.where}: the {role} is read from {chosen!r}, not from {listed(others)}")
    return notes


def _recognised(names: Sequence[str], known: Mapping[str, Sequence[str]] = NAMES) -> dict[str, str]:
    found = {role: columns_named(names, of_role) for role, of_role in known.items()}
    return {role: columns[0] for role, columns in found.items() if columns}


def _links(table: Table) -> tuple[dict[str, str], list[str]]:
    """Item id by entity, from the columns item_id and entity_id, and notes. Raises DataError without them."""
    table = _with_header(table, LINK, len(LINK))
    names = table.frame.columns
    roles = dict(zip(LINK, names, strict=False)) if table.numbered else _recognised(names, LINK)
    if len(roles) < len(LINK):
        raise DataError(f"{table.where}: a .link has the columns item_id and entity_id, not {listed(names)}")
    for role, column in roles.items():
        _require_cells(table, column, role)
    ids = {role: read_ids(table.frame[roles[role]], role, table.where, table.locate)[0] for role in roles}
    links = pl.DataFrame({role: column.cast(pl.String) for role, column in ids.items()}).unique(maintain_order=True)
    first = links.unique("entity", keep="first", maintain_order=True)
    notes = []
    if n := len(links) - len(first):
        again = links.filter(links["entity"].is_duplicated())["entity"][0]
        notes.append(f"{table.where}: dropped {n:,} links of entities that stand for an item already, such as {again}")
    return dict(zip(first["entity"].to_list(), first["item"].to_list(), strict=True)), notes

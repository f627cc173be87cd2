"""Building a knowledge graph: what a table of items says of them, and triples that the user gives."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import polars as pl

from matinee.arrays import IntArray
from matinee.data.spellings import one_spelling, plain_relation
from matinee.data.triple_notes import event_notes, in_a_line, skip_notes
from matinee.data.triples import Triples
from matinee.item_table import ItemTable
from matinee.knowledge_graph import ENTITY, ITEM, PERSON, KnowledgeGraph
from matinee.vocab import UNKNOWN, Vocab

MAX_TAILS = 1000
"""Tails that a head may have by one relation; a movie has a few dozen people, and a list without end is a mistake."""
_TYPES = {
    PERSON: "directed_by director directors starring stars star actor actors cast written_by writer writers author "
    "authors composer music_by people person producer producers produced_by edited_by narrated_by",
    "genre": "genre genres category categories",
    "tag": "tag tags keyword keywords",
    "decade": "decade",
    "year": "year release_year released",
    "country": "country countries",
    "language": "language languages",
    "studio": "studio studios distributor production_company",
    ITEM: "sequel_of prequel_of remake_of follows followed_by similar_to same_series related_to also_bought "
    "also_viewed bought_together",
}
TYPE_OF = {relation: kind for kind, relations in _TYPES.items() for relation in relations.split()}
"""The type of a relation's tails, by its name in lower case; the relations of a type share its nodes."""
_ONLY_OF_ITEMS = (PERSON, "genre", "tag", "decade", "year", ITEM)
"""Types that items alone lead to: another head of such a relation is an item that the data lacks."""
_SINGULAR = {"genres": "genre", "tags": "tag", "categories": "category"}
TABLE = "the table of items"
_SCHEMA = ("head_type", "head", "relation", "tail_type", "tail", "name")


def build_graph(items: Vocab, table: ItemTable, triples: Triples | None = None) -> KnowledgeGraph:
    """The graph of a table of the items (its lists, and decades from its years), and of triples.

    A head or tail that is an item's id is that item; a tail is an item where its relation joins items (sequel_of), or
    where a .link says so. Tails of one type and id are one node; an entity of which no relation says
    more is the one of its id, if there is exactly one. Triples of unknown items, self-loops and repeats are
    left out, and of more than MAX_TAILS tails by one relation the later ones; notes count them. Spellings that are one:
    see `spellings`.
    """
    parts = [frame for frame in _of_table(table) if len(frame)]
    notes: list[str] = []
    if triples is not None:
        known, notes = _of_triples(items, triples)
        parts.append(known)
        notes = [*triples.notes, *notes]
    return _of_parts(len(items), parts, triples.where if triples else TABLE, notes)


def grown_graph(table: ItemTable, known: KnowledgeGraph, item_rows: IntArray) -> KnowledgeGraph:
    """The graph of a table of items, and of one that was built before, of some of them. item_rows: [I of known]."""
    parts = [frame for frame in (*_of_table(table), _of_graph(known, item_rows)) if len(frame)]
    if parts:  # most of what the table says is in the graph, and its repeats need no note
        parts = [pl.concat(parts).unique(maintain_order=True)]
    return _of_parts(len(table), parts, TABLE, [])


def _of_parts(n_items: int, parts: list[pl.DataFrame], where: str, notes: list[str]) -> KnowledgeGraph:
    if not parts:
        return KnowledgeGraph.empty(n_items)
    edges, spelt = one_spelling(pl.concat(parts), where)
    edges, more = _cleaned(edges, where)
    return _assembled(n_items, edges, (*notes, *spelt, *more))


def _of_graph(known: KnowledgeGraph, item_rows: IntArray) -> pl.DataFrame:
    """Edges of a graph. Entities of one type and name stay apart: the first has its name as id, as in a table."""
    types = np.array([ITEM, *known.types[1:]])[known.node_types]
    names = np.concatenate([np.asarray(item_rows).astype(str), np.array(known.names, dtype=object)])
    nodes = pl.DataFrame(
        {"type": types.tolist(), "name": names.tolist()}, schema={"type": pl.String, "name": pl.String}
    )
    place = pl.int_range(pl.len()).over("type", "name")
    nodes = nodes.with_columns(
        pl.when(place == 0).then(pl.col("name")).otherwise(pl.format("{}\0{}", "name", place)).alias("id")
    )
    heads, tails = nodes[known.heads], nodes[known.tails]
    relations = pl.Series("relation", np.array(known.relations, dtype=object)[known.kinds].tolist(), dtype=pl.String)
    columns = [
        heads["type"].alias("head_type"), heads["id"].alias("head"), relations, tails["type"].alias("tail_type"),
        tails["id"].alias("tail"), tails["name"],
    ]  # fmt: skip
    return pl.DataFrame(columns)


def _of_table(table: ItemTable) -> Iterator[pl.DataFrame]:
    """Edges from the lists of a table, and from years to their decades."""
    for name, lists in table.lists.items():
        relation = _SINGULAR.get(name, name)
        rows = np.repeat(np.arange(len(lists)), [len(words) for words in lists])
        yield _edges(rows, relation, TYPE_OF.get(relation, relation), list(chain.from_iterable(lists)))
    dated = np.flatnonzero(table.years > 0)
    yield _edges(dated, "decade", "decade", [f"{year // 10 * 10}s" for year in table.years[dated].tolist()])


def _edges(item_rows: IntArray, relation: str, kind: str, names: Sequence[str]) -> pl.DataFrame:
    heads = pl.Series("head", item_rows).cast(pl.String)
    tails = pl.Series("tail", names, dtype=pl.String)
    constants = [pl.lit(ITEM).alias("head_type"), pl.lit(relation).alias("relation"), pl.lit(kind).alias("tail_type")]
    return pl.DataFrame([heads, tails, tails.alias("name")]).with_columns(constants).select(_SCHEMA)


def _of_triples(items: Vocab, triples: Triples) -> tuple[pl.DataFrame, list[str]]:
    """Edges of triples, items as their rows, and notes on those that are left out."""
    frame = triples.frame.with_columns(pl.col("relation").str.strip_chars())
    rows = _item_rows(items, triples)
    kinds = {name: TYPE_OF.get(plain_relation(name)) for name in frame["relation"].unique()}
    known = frame.with_columns(pl.col("relation").replace_strict(kinds, return_dtype=pl.String).alias("kind"))
    for end in ("head", "tail"):
        known = _looked_up(known, end, rows.rename({"id": end, "row": f"{end}_row"}))
    # a tail is an item where its relation or a link says so: as a bare number it may as well be a year
    linked = pl.lit(bool(triples.item_of)) | pl.col("kind").eq(ITEM).fill_null(False) | pl.lit(not items.numeric)
    is_item = pl.col("tail_row").is_not_null() & linked & pl.col("kind").fill_null(ITEM).eq(ITEM)
    known = known.with_columns(is_item.alias("to_item"))
    types = _types_of_entities(known.filter(~pl.col("to_item")))
    known = _looked_up(known, "head", types.rename({"tail": "head", "type": "of"}))
    known = _looked_up(known, "tail", types.rename({"type": "tail_of"}))
    joins_items = pl.col("kind").eq(ITEM).fill_null(False)
    no_entity = pl.col("of").is_null() | pl.col("kind").is_in(_ONLY_OF_ITEMS).fill_null(False)
    unknown = (pl.col("head_row").is_null() & no_entity) | (joins_items & ~pl.col("to_item"))
    skipped = known.filter(unknown)
    kept = known.filter(~unknown)
    edges = kept.select(
        pl.when(pl.col("head_row").is_null()).then(pl.col("of")).otherwise(pl.lit(ITEM)).alias("head_type"),
        pl.coalesce("head_row", "head").alias("head"),
        "relation",
        pl.when(pl.col("to_item"))
        .then(pl.lit(ITEM))
        .otherwise(pl.coalesce("kind", "tail_of", pl.lit(ENTITY)))
        .alias("tail_type"),
        pl.when(pl.col("to_item")).then(pl.col("tail_row")).otherwise(pl.col("tail")).alias("tail"),
        "name",
    ).select(_SCHEMA)
    return edges, [*event_notes(triples), *skip_notes(triples, skipped, items)]


def _looked_up(frame: pl.DataFrame, column: str, table: pl.DataFrame) -> pl.DataFrame:
    """The frame with the other columns of a table by a column that both have, null where the table lacks the cell."""
    return frame.join(table, on=column, how="left", maintain_order="left")


def _types_of_entities(triples: pl.DataFrame) -> pl.DataFrame:
    """The type of each tail that is no item: what its relations say, ENTITY if nothing or not the same."""
    found = triples.group_by("tail").agg(pl.col("kind").min().alias("type"), pl.col("kind").max().alias("last"))
    one = pl.col("type") == pl.col("last")
    return found.select("tail", pl.when(one).then(pl.col("type")).otherwise(pl.lit(ENTITY)).alias("type"))


def _item_rows(items: Vocab, triples: Triples) -> pl.DataFrame:
    """The row, as text, of each head and tail that is an item, by its own id or through a link. Columns id and row."""
    ids = pl.concat([triples.frame["head"], triples.frame["tail"]]).unique().alias("id")
    if triples.item_of:
        ids = ids.filter(ids.is_in(list(triples.item_of)))
        rows = items.rows([triples.item_of[id] for id in ids.to_list()])
    elif items.numeric:  # of a million words none is looked up
        numbers = ids.cast(pl.Int64, strict=False)
        ids = ids.filter(numbers.is_not_null())
        rows = items.rows(numbers.drop_nulls().to_numpy())
    else:
        rows = items.rows(ids.to_list())
    found = pl.DataFrame([ids, pl.Series("row", rows)])
    return found.filter(pl.col("row") != UNKNOWN).with_columns(pl.col("row").cast(pl.String))


def _cleaned(edges: pl.DataFrame, where: str) -> tuple[pl.DataFrame, list[str]]:
    """Edges without repeats and self-loops, at most MAX_TAILS of one head and relation; and notes."""
    notes = []
    unique = edges.unique(["head_type", "head", "relation", "tail_type", "tail"], keep="first", maintain_order=True)
    if len(unique) < len(edges):
        notes.append(f"{where}: dropped {len(edges) - len(unique):,} triples that repeat another")
    loops = (pl.col("head_type") == pl.col("tail_type")) & (pl.col("head") == pl.col("tail"))
    straight = unique.filter(~loops)
    if len(straight) < len(unique):
        notes.append(f"{where}: dropped {len(unique) - len(straight):,} triples from a node to itself")
    place = pl.int_range(pl.len()).over(["head_type", "head", "relation"])
    kept = straight.filter(place < MAX_TAILS)
    if len(kept) < len(straight):
        capped = straight.filter(place >= MAX_TAILS)["relation"].unique().sort().head(3).to_list()
        relations = ", ".join(map(in_a_line, capped))
        notes.append(
            f"{where}: dropped {len(straight) - len(kept):,} triples of heads with more than {MAX_TAILS:,} tails "
            f"by one relation ({relations}), keeping the first"
        )
    return kept, notes


def _assembled(n_items: int, edges: pl.DataFrame, notes: tuple[str, ...]) -> KnowledgeGraph:
    """The graph of edges between typed keys; the keys of items are their rows."""
    ends = [edges.select(pl.col(f"{end}_type").alias("type"), pl.col(end).alias("id")) for end in ("head", "tail")]
    named = [ends[1].with_columns(edges["name"]), ends[0].with_columns(edges["head"].alias("name"))]
    entities = pl.concat(named).filter(pl.col("type") != ITEM)
    entities = entities.unique(["type", "id"], keep="first", maintain_order=True).sort("type", "id")
    types = (ITEM, *entities["type"].unique().sort().to_list())
    relations = tuple(edges["relation"].unique().sort().to_list())
    items = pl.DataFrame({"type": [ITEM] * n_items, "id": [str(row) for row in range(n_items)]})
    nodes = pl.concat([items, entities.select("type", "id")]).with_row_index("node")
    heads, tails = (end.join(nodes, on=["type", "id"], how="left", maintain_order="left")["node"] for end in ends)
    kinds = _indices(edges["relation"], relations)
    order = np.lexsort((tails.to_numpy(), kinds, heads.to_numpy()))
    return KnowledgeGraph(
        n_items,
        types,
        tuple(entities["name"].to_list()),
        _indices(entities["type"], types),
        relations,
        heads.to_numpy()[order].astype(np.int32),
        kinds[order],
        tails.to_numpy()[order].astype(np.int32),
        notes,
    )


def _indices(column: pl.Series, names: tuple[str, ...]) -> IntArray:
    """The index of each cell among some names. [N] int32."""
    rows = pl.DataFrame({"name": names, "index": range(len(names))}, schema={"name": pl.String, "index": pl.Int32})
    joined = column.to_frame("name").join(rows, on="name", how="left", maintain_order="left")
    return joined["index"].to_numpy()

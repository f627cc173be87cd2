"""One spelling of what edges of a knowledge graph write in several: relations and words."""

import polars as pl

from matinee.data.triple_notes import in_a_line
from matinee.knowledge_graph import ENTITY, ITEM, PERSON

NAMED = (ITEM, PERSON, ENTITY)
"""Types whose nodes have names or ids, which may differ in capitals alone; the nodes of all others are words."""
FEW = 3
"""Examples in a note."""


def plain_relation(name: str) -> str:
    """A relation in lower case with underscores: `Directed By` and `directed-by` are `directed_by`."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def one_spelling(edges: pl.DataFrame, where: str) -> tuple[pl.DataFrame, list[str]]:
    """Edges with one spelling of each relation and of each word, the most frequent, the first of equals; and notes.

    Relations that differ in capitals, spaces, hyphens and underscores alone are one. So are words (genres, tags,
    countries) of one type that differ in capitals and spaces. People and entities of which the relation says
    nothing stay apart; a note counts those that differ in this way.
    """
    edges, relations = _one_relation(edges)
    is_word = pl.col("tail_type").is_in(NAMED).not_() & (pl.col("tail") == pl.col("name"))
    edges, words = _one_word(edges, is_word)
    notes = []
    if relations:
        notes.append(f"{where}: relations that differ in spelling alone are one: {_few(relations)}")
    if words:
        notes.append(f"{where}: words that differ in capitals and spaces alone are one: {_few(words)}")
    if several := _several_names(edges):
        notes.append(f"{where}: an id with several names keeps the first: {_few(several)}")
    if apart := _spellings(edges.filter(pl.col("tail_type").is_in((PERSON, ENTITY)))):
        notes.append(
            f"{where}: names that differ in capitals and spaces alone stay apart: {_few(apart)}; write them in one way"
        )
    return edges, notes


def _one_relation(edges: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    counts = edges.group_by("relation").len().sort("len", "relation", descending=[True, False])
    kept: dict[str, list[str]] = {}
    for name in counts["relation"].to_list():
        kept.setdefault(plain_relation(name), []).append(name)
    spelt = {name: names[0] for names in kept.values() for name in names}
    merged = [_joined(names) for names in kept.values() if len(names) > 1]
    if not merged:
        return edges, []
    return edges.with_columns(pl.col("relation").replace_strict(spelt, return_dtype=pl.String)), merged


def _one_word(edges: pl.DataFrame, is_word: pl.Expr) -> tuple[pl.DataFrame, list[str]]:
    words = edges.filter(is_word)
    merged = _spellings(words)
    if not merged:
        return edges, []
    counts = (
        words.group_by("tail_type", _lower("tail").alias("lower"), "tail")
        .len()
        .sort("len", "tail", descending=[True, False], maintain_order=True)
    )
    spelt = counts.with_columns(pl.col("tail").first().over("tail_type", "lower").alias("spelt"))
    joined = edges.join(
        spelt.select("tail_type", "tail", "spelt"), on=["tail_type", "tail"], how="left", maintain_order="left"
    )
    chosen = [pl.when(is_word).then(pl.coalesce("spelt", end)).otherwise(end).alias(end) for end in ("tail", "name")]
    return joined.with_columns(chosen).drop("spelt"), merged


def _spellings(edges: pl.DataFrame) -> list[str]:
    """Names of one type that differ in capitals and spaces alone, `A and a` each, in order."""
    groups = edges.group_by("tail_type", _lower("name").alias("lower")).agg(pl.col("name").unique().sort())
    several = groups.filter(pl.col("name").list.len() > 1).sort("tail_type", "lower")
    return [_joined(names) for names in several["name"].to_list()]


def _several_names(edges: pl.DataFrame) -> list[str]:
    """People and entities whose id has several names, `p1 (Ann and Bob)` each, in order."""
    groups = edges.filter(pl.col("tail_type").is_in((PERSON, ENTITY))).group_by("tail", maintain_order=True)
    named = groups.agg(pl.col("name").unique(maintain_order=True)).filter(pl.col("name").list.len() > 1)
    return [f"{in_a_line(tail)} ({_joined(names)})" for tail, names in named.iter_rows()]


def _lower(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars().str.replace_all(r"\s+", " ").str.to_lowercase()


def _joined(names: list[str]) -> str:
    return " and ".join(map(in_a_line, names))


def _few(found: list[str]) -> str:
    return ", ".join(found[:FEW]) + (f" and {len(found) - FEW:,} more" if len(found) > FEW else "")

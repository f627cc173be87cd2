"""What is said of triples that are left out of a knowledge graph, or that may not mean what they say."""

from collections.abc import Iterable

import polars as pl

from matinee.data.triples import Triples
from matinee.errors import DataError
from matinee.knowledge_graph import EVENTS
from matinee.vocab import Vocab

FEW, LONGEST = 3, 60
"""Examples in a sentence, and letters of each."""


def in_a_line(name: str) -> str:
    """A name as it may stand in a sentence: cut when long, without line ends and other control characters."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name[: LONGEST + 1])
    return plain if len(name) <= LONGEST else plain[:LONGEST] + "..."


def skip_notes(triples: Triples, skipped: pl.DataFrame, items: Vocab) -> list[str]:
    """A note on the triples of items that the data lacks. Raises DataError if that is all of them."""
    if not len(skipped):
        return []
    # the head, or the tail of a relation that joins items
    lacking = skipped.select(pl.when(pl.col("head_row").is_null()).then("head").otherwise("tail")).to_series()
    ids = lacking.unique(maintain_order=True)
    few, n_triples = _few(ids), len(triples.frame)
    if len(skipped) == n_triples:
        own = _few(map(str, items.ids[:FEW].tolist())) + (", ..." if len(items) > FEW else "")
        raise DataError(
            f"{triples.where}: none of its triples is of an item of the data, whose ids are {own} and not {few}; "
            f"{_remedy(triples, items)}"
        )
    return [f"{triples.where}: skipped {len(skipped):,} of {n_triples:,} triples, of items that the data lacks ({few})"]


def _remedy(triples: Triples, items: Vocab) -> str:
    if triples.item_of:
        return "give the .link that says which entities are items of this data"
    if triples.where.endswith(".kg"):
        return "put a .link of the same name beside it, which says which entities are items"
    tails = triples.frame["tail"].head(1000).to_list()
    known = {str(one) for one in items.ids.tolist()}
    if 2 * sum(tail in known for tail in tails) > len(tails):
        return "its tails are; name the columns head, relation and tail, or put them in this order"
    return "write the ids of this data as heads"


def event_notes(triples: Triples) -> list[str]:
    """A note on relations that are called as those between users and items."""
    found = [name for name in EVENTS if name in triples.frame["relation"].str.strip_chars().str.to_lowercase()]
    if not found:
        return []
    return [
        f"{triples.where}: its {' and '.join(found)} is not that of the log, from users to items; "
        "give the relation another name to tell them apart"
    ]


def _few(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(map(in_a_line, shown[:FEW])) + (", ..." if len(shown) > FEW else "")

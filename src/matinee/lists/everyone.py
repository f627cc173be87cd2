"""Lists for many users or items, computed part by part: what a frame and a file are made of."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypedDict, Unpack

import numpy as np
import polars as pl

from matinee.arrays import IntArray, count_rows
from matinee.config import Rerank
from matinee.errors import MatineeError
from matinee.lists.given_ids import GivenIds, Role, allow_given, read_ids_or_all
from matinee.nn.row_sums import load_torch_for
from matinee.ranking.allowed import Allowed, unknown_ids
from matinee.ranking.fallback import Fallback
from matinee.ranking.indexes import tested_index
from matinee.ranking.item_index import ItemIndex
from matinee.ranking.rank import BLOCK_BYTES, Ranking, similar
from matinee.ranking.rerank import Reranker
from matinee.store.artefact import Artefact
from matinee.vocab import UNKNOWN, Vocab

PART_ROWS = 50_000
"""Rows of a part, at most: what is computed, held in memory and written at once."""
OnPart = Callable[[int, int], None]
"""Called with the number of parts that are done, and of all parts."""


class Lists(Protocol):
    """Many lists in parts, each a frame; equal lists have equal descriptions."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was given and is not in the lists."""
        ...

    def __len__(self) -> int:
        """Number of parts."""
        ...

    def part(self, index: int) -> pl.DataFrame:
        """The lists of one part, one row an item."""
        ...

    def describe(self) -> dict[str, Any]:
        """Everything that decides what the lists hold, ready for JSON."""
        ...


@dataclass(frozen=True, eq=False)
class UserLists:
    """The k best items of each user: user, rank, item, score, and title if `titles`.

    user_rows: [n]; the lists are those of rank() with the artefact's histories, popular items for users without one,
    and the items of `allowed`; rerank: as on the site; index: of the model's items, for about these lists.
    """

    artefact: Artefact
    user_rows: IntArray
    k: int = 10
    allowed: Allowed = field(default_factory=Allowed)
    rerank: Rerank | None = None
    titles: bool = False
    notes: tuple[str, ...] = ()
    index: ItemIndex | None = None

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def n_lists(self) -> int:
        """Number of lists."""
        return len(self.user_rows)

    def part(self, index: int) -> pl.DataFrame:
        """See Lists."""
        rows = self._parts[index]
        artefact = self.artefact
        histories = artefact.known.of_rows(rows)
        load_torch_for(len(self) * len(histories.items) * len(artefact.items))
        reranker = Reranker(artefact.catalogue, artefact.popularity)
        found = reranker.rank(
            artefact.model,
            histories,
            self.k,
            self.rerank,
            allowed=self.allowed.mask,
            cold=self._fallback,
            index=self.index,
        )
        return self._table.frame(rows, found)

    def describe(self) -> dict[str, Any]:
        """See Lists."""
        return {
            "lists": "user",
            "model": self.artefact.name,
            "version": self.artefact.version,
            "k": self.k,
            "users": _digest(self.user_rows),
            "allowed": _digest(self.allowed.mask),
            "rerank": str(self.rerank or ""),
            "index": self.index.describe() if self.index is not None else "",
            "titles": self.titles,
            "part_rows": PART_ROWS,
        }

    @cached_property
    def _fallback(self) -> Fallback:
        return Fallback(self.artefact.popularity, self.artefact.catalogue.genre_matrix)

    @cached_property
    def _parts(self) -> "_Parts":
        return _Parts(self.user_rows, min(self.k, len(self.artefact.items)))

    @cached_property
    def _table(self) -> "_Table":
        return _Table(("user", "item"), self.artefact.users, self.artefact, titles=self.titles)


@dataclass(frozen=True, eq=False)
class SimilarLists:
    """The k items most similar to each item: item, rank, similar, score, and the similar item's title if `titles`.

    item_rows: [n]; only items of positive similarity are listed, as by `mt.similar`.
    """

    artefact: Artefact
    item_rows: IntArray
    k: int = 10
    titles: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def n_lists(self) -> int:
        """Number of lists."""
        return len(self.item_rows)

    def part(self, index: int) -> pl.DataFrame:
        """See Lists."""
        rows = self._parts[index]
        n_items = len(self.artefact.items)
        step = max(1, BLOCK_BYTES // (4 * n_items))
        blocks = [
            similar(self.artefact.model, rows[start : start + step], self.k) for start in range(0, len(rows), step)
        ]
        items = np.concatenate([block.items for block in blocks])
        scores = np.concatenate([block.scores for block in blocks])
        return self._table.frame(rows, Ranking(np.where(scores > 0, items, UNKNOWN), scores))

    def describe(self) -> dict[str, Any]:
        """See Lists."""
        return {
            "lists": "similar",
            "model": self.artefact.name,
            "version": self.artefact.version,
            "k": self.k,
            "items": _digest(self.item_rows),
            "titles": self.titles,
            "part_rows": PART_ROWS,
        }

    @cached_property
    def _parts(self) -> "_Parts":
        return _Parts(self.item_rows, min(self.k, len(self.artefact.items)))

    @cached_property
    def _table(self) -> "_Table":
        return _Table(("item", "similar"), self.artefact.items, self.artefact, titles=self.titles)


class _Parts:
    """Whose lists are in each part, so that lists of k items make PART_ROWS rows at most. owner_rows: [n]."""

    def __init__(self, owner_rows: IntArray, k: int) -> None:
        self._owner_rows, self._size = owner_rows, max(1, PART_ROWS // max(1, k))

    def __len__(self) -> int:
        return -(-len(self._owner_rows) // self._size)

    def __getitem__(self, index: int) -> IntArray:
        return self._owner_rows[index * self._size : (index + 1) * self._size]


class _Table:
    """From rankings to frames with ids. names: the columns of whom a list is for, and of the listed item."""

    def __init__(self, names: tuple[str, str], owners: Vocab, artefact: Artefact, *, titles: bool) -> None:
        self.names = names
        self.owners, self.items = owners.to_series(), artefact.items.to_series()
        self.titles = pl.Series(artefact.catalogue.titles, dtype=pl.String) if titles else None

    def frame(self, owner_rows: IntArray, found: Ranking) -> pl.DataFrame:
        """One row for each listed item. owner_rows [B], found of B lists."""
        lists, ranks = np.nonzero(found.items != UNKNOWN)
        listed = pl.Series(found.items[lists, ranks].astype(np.uint32))
        owner, item = self.names
        columns = {
            owner: self.owners.gather(pl.Series(owner_rows[lists].astype(np.uint32))),
            "rank": (ranks + 1).astype(np.int32),
            item: self.items.gather(listed),
            "score": found.scores[lists, ranks].astype(np.float32),
        }
        if self.titles is not None:
            columns["title"] = self.titles.gather(listed)
        return pl.DataFrame(columns)


class ListOptions(TypedDict, total=False):
    """Options of `for_users`: ids of items, the fields of UserLists.

    ann: lists by an approximate index, if there are many items.
    """

    among: GivenIds | None
    without: GivenIds | None
    titles: bool
    ann: bool


def for_users(
    artefact: Artefact, users: GivenIds, k: int, rerank: Rerank | None = None, **options: Unpack[ListOptions]
) -> UserLists:
    """The lists of users by id, or of `all`, not computed yet.

    Unknown users have no list and are counted in the notes, as are those without a history. Raises MatineeError if no
    user is known, or if `among` and `without` leave nothing to list.
    """
    rows, notes = _rows(artefact, artefact.users, users, "user")
    allowed = allow_given(artefact.items, options.get("among"), options.get("without"))
    n_events = count_rows(artefact.known.events.user_rows, len(artefact.users))
    if n_empty := int((n_events[rows] == 0).sum()):
        notes.append(f"{n_empty:,} of {len(rows):,} users have no history in {artefact.name} and get popular items")
    require_length(k)
    titles = options.get("titles", False)
    index = None
    if options.get("ann"):
        tested = tested_index(artefact.model, artefact.known)
        index = tested.index
        notes.append(tested.note)
    return UserLists(artefact, rows, k, allowed, rerank, titles, (*allowed.notes, *notes), index)


def for_items(artefact: Artefact, items: GivenIds, k: int, *, titles: bool = False) -> SimilarLists:
    """The similar items of items by id, or of `all`, not computed yet. Unknown ids as in `for_users`."""
    rows, notes = _rows(artefact, artefact.items, items, "item")
    require_length(k)
    return SimilarLists(artefact, rows, k, titles, tuple(notes))


def collect(lists: Lists, on_part: OnPart = lambda done, total: None) -> pl.DataFrame:
    """All parts as one frame."""
    return pl.concat(list(_reported(lists, on_part)))


def _reported(lists: Lists, on_part: OnPart) -> Iterator[pl.DataFrame]:
    for index in range(len(lists)):
        yield lists.part(index)
        on_part(index + 1, len(lists))


def _rows(artefact: Artefact, vocab: Vocab, given: GivenIds, role: Role) -> tuple[IntArray, list[str]]:
    """The rows of ids, without unknown ones and repeats, or all rows; and a note on unknown ids."""
    ids, notes = read_ids_or_all(given, role), []
    if ids is None:
        rows = np.arange(len(vocab), dtype=np.int32)
    else:
        found = vocab.rows(ids)
        known = found[found != UNKNOWN]
        rows = known[np.sort(np.unique(known, return_index=True)[1])]  # `7` and `"7"` are one id
        notes = unknown_ids(f"{role}s", ids, found == UNKNOWN)
    if len(rows) == 0:
        what = f"there is no {role} to list for" if not ids else f"none of the {len(ids):,} {role}s is known"
        known_ids = (
            f"; {artefact.name} has ids such as {vocab.id(0)} and {vocab.id(len(vocab) - 1)}" if len(vocab) else ""
        )
        raise MatineeError(what + known_ids)
    return rows, notes


def require_length(k: int) -> None:
    """Raises MatineeError for a list length that is no number, or below 1."""
    if not isinstance(k, int | np.integer) or k < 1:
        problem = " is not a whole number" if isinstance(k, str | float) else ": a list has at least one item"
        raise MatineeError(f"k = {k!r}{problem}; write k=10")


def _digest(values: np.ndarray[Any, Any] | None) -> str:
    return "" if values is None else hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]

"""Indexes of items for models of large catalogues, each tested against exact lists before it is used."""

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.histories import EventSource, Histories
from matinee.models.base import HasItemVectors, Recommender
from matinee.ranking.by_index import lists_by_index
from matinee.ranking.item_index import ItemIndex
from matinee.ranking.rank import rank
from matinee.vocab import UNKNOWN

FROM_ITEMS = 100_000
"""Below so many items all scores of a list cost no more than a millisecond, and lists are exact."""
LEAST_RECALL, AIMED_RECALL = 0.95, 0.98
"""An index whose recall is below the first is not used; cells are added until it reaches the second."""
TESTED_LISTS, TESTED_K = 400, 10
"""Lists of the self-test, by half of which the cells are chosen, and their length."""
FIRST_PROBES, LEAST_CELLS_LEFT = 4, 4
"""Cells of the first try, which are doubled up to a 4th of all: beyond it an index saves little."""


@dataclass(frozen=True, slots=True)
class TestedIndex:
    """Whether a model's lists are made through an index, and what its self-test found.

    index: None where lists are exact; why: of that, in a few words, empty where there is an index; recall: share of the
    first TESTED_K items of exact lists that the index's lists have too, on users who did not choose the cells; lists:
    of the test; cells, probes: of the index, and those of a search; seconds: to make and to test it.
    """

    model: str
    index: ItemIndex | None = field(default=None, repr=False)
    why: str = ""
    recall: float | None = None
    lists: int = 0
    cells: int = 0
    probes: int = 0
    seconds: float = 0.0

    @property
    def note(self) -> str:
        """One line on how the model's lists are made."""
        if self.index is None:
            return f"{self.model}: exact lists, for {self.why}"
        return (
            f"{self.model}: lists through an index of {self.index.n_items:,} items, which finds {self.recall:.1%} of "
            f"exact lists ({self.lists} lists of {TESTED_K}, {self.probes} of {self.cells:,} cells); made and tested "
            f"in {self.seconds:.1f} s"
        )


class Indexes:
    """The indexes of models, each made and tested once."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Recommender[Any], TestedIndex] = WeakKeyDictionary()

    def of(self, model: Recommender[Any], known: EventSource) -> TestedIndex:
        """The index of a model, as `tested_index` makes it."""
        if (found := self._made.get(model)) is None:
            self._made[model] = found = tested_index(model, known)
        return found


def may_have_index(model: Recommender[Any]) -> bool:
    """Whether `tested_index` makes an index for a model: its items have vectors, and there are many of them."""
    return isinstance(model, HasItemVectors) and len(model.item_vectors()) >= FROM_ITEMS


def tested_index(model: Recommender[Any], known: EventSource) -> TestedIndex:
    """An index of a model's items, tested on lists of known users. Raises MatineeError without faiss.

    Lists stay exact for a model without item vectors, a catalogue below FROM_ITEMS, and an index that finds less than
    LEAST_RECALL of exact lists.
    """
    if not isinstance(model, HasItemVectors):
        return TestedIndex(model.name, why="its scores are no products of vectors")
    vectors = model.item_vectors()
    if len(vectors) < FROM_ITEMS:
        return TestedIndex(model.name, why=f"{len(vectors):,} items are fewer than {FROM_ITEMS:,}")
    started = perf_counter()
    histories = known.of_rows(_some_users(known))
    k = min(TESTED_K, len(vectors))
    exact = rank(model, histories, k).items
    chooses = np.arange(len(histories)) % 2 == 0
    index = ItemIndex(vectors)
    probes = FIRST_PROBES
    while True:
        index = index.probing(probes)
        found, whole = _found(model, index, histories, k)
        if 2 * probes > index.n_cells // LEAST_CELLS_LEFT or _recall(exact, found, whole & chooses) >= AIMED_RECALL:
            break
        probes *= 2
    tested = whole & ~chooses
    recall, n_lists = _recall(exact, found, tested), int(np.count_nonzero(tested))
    about = TestedIndex(model.name, None, "", recall, n_lists, index.n_cells, index.probes, perf_counter() - started)
    if not n_lists:
        return replace(about, why="no list of a known user can be made through an index", recall=None)
    if recall < LEAST_RECALL:
        return replace(about, why=f"an index finds {recall:.1%} of them, below {LEAST_RECALL:.0%}")
    return replace(about, index=index)


def _some_users(known: EventSource) -> IntArray:
    """Rows of known users with events, at even steps. [at most TESTED_LISTS]."""
    users = np.unique(known.events.user_rows)
    return users[np.unique(np.linspace(0, len(users) - 1, TESTED_LISTS).astype(np.int64))] if len(users) else users


def _found(model: Recommender[Any], index: ItemIndex, histories: Histories, k: int) -> tuple[IntArray, BoolArray]:
    """Lists through an index, and which of them are whole: others would be made exactly, and are not counted.

    One user at a time, as a site makes them: a search for many looks into the cells that its longest history asks for.
    """
    items = np.full((len(histories), k), UNKNOWN, dtype=np.int32)
    whole = np.zeros(len(histories), dtype=bool)
    for row in range(len(histories)):
        one = histories.block(row, row + 1)
        found, _, filled = lists_by_index(model, index, model.weigh(one), k, [one], None)
        items[row], whole[row] = found[0], filled[0]
    return items, whole


def _recall(exact: IntArray, found: IntArray, counted: BoolArray) -> float:
    """Mean share of the items of exact lists that the found ones have; 0 of no lists. [n, k] each, counted [n]."""
    if not counted.any():
        return 0.0
    pairs = exact[counted][:, :, None] == found[counted][:, None, :]
    return float(pairs.any(axis=2).mean())

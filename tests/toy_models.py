"""Models whose scores a test writes down, and engines over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from matinee.catalogue import Catalogue
from matinee.config import Config
from matinee.dataset import Events
from matinee.histories import EventSource, Histories, TrainingData
from matinee.models.base import Recommender
from matinee.recommender import Engine
from matinee.store.artefact import Artefact
from matinee.training.run import Run
from matinee.vocab import Vocab


class SumOfRows(Recommender[Histories]):
    """An item's score is the sum, over the events of the history, of one row of a table: known parts, known sums."""

    name = "sum-of-rows"
    Config = Config
    learned = ("table",)

    def __init__(self, table: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.table = np.array(table, dtype=np.float32)  # [I, I]

    def fit(self, train: TrainingData, run: Run) -> "SumOfRows":
        return self

    def fold_in(self, histories: Histories) -> Histories:
        return histories

    def score(self, state: Histories) -> np.ndarray:
        scores = np.zeros((len(state), len(self.table)), dtype=np.float32)
        np.add.at(scores, state.owners, self.table[state.items])
        return scores

    def explain(self, histories: Histories, item_rows: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.table[histories.items], item_rows[histories.owners], axis=1)


class SumWithSimilarity(SumOfRows):
    """The same, with similarities of its own, which need not lie between 0 and 1."""

    name = "sum-with-similarity"

    def __init__(self, table: Sequence[Sequence[float]], similarities: Sequence[Sequence[float]]) -> None:
        super().__init__(table)
        self.similarities = np.array(similarities, dtype=np.float32)

    def similarity(self, item_rows: np.ndarray) -> np.ndarray:
        return self.similarities[item_rows].copy()


def artefact_of(model: Recommender[Any], catalogue: Catalogue, popularity: Sequence[int], **about: Any) -> Artefact:
    """An artefact in memory: items 10, 20, ... and no users."""
    items = Vocab.of([10 * (row + 1) for row in range(len(catalogue))])
    nothing = np.zeros(0, dtype=np.int64)
    known = EventSource(Events(nothing, nothing, nothing, nothing), Vocab.of(["nobody"]))
    return Artefact(model, items, Vocab.of(["nobody"]), catalogue, np.array(popularity), known, dict(about))


def engine_of(*artefacts: Artefact, default: str | None = None) -> Engine:
    """An engine over the empty log of its first artefact."""
    return Engine(artefacts, artefacts[0].known, default)

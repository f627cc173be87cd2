"""Small splits written down event by event, and a model whose scores a test writes down user by user."""

import numpy as np

from matinee.catalogue import Catalogue
from matinee.config import Config, SplitConfig
from matinee.data.splits import TEST, TRAIN, VALID, Split
from matinee.dataset import Dataset, Events
from matinee.histories import Histories
from matinee.models.base import Recommender
from matinee.vocab import Vocab


def split_of(train, valid=(), test=(), n_items=5, value=1.0, kind="rating"):
    """A split from (user, item) or (user, item, value) rows for each part."""
    rows = [
        (*(*row, value)[:3], label) for label, part in ((TRAIN, train), (VALID, valid), (TEST, test)) for row in part
    ]
    users, items, values, labels = (np.array(column) for column in zip(*rows, strict=True))
    order = np.argsort(users, kind="stable")
    events = Events.ordered(users, items, values.astype(np.float32), np.arange(len(rows)))
    catalogue = Catalogue.of([f"Film {item} (2000)" for item in range(n_items)], [["Drama"]] * n_items)
    data = Dataset("by hand", Vocab(np.unique(users)), Vocab(np.arange(n_items)), events, catalogue, kind=kind)
    return Split(data, SplitConfig(), labels[order].astype(np.int8))


class Oracle(Recommender[Histories]):
    """Scores from a given table, user by user."""

    name = "oracle"
    Config = Config
    learned = ("table",)
    predicts_values = True

    def fit(self, train, run):
        return self

    def fold_in(self, histories):
        return histories

    def score(self, state):
        return self.table[state.user_rows].copy()


def oracle(table):
    model = Oracle()
    model.table = np.asarray(table, dtype=np.float32)
    return model

"""The bundled data split, in a database, and every registered model fitted on it once for all tests and workers."""

import os
from pathlib import Path

import numpy as np
import pytest

from fit_cache import FOLDER, FitCache
from matinee.config import SplitConfig
from matinee.data.splits import Split, split
from matinee.dataset import Dataset
from matinee.models import model_class
from matinee.models.base import Recommender
from matinee.store.sql import SqlEvents


@pytest.fixture(scope="session")
def fit_cache() -> FitCache:
    """The fits of this and earlier runs; MATINEE_TEST_FITS names another folder."""
    return FitCache(Path(os.environ.get("MATINEE_TEST_FITS") or FOLDER))


@pytest.fixture(scope="session")
def bundled_split(bundled: Dataset) -> Split:
    return split(bundled, SplitConfig())


@pytest.fixture(scope="session")
def last_split(bundled: Dataset) -> Split:
    return split(bundled, SplitConfig(split="leave-last"))


@pytest.fixture(scope="session")
def log_url(bundled: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the bundled events, for all who only read it.

    A live log does not come sorted by user, but each user's events come in their order, equal times included.
    """
    events = bundled.events
    users = np.random.default_rng(0).permutation(len(bundled.users))[events.user_rows]
    order = np.lexsort((np.arange(len(events)), users, events.times))
    url = f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite3'}"
    source = SqlEvents(url, bundled.items, bundled.users)
    user_ids, item_ids = bundled.users.ids[events.user_rows], bundled.items.ids[events.item_rows]
    source.bulk_import([user_ids[order], item_ids[order], events.values[order], events.times[order]])
    source.close()
    return url


class Fitted(dict[str, Recommender]):
    """Each model when it is first asked for: split at random, each user's last events left out if it reads order."""

    def __init__(self, cache: FitCache, at_random: Split, last: Split) -> None:
        self.cache, self.at_random, self.last = cache, at_random, last

    def __missing__(self, name: str) -> Recommender:
        cut = self.last if model_class(name).ordered else self.at_random
        self[name] = self.cache.fit(name, cut.data, cut.training())
        return self[name]


@pytest.fixture(scope="session")
def fitted(fit_cache: FitCache, bundled_split: Split, last_split: Split) -> dict[str, Recommender]:
    """By name. They are shared, and their arrays are read-only: copy a model before changing it."""
    return Fitted(fit_cache, bundled_split, last_split)


def random_histories(seed: int, n_users: int, n_items: int, longest: int) -> list[list[int]]:
    """A history for each user, of 1 to `longest` different items; item i is drawn in proportion to 1 / (1 + i)."""
    rng = np.random.default_rng(seed)
    popular = 1 / (1 + np.arange(n_items))
    sizes = rng.integers(1, longest + 1, n_users)
    return [rng.choice(n_items, size, replace=False, p=popular / popular.sum()).tolist() for size in sizes]

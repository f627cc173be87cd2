"""Every registered model with its default settings, fitted on the bundled data once for all tests."""

import pytest

from matinee.config import SplitConfig
from matinee.data.splits import Split, split
from matinee.dataset import Dataset
from matinee.models import create, model_class
from matinee.models.base import Recommender
from matinee.training.run import Run


@pytest.fixture(scope="session")
def bundled_split(bundled: Dataset) -> Split:
    return split(bundled, SplitConfig())


@pytest.fixture(scope="session")
def last_split(bundled: Dataset) -> Split:
    return split(bundled, SplitConfig(split="leave-last"))


class Fitted(dict[str, Recommender]):
    """Each model when it is first asked for: split at random, each user's last events left out if it reads order."""

    def __init__(self, at_random: Split, last: Split) -> None:
        self.at_random, self.last = at_random, last

    def __missing__(self, name: str) -> Recommender:
        cut = self.last if model_class(name).ordered else self.at_random
        self[name] = create(name).fit(cut.training(), Run.seeded(1))
        return self[name]


@pytest.fixture(scope="session")
def fitted(bundled_split: Split, last_split: Split) -> dict[str, Recommender]:
    """By name. They are shared: whoever changes one copies it first."""
    return Fitted(bundled_split, last_split)

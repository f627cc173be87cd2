"""Popularity: how many people watched an item, of late if asked."""

from typing import Annotated, Self

import numpy as np
from pydantic import PositiveFloat

from matinee.arrays import FloatArray
from matinee.config import Config, Search
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.training.run import Run

SECONDS_A_DAY = 86_400


class PopularityConfig(Config):
    """Settings of Popularity."""

    half_life_days: Annotated[PositiveFloat | None, Search(7, 3650, log=True)] = None
    """Days after which an event counts half; None counts every event alike."""


class Popularity(Recommender[int]):
    """Score of an item = its events, each weighted 0.5^(age / half-life) if a half-life is set.

    Age is counted back from the last training event. Everyone gets the same list, less what they have seen.
    """

    name = "popularity"
    Config = PopularityConfig
    learned = ("popularity",)
    reads_history = False
    config: PopularityConfig
    popularity: FloatArray  # [I]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError if a half-life is set and the log has no times."""
        weights = None
        if self.config.half_life_days is not None:
            if train.end == 0:
                raise MatineeError("popularity with half_life_days needs times, and this log has none; leave it out")
            age_days = (train.end - train.histories.times) / SECONDS_A_DAY
            weights = 0.5 ** (age_days / self.config.half_life_days)
        counts = np.bincount(train.histories.items, weights, minlength=train.n_items)
        self.popularity = counts.astype(np.float32)
        return self

    def fold_in(self, histories: Histories) -> int:
        """The number of users: nothing else matters."""
        return len(histories)

    def score(self, state: int) -> FloatArray:
        """See Recommender."""
        return np.tile(self.popularity, (state, 1))

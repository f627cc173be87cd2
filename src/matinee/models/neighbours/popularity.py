"""Popularity: the number of an item's events, with optional decay over time."""

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
    """Days after which an event's weight is halved; None weights all events equally."""


class Popularity(Recommender[int]):
    """score_i = sum over the item's events of 0.5^(age / half-life); without a half-life, their number.

    Age is the time before the last training event. The list is the same for everyone, without what they have seen.
    Source: the TopPop baseline of Cremonesi, Koren and Turrin 2010, section 3.1.

    Differs from the paper: nothing; the half-life is ours and off by default.
    """

    name = "popularity"
    Config = PopularityConfig
    learned = ("popularity",)
    reads_history = False
    config: PopularityConfig
    popularity: FloatArray  # [I]

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError if a half-life is set and the log has no times."""
        if self.config.half_life_days is None:
            self.popularity = train.popularity.astype(np.float32)
            return self
        if train.end == 0:
            raise MatineeError("popularity with half_life_days needs times, and this log has none; leave it out")
        age_days = (train.end - train.histories.times) / SECONDS_A_DAY
        weights = 0.5 ** (age_days / self.config.half_life_days)
        self.popularity = np.bincount(train.histories.items, weights, minlength=train.n_items).astype(np.float32)
        return self

    def fold_in(self, histories: Histories) -> int:
        """The number of users."""
        return len(histories)

    def score(self, state: int) -> FloatArray:
        """See Recommender."""
        return np.tile(self.popularity, (state, 1))

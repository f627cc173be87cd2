"""Splits: what is learned from, what a model is shown, what it must find."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import BoolArray, starts_of
from matinee.config import PartName, Shown, SplitConfig
from matinee.events import Dataset, Events
from matinee.histories import Histories, TrainingData

Labels = NDArray[np.int8]
UNUSED, TRAIN, VALID_SHOWN, VALID, TEST_SHOWN, TEST = -1, 0, 1, 2, 3, 4
"""The part that an event belongs to. VALID and TEST are targets; the two SHOWN are events of held-out users."""


@dataclass(frozen=True, eq=False)
class Split:
    """A data set with a label for each event.

    labels: [N], one of the constants above; leaks: what the cut lets through from the future, for people.
    """

    data: Dataset
    config: SplitConfig
    labels: Labels
    leaks: tuple[str, ...] = ()

    def training(self, refit: Shown = "train") -> TrainingData:
        """What a model learns from: train, or train and all of valid."""
        parts = [TRAIN] if refit == "train" else [TRAIN, VALID_SHOWN, VALID]
        events = self.data.events.take(np.isin(self.labels, parts))
        users = np.unique(events.user_rows)
        return TrainingData(Histories.from_events(events, users), len(self.data.items))

    def inputs(self, part: PartName, shown: Shown = "train+valid") -> Events:
        """What a model is shown before it must find the targets of a part."""
        if part == "valid":
            return self._events([TRAIN, VALID_SHOWN])
        held = [TRAIN, VALID_SHOWN, TEST_SHOWN]
        return self._events(held if shown == "train" else [*held, VALID])

    def hidden(self, part: PartName, shown: Shown = "train+valid") -> Events:
        """What is masked without being shown: valid at test time, where the inputs are train alone."""
        return self._events([VALID] if part == "test" and shown == "train" else [])

    def targets(self, part: PartName) -> Events:
        """What a model must find."""
        return self._events([VALID if part == "valid" else TEST])

    def sizes(self) -> dict[str, int]:
        """Events in train, valid and test; those shown of held-out users are counted with their part."""
        counts = np.bincount(self.labels + 1, minlength=6)
        return {
            "train": int(counts[TRAIN + 1]),
            "valid": int(counts[VALID_SHOWN + 1] + counts[VALID + 1]),
            "test": int(counts[TEST_SHOWN + 1] + counts[TEST + 1]),
        }

    def _events(self, parts: list[int]) -> Events:
        return self.data.events.take(np.isin(self.labels, parts))


def split(data: Dataset, config: SplitConfig) -> Split:
    """Cut a data set as the config says."""
    return Split(data, config, _random(data, config))


def _random(data: Dataset, config: SplitConfig) -> Labels:
    """Ratios of each user's events: floor of train, floor of valid, the rest is test."""
    rng = np.random.default_rng(config.seed)
    rows = data.events.user_rows
    order = np.lexsort((rng.random(len(rows)), rows))
    lengths = np.diff(starts_of(rows, len(data.users)))
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    n_train = np.floor(lengths * config.ratios[0] + 1e-9)[rows]
    n_valid = np.floor(lengths * config.ratios[1] + 1e-9)[rows]
    valid: BoolArray = place >= n_train
    test: BoolArray = place >= n_train + n_valid
    return np.where(test, TEST, np.where(valid, VALID, TRAIN)).astype(np.int8)

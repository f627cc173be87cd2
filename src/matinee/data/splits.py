"""Splits: what is learned from, what a model is shown, what it must find."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from matinee.arrays import IntArray
from matinee.config import PartName, SplitConfig, SplitParts
from matinee.data.labels import TEST, TEST_SHOWN, TRAIN, UNUSED, VALID, VALID_SHOWN, Labels
from matinee.data.sessions import Sessions, find_sessions
from matinee.data.split_methods import METHODS, from_files
from matinee.data.statistics import counted
from matinee.dataset import Dataset, Events
from matinee.errors import DataError
from matinee.histories import Histories, TrainingData

__all__ = [
    "PARTS",
    "TEST",
    "TEST_SHOWN",
    "TRAIN",
    "UNUSED",
    "VALID",
    "VALID_SHOWN",
    "Labels",
    "Leaked",
    "Split",
    "split",
]

PARTS: tuple[PartName, ...] = ("valid", "test")
_LONG_AGO = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Leaked:
    """Targets of a part that know, or are known by, what a model has learned.

    targets: how many there are; older: than some event of train; older_own: than some event of the same user that
    the model is given (train, or what is shown of a held-out user); repeated: the same user and item is given too.
    """

    targets: int
    older: int
    older_own: int
    repeated: int


@dataclass(frozen=True, eq=False)
class Split:
    """A data set with a label for each event.

    labels: [N], one of the constants in labels.py; leaks: what the cut lets through from the future, for people;
    notes: what the method did that the config does not say, for people.
    """

    data: Dataset
    config: SplitConfig
    labels: Labels
    leaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def training(self, refit: SplitParts = "train") -> TrainingData:
        """What a model learns from: train, or train and all of valid. A history for each user, or for each session."""
        parts = [TRAIN] if refit == "train" else [TRAIN, VALID_SHOWN, VALID]
        events = self._events(parts)
        if self.sessions is not None and not self.config.earlier:
            chosen = np.isin(self.labels[self.sessions.starts[:-1]], parts)
            starts = np.concatenate([[0], np.cumsum(self.sessions.lengths[chosen])])
            owners = self.sessions.user_rows[chosen]
            alone = Histories(starts, events.item_rows, events.values, events.times, owners)
            return TrainingData(alone, len(self.data.items))
        users = np.unique(events.user_rows)
        return TrainingData(Histories.from_events(events, users), len(self.data.items))

    def inputs(self, part: PartName, shown: SplitParts = "train+valid") -> Events:
        """What a model is shown before it must find the targets of a part."""
        if part == "valid":
            return self._events([TRAIN, VALID_SHOWN])
        held = [TRAIN, VALID_SHOWN, TEST_SHOWN]
        return self._events(held if shown == "train" else [*held, VALID])

    def masked(self, part: PartName, shown: SplitParts = "train+valid") -> Events:
        """What is masked without being shown: valid at test time, where the inputs are train alone."""
        return self._events([VALID] if part == "test" and shown == "train" else [])

    def targets(self, part: PartName) -> Events:
        """What a model must find."""
        return self._events([VALID if part == "valid" else TEST])

    @cached_property
    def sessions(self) -> Sessions | None:
        """The sessions that were cut, None where the method is another."""
        return find_sessions(self.data, self.config) if self.config.split == "session" else None

    def sizes(self) -> dict[str, int]:
        """Events in train, valid and test; those shown of held-out users are counted with their part."""
        counts = np.bincount(self.labels + 1, minlength=6)
        return {
            "train": int(counts[TRAIN + 1]),
            "valid": int(counts[VALID_SHOWN + 1] + counts[VALID + 1]),
            "test": int(counts[TEST_SHOWN + 1] + counts[TEST + 1]),
        }

    def cold(self, part: PartName) -> tuple[int, int]:
        """(users with targets in a part but no inputs, items among its targets that train never saw)."""
        targets = self.targets(part)
        users = np.setdiff1d(targets.user_rows, self.inputs(part).user_rows)
        items = np.setdiff1d(targets.item_rows, self._events([TRAIN]).item_rows)
        return len(users), len(items)

    def leaked(self, part: PartName) -> Leaked:
        """How many targets of a part the future or a repeat gives away. Without times none counts as older."""
        events, targets = self.data.events, self.targets(part)
        train = events.times[self.labels == TRAIN]
        shown = VALID_SHOWN if part == "valid" else TEST_SHOWN
        # of a session only what stands before a target is shown
        given = self._events([TRAIN] if self.sessions is not None else [TRAIN, shown])
        latest = np.full(len(self.data.users), _LONG_AGO)
        np.maximum.at(latest, given.user_rows, given.times)
        return Leaked(
            targets=len(targets),
            older=int((targets.times < train.max(initial=_LONG_AGO)).sum()),
            older_own=int((targets.times < latest[targets.user_rows]).sum()),
            repeated=int(np.isin(self._repeated_pairs(targets), self._repeated_pairs(given)).sum()),
        )

    def _events(self, parts: list[int]) -> Events:
        chosen = np.zeros(6, dtype=bool)
        chosen[np.array(parts, dtype=np.int64) + 1] = True
        return self.data.events.take(chosen[self.labels + 1])

    def _repeated_pairs(self, events: Events) -> IntArray:
        """The (user, item) pairs, as one number, of those events whose pair is in the log more than once."""
        pairs = _pairs(events, len(self.data.items))
        return pairs[np.isin(pairs, self._repeats)] if len(self._repeats) else pairs[:0]

    @cached_property
    def _repeats(self) -> IntArray:
        pairs = np.sort(_pairs(self.data.events, len(self.data.items)))
        return np.unique(pairs[1:][pairs[1:] == pairs[:-1]])


def split(data: Dataset, config: SplitConfig) -> Split:
    """Cut a data set as the config says.

    Raises MatineeError where the config asks for what cannot be, DataError where the log leaves nothing to learn
    from or nothing to find.
    """
    if config.split == "files":
        return split_files(config)
    if len(data.events) == 0:
        raise DataError(f"{data.name} has no events to split")
    labels, notes = METHODS[config.split](data, config)
    return _checked(Split(data, config, labels, notes=notes))


def split_files(config: SplitConfig) -> Split:
    """The split that stands in files, with their own events. Raises as `split`."""
    data, labels = from_files(config)
    return _checked(Split(data, config, labels))


def _checked(cut: Split) -> Split:
    data, config, labels = cut.data, cut.config, cut.labels
    what = f"split {config.split} of {data.name} ({len(data.events):,} events, {len(data.users):,} users)"
    if not (labels == TRAIN).any():
        raise DataError(f"{what} leaves nothing to learn from; use more data, a larger share of train or another split")
    all_train = config.split in {"random", "time", "new-users", "session"} and config.ratios[0] == 1 and not config.at
    if not all_train and not np.isin(labels, [VALID, TEST]).any():
        raise DataError(f"{what} leaves nothing to find; use more data or another split")
    return replace(cut, leaks=_leaks(cut))


def _leaks(cut: Split) -> tuple[str, ...]:
    return tuple(sentence for part in PARTS for sentence in _leaks_of(part, cut.leaked(part)))


def _leaks_of(part: PartName, leaked: Leaked) -> list[str]:
    said = []
    if leaked.older:
        own = (
            f", {counted(leaked.older_own, leaked.targets)} than something of the same user" if leaked.older_own else ""
        )
        said.append(f"{part}: {counted(leaked.older, leaked.targets)} targets are older than something in train{own}")
    elif leaked.older_own:
        said.append(
            f"{part}: {counted(leaked.older_own, leaked.targets)} targets are older than what is shown of the user"
        )
    if leaked.repeated:
        said.append(f"{part}: {counted(leaked.repeated, leaked.targets)} targets repeat a user and item that is given")
    return said


def _pairs(events: Events, n_items: int) -> IntArray:
    return events.user_rows.astype(np.int64) * n_items + events.item_rows

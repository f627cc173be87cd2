"""Splits: training events, inputs and targets of a data set, and the leaks between them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

import numpy as np
import polars as pl

from matinee import elsewhere
from matinee.arrays import BoolArray, IntArray, blocks, count_rows, row_blocks
from matinee.config import ColumnsConfig, FilterConfig, PartName, SplitConfig, SplitParts
from matinee.data.filters import UNFILTERED, filter_events
from matinee.data.labels import PART_NAMES, TEST, TEST_INPUTS, TRAIN, UNUSED, VALID, VALID_INPUTS, Labels
from matinee.data.sessions import Sessions, find_sessions
from matinee.data.split_methods import METHODS
from matinee.data.split_settings import check_settings
from matinee.data.statistics import count_of
from matinee.dataset import Dataset, Events, column_of
from matinee.errors import DataError, MatineeError, UsageError
from matinee.histories import Histories, TrainingData
from matinee.mapped import looked_up
from matinee.reading.columns import SNIFFED
from matinee.shown import Framed, Overview, Plotted, Shown

__all__ = [
    "PARTS",
    "TEST",
    "TEST_INPUTS",
    "TRAIN",
    "UNUSED",
    "VALID",
    "VALID_INPUTS",
    "Labels",
    "LeakCounts",
    "Split",
    "split",
]

PARTS: tuple[PartName, ...] = ("valid", "test")
_LONG_AGO = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class LeakCounts:
    """Numbers of targets of a part that leak.

    targets: all of them; older_than_train: older than the last event of train; older_than_own: older than the last
    given event (train, or inputs of a held-out user) of the same user; repeated: the same user and item is also given.
    """

    targets: int
    older_than_train: int
    older_than_own: int
    repeated: int


@dataclass(frozen=True, eq=False, repr=False)
class Split(Shown, Framed, Plotted):
    """A data set with a label for each event.

    labels: [N], constants of labels.py; leaks: sentences on targets that the future or a repeat gives away;
    notes: sentences on what the method did beyond its config.
    """

    other_names = elsewhere.SPLIT

    data: Dataset
    config: SplitConfig
    labels: Labels
    leaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def training(self, refit: SplitParts = "train") -> TrainingData:
        """Training data: train, or train and all of valid. One history per user or, by sessions, per session."""
        parts = [TRAIN] if refit == "train" else [TRAIN, VALID_INPUTS, VALID]
        events = self._events(parts)
        if self.sessions is not None and not self.config.earlier:
            chosen = np.isin(self.labels[self.sessions.starts[:-1]], parts)
            starts = np.concatenate([[0], np.cumsum(self.sessions.lengths[chosen])])
            user_rows = self.sessions.user_rows[chosen]
            sessions = Histories(starts, events.item_rows, events.values, events.times, user_rows)
            return TrainingData(sessions, len(self.data.items))
        return TrainingData(Histories.of_all(events), len(self.data.items))

    def inputs(self, part: PartName, parts: SplitParts = "train+valid") -> Events:
        """Events in the histories from which the targets of a part are predicted."""
        if part == "valid":
            return self._events([TRAIN, VALID_INPUTS])
        given = [TRAIN, VALID_INPUTS, TEST_INPUTS]
        return self._events(given if parts == "train" else [*given, VALID])

    def masked(self, part: PartName, parts: SplitParts = "train+valid") -> Events:
        """Events masked in lists although they are not inputs: valid at test time, if only train is input."""
        return self._events([VALID] if part == "test" and parts == "train" else [])

    def targets(self, part: PartName) -> Events:
        """The target events of a part."""
        return self._events([VALID if part == "valid" else TEST])

    @cached_property
    def sessions(self) -> Sessions | None:
        """The sessions of a split by sessions; None for other methods."""
        return find_sessions(self.data, self.config) if self.config.split == "session" else None

    def overview(self) -> Overview:
        """See Shown."""
        sizes = ", ".join(f"{part} {size:,}" for part, size in self.sizes().items())
        headline = f"{self.data.name}, split {self.config.split}, seed {self.config.seed}: {sizes} events"
        notes = (*self.notes, *(f"the split leaks: {leak}" for leak in self.leaks))
        return Overview(headline, notes=notes, next='model = mt.fit("ease", split)')

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, column: str) -> pl.Series:
        """A column of `to_frame`, such as `part`. Raises MatineeError with the call that works if there is none."""
        if isinstance(column, str) and column in elsewhere.SPLIT:
            raise MatineeError(f"{column!r} is a part, not a column; write {elsewhere.SPLIT[column]}")
        return column_of(self.to_frame(), column, "split")

    def __iter__(self) -> NoReturn:
        """Raises MatineeError: `train, test = split` gives away what the functions keep apart."""
        raise MatineeError(
            "a split is one object, whose parts stay together: mt.fit learns from train, mt.evaluate asks for test; "
            'write split = mt.split(data), and model = mt.fit("ease", split)'
        )

    def to_frame(self) -> pl.DataFrame:
        """The events as Dataset.to_frame has them, with the part of each: train, valid inputs, valid, ... or unused."""
        parts = pl.Series("part", PART_NAMES).gather(self.labels + 1)
        return self.data.to_frame().with_columns(parts)

    def sizes(self) -> dict[str, int]:
        """Number of events in train, valid and test; inputs of held-out users count with their part."""
        counts = count_rows(self.labels + np.int8(1), 6)
        return {
            "train": int(counts[TRAIN + 1]),
            "valid": int(counts[VALID_INPUTS + 1] + counts[VALID + 1]),
            "test": int(counts[TEST_INPUTS + 1] + counts[TEST + 1]),
        }

    def count_cold(self, part: PartName) -> tuple[int, int]:
        """Count users with targets in a part but no inputs, and items of its targets without an event in train."""
        targets = self.targets(part)
        users = _only_in(targets.user_rows, self.inputs(part).user_rows, len(self.data.users))
        items = _only_in(targets.item_rows, self._events([TRAIN]).item_rows, len(self.data.items))
        return users, items

    def count_leaks(self, part: PartName) -> LeakCounts:
        """Count the targets of a part that the future or a repeat gives away. Without times none count as older."""
        events, target = self.data.events, VALID if part == "valid" else TEST
        inputs = VALID_INPUTS if part == "valid" else TEST_INPUTS
        # the inputs of a session's target all precede it
        given_labels = [TRAIN] if self.sessions is not None else [TRAIN, inputs]
        latest = np.full(len(self.data.users), _LONG_AGO)
        counts = np.zeros(4, dtype=np.int64)
        for _, block in row_blocks(self.data.user_starts):
            rows, times, labels = events.user_rows[block], events.times[block], self.labels[block]
            is_given, is_target = np.isin(labels, given_labels), labels == target
            latest[rows[is_given]] = times[is_given]  # of a user's times, which ascend, the last one stays
            sought = times[is_target]
            older = sought < self._end_of_train, sought < latest[rows[is_target]]
            repeated = self._count_repeated(block, is_target, is_given) if self._has_repeats else 0
            counts += [len(sought), int(older[0].sum()), int(older[1].sum()), repeated]
        return LeakCounts(*counts.tolist())

    def _events(self, parts: list[int]) -> Events:
        chosen = np.zeros(6, dtype=bool)
        chosen[np.array(parts, dtype=np.int64) + 1] = True
        return self.data.events.take(looked_up(chosen, self.labels + np.int8(1)))

    @cached_property
    def _end_of_train(self) -> int:
        """Time of the last event of train."""
        times, labels = self.data.events.times, self.labels
        latest = (times[block][labels[block] == TRAIN].max(initial=_LONG_AGO) for block in blocks(len(labels)))
        return int(max(latest, default=_LONG_AGO))

    @cached_property
    def _has_repeats(self) -> bool:
        """Whether some user has several events with an item."""
        for _, block in row_blocks(self.data.user_starts):
            pairs = _pairs(self.data.events, block, len(self.data.items))
            pairs.sort()
            if (pairs[1:] == pairs[:-1]).any():
                return True
        return False

    def _count_repeated(self, block: slice, is_target: BoolArray, is_given: BoolArray) -> int:
        """How many targets of a block of users have the item of a given event."""
        pairs = _pairs(self.data.events, block, len(self.data.items))
        return int(np.isin(pairs[is_target], pairs[is_given]).sum())


def split(data: Dataset, config: SplitConfig) -> Split:
    """Split a data set. Raises MatineeError for an impossible config, DataError if train or all targets are empty."""
    check_settings(config)
    if config.split == "files":
        raise UsageError(
            f"a split from files has its own events, so {data.name} is not used; "
            f"write mt.split({config.path!r}, 'files')"
        )
    if len(data.events) == 0:
        raise DataError(f"{data.name} has no events to split")
    labels, notes = METHODS[config.split](data, config)
    return _checked(Split(data, config, labels, notes=notes))


def split_files(config: SplitConfig, columns: ColumnsConfig = SNIFFED, filters: FilterConfig = UNFILTERED) -> Split:
    """Load a split from files, with their own events, read and filtered like those of a log. Raises as `split`."""
    from matinee.data.loading import load_parts  # the readers are slow to import, and only this method needs them

    check_settings(config)
    data, labels = load_parts(str(config.path), columns)
    data, kept = filter_events(data, filters, rng=np.random.default_rng(config.seed))
    return _checked(Split(data, config, labels[kept]))


def _checked(cut: Split) -> Split:
    data, config, labels = cut.data, cut.config, cut.labels
    what = f"split {config.split} of {data.name} ({len(data.events):,} events, {len(data.users):,} users)"
    if not (labels == TRAIN).any():
        raise DataError(f"{what} has no training events; use more data, a larger ratio of train or another split")
    all_train = config.split in {"random", "time", "new-users", "session"} and config.ratios[0] == 1 and not config.at
    if not all_train and not np.isin(labels, [VALID, TEST]).any():
        why = f" ({'; '.join(cut.notes)})" if cut.notes else ""
        raise DataError(f"{what} has no targets{why}; use more data or another split")
    return replace(cut, leaks=_leaks(cut), notes=(*cut.notes, *_cold_notes(cut)))


def _cold_notes(cut: Split) -> Iterator[str]:
    """A sentence for each part in which users have targets but no inputs."""
    has = np.zeros((6, len(cut.data.users)), dtype=bool)  # by label + 1: whether a user has such an event
    for block in blocks(len(cut.labels)):
        has[cut.labels[block] + 1, cut.data.events.user_rows[block]] = True
    given = {"valid": [TRAIN, VALID_INPUTS], "test": [TRAIN, VALID_INPUTS, VALID, TEST_INPUTS]}
    for part, target in (("valid", VALID), ("test", TEST)):
        cold = int((has[target + 1] & ~has[np.array(given[part]) + 1].any(axis=0)).sum())
        if cold:
            users = count_of(cold, int(has[target + 1].sum()))
            yield f"{part}: {users} users have targets but no inputs: ranked by popularity"


def _leaks(cut: Split) -> tuple[str, ...]:
    return tuple(sentence for part in PARTS for sentence in _leaks_of(part, cut.count_leaks(part)))


def _leaks_of(part: PartName, leaked: LeakCounts) -> list[str]:
    older, older_own, repeated = (
        count_of(count, leaked.targets) for count in (leaked.older_than_train, leaked.older_than_own, leaked.repeated)
    )
    sentences = []
    if leaked.older_than_train:
        own = f", {older_own} older than a given event of the same user" if leaked.older_than_own else ""
        sentences.append(f"{part}: {older} targets are older than an event in train{own}")
    elif leaked.older_than_own:
        sentences.append(f"{part}: {older_own} targets are older than an input of the same user")
    if leaked.repeated:
        sentences.append(f"{part}: {repeated} targets repeat a given user and item")
    return sentences


def _only_in(first: IntArray, second: IntArray, n_rows: int) -> int:
    """How many of the rows 0..n_rows occur in the first column but not in the second."""
    seen = np.zeros((2, n_rows), dtype=bool)
    seen[0, first] = seen[1, second] = True
    return int((seen[0] & ~seen[1]).sum())


def _pairs(events: Events, block: slice, n_items: int) -> IntArray:
    """A key for the user and item of each event of a block of whole users."""
    rows = events.user_rows[block]
    first, last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, 0)
    pairs: IntArray = (rows - np.int32(first)).astype(np.int32 if (last - first + 1) * n_items < 2**31 else np.int64)
    pairs *= n_items
    pairs += events.item_rows[block]
    return pairs

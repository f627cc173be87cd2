"""Task: the inputs a model gets and the targets it must find, for the users of one part of a split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, row_blocks, rows_of
from matinee.config import EvaluationConfig
from matinee.data.labels import TEST, UNUSED, VALID
from matinee.data.prefixes import Prefixes
from matinee.data.splits import Split
from matinee.dataset import Events
from matinee.errors import MatineeError, UsageError
from matinee.evaluation.candidates import Sampled, sample
from matinee.evaluation.metrics import PerUser
from matinee.histories import Histories, last_of_each


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Inputs and targets of B lists: one per user with targets, or in a split by session one per event to predict.

    histories: the inputs; masked: items that lists leave out beside those of the inputs, or instead of them if
    `repeat`; targets: the relevant ones, each item once with its last value, without those that the user has seen;
    judged: the same with those whose value is below `relevant_from`; n_seen: how many targets were left out because
    they were seen; n_below: how many, of all users, because of their value; owners: [B], index into `user_rows` of each
    list's user, None if each user has one list; sampled: the candidates that lists are made of, None for all items.
    """

    histories: Histories | Prefixes
    masked: Histories | None
    targets: Histories
    judged: Histories
    n_items: int
    n_seen: int
    n_below: int
    owners: IntArray | None = None
    repeat: bool = False
    sampled: Sampled | None = None

    @classmethod
    def of(cls, split: Split, config: EvaluationConfig) -> "Task":
        """The task of one part. Raises MatineeError if no user has a target."""
        if split.sessions is not None:
            _refuse_in_sessions(config)
            return _of_sessions(split, config)
        inputs, unseen = split.inputs(config.on, config.inputs), split.masked(config.on, config.inputs)
        wanted, n_items = split.targets(config.on), len(split.data.items)
        targets = last_of_each(Histories.of_all(wanted))
        seen = _seen(targets, (inputs, unseen), n_items) & (not config.repeat)
        relevant = ~seen & _is_relevant(targets.values, config)
        users = targets.user_rows
        left = np.unique(targets.owners[relevant])  # users with a target left
        if len(left) == 0:
            raise MatineeError(
                f"no user of data {split.data.name} has a new target {_of_value(config)}in {config.on}; "
                f"choose another split or other ratios than {split.config.split} {split.config.ratios}"
            )
        beside, repeat = _left_out(split, config, unseen)
        sampled = None
        if config.candidates is not None:
            hidden = _keys(n_items, beside) if repeat else _keys(n_items, inputs, beside)
            sampled = sample(config.candidates, split, targets.keep(relevant).take(left), hidden)
            left = left[np.isin(users[left], sampled.lists.user_rows)]
        # serving uses the last event of each item, so evaluation does too
        return cls(
            last_of_each(Histories.from_events(inputs, users[left])),
            Histories.from_events(beside, users[left]) if len(beside) else None,
            targets.keep(relevant).take(left),
            targets.keep(~seen).take(left),
            n_items,
            int(seen.sum()),
            int((~seen & ~relevant).sum()),
            repeat=repeat,
            sampled=sampled,
        )

    @property
    def candidates(self) -> Histories | None:
        """The items that each list may have, as B rows; None for all items."""
        return None if self.sampled is None else self.sampled.lists

    @property
    def user_rows(self) -> IntArray:
        """The users, each once. [U]."""
        return self.targets.user_rows if self.owners is None else np.unique(self.targets.user_rows)

    @property
    def n_relevant(self) -> IntArray:
        """Number of targets of each list, at least 1. [B]."""
        return np.diff(self.targets.starts)

    @property
    def lengths(self) -> IntArray:
        """Number of input events of each list. [B]."""
        return self.histories.lengths

    def batches(self) -> Iterator[tuple[Histories, Histories | None]]:
        """Inputs and masked items, in batches of bounded memory."""
        if isinstance(self.histories, Histories):
            yield self.histories, self.masked
            return
        for start, stop in self.histories.blocks():
            yield self.histories.block(start, stop), None

    def blocks(self) -> Iterator[Histories]:
        """The inputs, in blocks of bounded memory."""
        if isinstance(self.histories, Histories):
            for rows, _ in row_blocks(self.histories.starts):
                yield self.histories.block(rows.start, rows.stop)
            return
        yield from (inputs for inputs, _ in self.batches())

    def of_users(self, measured: PerUser) -> PerUser:
        """From a value per list to one per user, each list counting once. [B] -> [U]."""
        return measured if self.owners is None else measured.pooled(self.owners, int(self.owners[-1]) + 1)


def _of_sessions(split: Split, config: EvaluationConfig) -> Task:
    """A list for every event to predict, from the events before it in its session, or also in earlier sessions.

    Raises MatineeError if there is nothing to predict, or if valid were to be masked without being an input.
    """
    earlier = split.config.earlier
    if earlier and config.on == "test" and config.inputs == "train":
        raise MatineeError("a session's history runs up to its event: inputs train+valid is the only choice, leave it")
    rows = np.flatnonzero((split.labels != UNUSED) & (split.labels <= (VALID if config.on == "valid" else TEST)))
    events = split.data.events.take(rows)
    sessions = split.sessions.of_events[rows] if split.sessions is not None else rows
    groups = events.user_rows if earlier else sessions
    firsts = np.flatnonzero(np.diff(groups, prepend=-1))
    first = np.repeat(firsts, np.diff(firsts, append=len(rows)))  # index of the first event of each history
    wanted = split.labels[rows] == (VALID if config.on == "valid" else TEST)
    if config.predict == "last":
        wanted &= np.diff(sessions, append=-1) != 0
    previous = _previous(events)
    seen = wanted & (previous >= first)
    if not config.repeat:
        wanted &= ~seen
    relevant = wanted & _is_relevant(events.values, config)
    stops = np.flatnonzero(relevant)
    if len(stops) == 0:
        raise MatineeError(
            f"no session of data {split.data.name} has a new item {_of_value(config)}in {config.on}; "
            f"choose other ratios than {split.config.ratios}"
        )
    found = events.take(stops)
    targets = Histories(np.arange(len(stops) + 1), found.item_rows, found.values, found.times, found.user_rows)
    owners = np.unique(found.user_rows, return_inverse=True)[1]
    histories = Prefixes(events, first[stops], stops, repeats=bool((previous >= 0).any()))
    n_seen = 0 if config.repeat else int(seen.sum())
    n_below = int((wanted & ~relevant).sum())
    return Task(histories, None, targets, targets, len(split.data.items), n_seen, n_below, owners, config.repeat)


def _refuse_in_sessions(config: EvaluationConfig) -> None:
    """Raises UsageError for options of lists that a split by session, with many lists a user, does not have."""
    if config.candidates is not None:
        raise UsageError(
            f"candidates = {config.candidates} has no effect on split session, where a user has a list for each event; "
            "leave it out or choose another split"
        )
    if config.mask != "seen":
        raise UsageError(f"mask = {config.mask} has no effect on split session; `repeat` allows seen items there")


def _left_out(split: Split, config: EvaluationConfig, unseen: Events) -> tuple[Events, bool]:
    """The events whose items lists leave out beside the inputs, and whether the inputs' own items may be listed."""
    if config.mask == "none":
        return unseen.take(np.zeros(0, dtype=np.int64)), True
    return (split.inputs(config.on, "train"), True) if config.mask == "train" else (unseen, config.repeat)


def _keys(n_items: int, *parts: Events) -> IntArray:
    """User row * I + item row of each event, ascending. [N]."""
    keys = [part.user_rows.astype(np.int64) * n_items + part.item_rows for part in parts]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *keys]))


def _seen(targets: Histories, given: Sequence[Events], n_items: int) -> BoolArray:
    """Whether the user of each target has its item among ordered events. [N]."""
    seen = np.zeros(len(targets.items), dtype=bool)
    for rows, block in row_blocks(targets.starts):
        users = targets.user_rows[rows].astype(np.int64)
        own = users[rows_of(targets.starts[rows.start : rows.stop + 1] - block.start)] * n_items + targets.items[block]
        theirs = [each.take(slice(*_range_of(each.user_rows, int(users[0]), int(users[-1])))) for each in given]
        seen[block] = _contains(_keys(n_items, *theirs), own)
    return seen


def _range_of(ascending: IntArray, first: int, last: int) -> tuple[int, int]:
    """Where the rows from the first to the last stand among ascending ones: the first, and one past the last."""
    limits = np.array([first, last + 1], dtype=ascending.dtype)  # of another type, all rows would be copied
    start, stop = np.searchsorted(ascending, limits).tolist()
    return start, stop


def _contains(ascending: IntArray, keys: IntArray) -> BoolArray:
    """Whether each key is among ascending ones. [N], [M] -> [M]."""
    found: BoolArray = np.append(ascending, -1)[np.searchsorted(ascending, keys)] == keys
    return found


def _is_relevant(values: FloatArray, config: EvaluationConfig) -> BoolArray:
    """Whether targets of these values are relevant. [N]."""
    return np.full(len(values), True) if config.relevant_from is None else values >= config.relevant_from


def _of_value(config: EvaluationConfig) -> str:
    return "" if config.relevant_from is None else f"of value {config.relevant_from:g} or more "


def _previous(events: Events) -> IntArray:
    """Index of the user's previous event of the same item, -1 if there is none. [N]."""
    keys = events.user_rows.astype(np.int64) * (int(events.item_rows.max(initial=0)) + 1) + events.item_rows
    order = np.argsort(keys, kind="stable")
    repeated = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    previous = np.full(len(keys), -1, dtype=np.int64)
    previous[order[repeated + 1]] = order[repeated]
    return previous

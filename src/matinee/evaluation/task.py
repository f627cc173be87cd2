"""Task: what a model is shown, and what it must find, of the users of one part of a split."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matinee.arrays import IntArray, starts_of
from matinee.config import EvaluationConfig
from matinee.data.labels import TEST, UNUSED, VALID
from matinee.data.prefixes import Prefixes
from matinee.data.splits import Split
from matinee.dataset import Events
from matinee.errors import MatineeError
from matinee.evaluation.metrics import PerUser
from matinee.histories import Histories, last_of_each


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """B lists to be made, what a model is shown for each, and what it must find.

    One for each user of a part who has something to be found; of a split by session one for each event to be found.

    histories: their inputs; masked: what is masked without being shown; targets: each item once with its last value,
    without items that are masked, for those no list can hold; n_seen: how many targets that left out;
    owners: [B], the place among `user_rows` of each list's user, None where each has one.
    """

    histories: Histories | Prefixes
    masked: Histories | None
    targets: Histories
    n_items: int
    n_seen: int
    owners: IntArray | None = None

    @classmethod
    def of(cls, split: Split, config: EvaluationConfig) -> "Task":
        """The task of a part. Raises MatineeError where nobody has a target."""
        if split.sessions is not None:
            return _of_sessions(split, config)
        inputs, unseen = split.inputs(config.on, config.inputs), split.masked(config.on, config.inputs)
        wanted, n_items = split.targets(config.on), len(split.data.items)
        users = np.unique(wanted.user_rows)
        targets = last_of_each(Histories.from_events(wanted, users))
        masked = np.sort(
            np.concatenate([part.user_rows.astype(np.int64) * n_items + part.item_rows for part in (inputs, unseen)])
        )
        keys = users.astype(np.int64)[targets.owners] * n_items + targets.items
        places = np.searchsorted(masked, keys)
        seen = (np.append(masked, -1)[places] == keys) & (not config.repeat)
        owners = targets.owners[~seen]
        left = np.unique(owners)  # users who still have a target
        if len(left) == 0:
            raise MatineeError(
                f"no user of data {split.data.name} has a target in {config.on} that they did not have before; "
                f"choose another split or other ratios than {split.config.split} {split.config.ratios}"
            )
        fresh = Histories(
            starts_of(owners, len(users)),
            targets.items[~seen],
            targets.weights[~seen],
            targets.times[~seen],
            targets.user_rows,
        ).take(left)
        # what is served counts the last event of each item, so what is measured does too
        histories = last_of_each(Histories.from_events(inputs, users[left]))
        masked_only = Histories.from_events(unseen, users[left]) if len(unseen) else None
        return cls(histories, masked_only, fresh, n_items, int(seen.sum()))

    @property
    def user_rows(self) -> IntArray:
        """The users, each once. [U]."""
        return self.targets.user_rows if self.owners is None else np.unique(self.targets.user_rows)

    @property
    def n_relevant(self) -> IntArray:
        """How many targets each list has, at least one. [B]."""
        return np.diff(self.targets.starts)

    @property
    def lengths(self) -> IntArray:
        """Events shown for each list. [B]."""
        return self.histories.lengths

    def batches(self) -> Iterator[tuple[Histories, Histories | None]]:
        """What is shown and what is masked, in batches of bounded memory."""
        if isinstance(self.histories, Histories):
            yield self.histories, self.masked
            return
        for start, stop in self.histories.blocks():
            yield self.histories.block(start, stop), None

    def of_users(self, measured: PerUser) -> PerUser:
        """From a value for each list to one for each user, in which each list counts once. [B] -> [U]."""
        return measured if self.owners is None else measured.pooled(self.owners, int(self.owners[-1]) + 1)


def _of_sessions(split: Split, config: EvaluationConfig) -> Task:
    """A list for every event to be found: shown are the events before it in its session, or also earlier sessions.

    Raises MatineeError where there is nothing to find, or where valid should be masked and not shown.
    """
    earlier = split.config.earlier
    if earlier and config.on == "test" and config.inputs == "train":
        raise MatineeError("a session's history runs up to its event: inputs train+valid is the only choice, leave it")
    place = np.flatnonzero((split.labels != UNUSED) & (split.labels <= (VALID if config.on == "valid" else TEST)))
    events = split.data.events.take(place)
    sessions = split.sessions.of_events[place] if split.sessions is not None else place
    of_what = events.user_rows if earlier else sessions
    firsts = np.flatnonzero(np.diff(of_what, prepend=-1))
    first = np.repeat(firsts, np.diff(firsts, append=len(place)))  # where the history of each event begins
    wanted = split.labels[place] == (VALID if config.on == "valid" else TEST)
    if config.predict == "last":
        wanted &= np.diff(sessions, append=-1) != 0
    before = _before(events)
    seen = wanted & (before >= first)
    if not config.repeat:
        wanted &= ~seen
    points = np.flatnonzero(wanted)
    if len(points) == 0:
        raise MatineeError(
            f"no session of data {split.data.name} has an event in {config.on} that its user did not have before; "
            f"choose other ratios than {split.config.ratios}"
        )
    found = events.take(points)
    targets = Histories(np.arange(len(points) + 1), found.item_rows, found.values, found.times, found.user_rows)
    owners = np.unique(found.user_rows, return_inverse=True)[1]
    histories = Prefixes(events, first[points], points, repeats=bool((before >= 0).any()))
    return Task(histories, None, targets, len(split.data.items), 0 if config.repeat else int(seen.sum()), owners)


def _before(events: Events) -> IntArray:
    """The place of the user's event before with the same item, -1 without one. [N]."""
    keys = events.user_rows.astype(np.int64) * (int(events.item_rows.max(initial=0)) + 1) + events.item_rows
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    before = np.full(len(keys), -1, dtype=np.int64)
    before[order[again + 1]] = order[again]
    return before

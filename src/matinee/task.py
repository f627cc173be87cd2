"""Task: what a model is shown, and what it must find, of the users of one part of a split."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import IntArray, starts_of
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.errors import MatineeError
from matinee.histories import Histories, last_of_each


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The B users of a part who have something to be found, and what a model is shown of them.

    histories: their inputs; hidden: what is masked without being shown; targets: each item once with its last value,
    without items that are masked, for those no list can hold; n_seen: how many targets that left out.
    """

    histories: Histories
    hidden: Histories | None
    targets: Histories
    n_items: int
    n_seen: int

    @classmethod
    def of(cls, split: Split, config: EvaluationConfig) -> "Task":
        """The task of a part. Raises MatineeError where nobody has a target."""
        inputs, hidden = split.inputs(config.on, config.inputs), split.hidden(config.on, config.inputs)
        wanted, n_items = split.targets(config.on), len(split.data.items)
        users = np.unique(wanted.user_rows)
        targets = last_of_each(Histories.from_events(wanted, users))
        masked = np.sort(
            np.concatenate([part.user_rows.astype(np.int64) * n_items + part.item_rows for part in (inputs, hidden)])
        )
        keys = users.astype(np.int64)[targets.owners] * n_items + targets.items
        places = np.searchsorted(masked, keys)
        seen = np.append(masked, -1)[places] == keys
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
        masked_only = Histories.from_events(hidden, users[left]) if len(hidden) else None
        return cls(histories, masked_only, fresh, n_items, int(seen.sum()))

    @property
    def user_rows(self) -> IntArray:
        """[B]."""
        return self.targets.user_rows

    @property
    def n_relevant(self) -> IntArray:
        """How many targets each user has, at least one. [B]."""
        return np.diff(self.targets.starts)

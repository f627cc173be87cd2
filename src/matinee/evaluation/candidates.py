"""The candidates that a file has for each user, beside the targets of an evaluation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.arrays import IntArray, starts_of
from matinee.data.candidate_files import Candidates, read_candidates
from matinee.data.splits import Split
from matinee.errors import DataError
from matinee.histories import Histories


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """The candidates of B lists, and what they leave out.

    lists: B rows of items, for the users that have candidates and targets; file: its name; n_without: users with a
    target that have no candidates, so no list; n_idle: users of the file without a target; n_outside: targets that are
    not among their user's candidates, so never listed.
    """

    lists: Histories
    file: str
    n_without: int
    n_idle: int
    n_outside: int

    def to_json(self) -> dict[str, Any]:
        """What a report says of it."""
        counts = self.lists.lengths
        return {
            "file": self.file,
            "users": len(self.lists),
            "least": int(counts.min()),
            "most": int(counts.max()),
            "users_without": self.n_without,
            "users_idle": self.n_idle,
            "targets_outside": self.n_outside,
        }


def sample(path: str, split: Split, targets: Histories, hidden: IntArray) -> Sampled:
    """The candidates of the users with targets. hidden: ascending keys of what lists leave out. [N].

    Raises DataError as `read_candidates`, for a candidate that no list may have, and for a user without a target among
    the candidates.
    """
    found = read_candidates(path, split)
    _require_listable(found, hidden, path, split)
    owners = found.keys // found.n_items  # [N]
    targeted = targets.user_rows.astype(np.int64)[targets.owners] * found.n_items + targets.items
    among = np.isin(targeted, found.keys)
    chosen = np.isin(targets.user_rows, owners)  # [B]
    if not chosen.any():
        raise DataError(f"{path}: none of its {len(np.unique(owners)):,} users has a target; it is for another split")
    missed = targets.user_rows[chosen & (np.bincount(targets.owners[among], minlength=len(targets)) == 0)]
    if len(missed):
        raise DataError(
            f"{path}: no target of user {split.data.users.id(int(missed[0]))} is among the user's candidates "
            f"({len(missed):,} such users), so no list can have a hit; add the targets"
        )
    lists = _lists(found, targets.user_rows[chosen])
    n_outside = int((~among & chosen[targets.owners]).sum())
    n_idle = len(np.setdiff1d(owners, lists.user_rows))
    return Sampled(lists, path, int((~chosen).sum()), n_idle, n_outside)


def _require_listable(found: Candidates, hidden: IntArray, path: str, split: Split) -> None:
    masked = np.flatnonzero(np.isin(found.keys, hidden))
    if len(masked):
        user, item = divmod(int(found.keys[masked[0]]), found.n_items)
        raise DataError(
            f"{path}, {found.locate(int(found.rows[masked[0]]))}: user {split.data.users.id(user)} has seen item "
            f"{split.data.items.id(item)}, and lists leave out what is seen ({len(masked):,} such rows); drop them, or "
            "let lists have seen items (--mask none)"
        )


def _lists(found: Candidates, user_rows: IntArray) -> Histories:
    """The candidates of some users, ascending, as B rows of items."""
    mine = np.flatnonzero(np.isin(found.keys // found.n_items, user_rows))
    users, items = np.divmod(found.keys[mine], found.n_items)
    starts = starts_of(np.searchsorted(user_rows, users), len(user_rows))
    values, times = np.full(len(mine), np.nan, dtype=np.float32), np.zeros(len(mine), dtype=np.int64)
    return Histories(starts, items.astype(np.int32), values, times, user_rows)

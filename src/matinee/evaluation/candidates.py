"""The candidates of each user's list where it is not made of all items: those of a file, or drawn ones."""

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

    lists: B rows of items, for the users that have candidates and targets; file: its name, None if they are drawn;
    n_without: users with a target that have no candidates, so no list; n_idle: users of the file without a target;
    n_outside: targets that are not among their user's candidates, so never listed.
    """

    lists: Histories
    file: str | None
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


def sample(source: str, split: Split, targets: Histories, hidden: IntArray) -> Sampled:
    """The candidates of the users with targets. hidden: ascending keys of what lists leave out. [N].

    source: a file, or a number of items to draw. Raises DataError as `read_candidates`, for a candidate that no list
    may have, and for a user without a target among the candidates.
    """
    return _draw(int(source), split, targets) if source.isdecimal() else _read(source, split, targets, hidden)


def _draw(n: int, split: Split, targets: Histories) -> Sampled:
    """Each user's targets and n items that the user has no event with, in any part; fewer where there are no more.

    They depend on the seed and the parts of the split alone, so every model has the same. Source: He et al. 2017, 4.1.
    """
    rng, known = np.random.default_rng(split.config.seed), Histories.from_events(split.data.events, targets.user_rows)
    rows = []
    for user in range(len(targets)):
        wanted, events = targets.block(user, user + 1).items, np.unique(known.block(user, user + 1).items)
        n_new = len(split.data.items) - len(events)
        ranks = rng.choice(n_new, min(n, n_new), replace=False)  # among the items without events, by their rows
        drawn = ranks + np.searchsorted(events - np.arange(len(events)), ranks, side="right")
        rows.append(np.union1d(wanted, drawn))
    owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Sampled(_as_histories(np.concatenate(rows), owners, targets.user_rows), None, 0, 0, 0)


def _read(path: str, split: Split, targets: Histories, hidden: IntArray) -> Sampled:
    """The candidates that a file has."""
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
    """The candidates of some users as B rows of items."""
    mine = np.flatnonzero(np.isin(found.keys // found.n_items, user_rows))
    users, items = np.divmod(found.keys[mine], found.n_items)
    return _as_histories(items, np.searchsorted(user_rows, users), user_rows)


def _as_histories(items: IntArray, owners: IntArray, user_rows: IntArray) -> Histories:
    """Items, ascending by owner, as B rows without values and times. [N], [N], [B]."""
    values, times = np.full(len(items), np.nan, dtype=np.float32), np.zeros(len(items), dtype=np.int64)
    return Histories(starts_of(owners, len(user_rows)), items.astype(np.int32), values, times, user_rows)

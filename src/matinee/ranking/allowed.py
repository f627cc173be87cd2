"""Which items may be listed: only some, or all but some, by their ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray
from matinee.errors import MatineeError
from matinee.vocab import UNKNOWN, Id, Vocab

N_EXAMPLES = 3
"""Unknown ids named in a note."""


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """mask: [I], whether an item may be listed, None if all may; notes: sentences on unknown ids."""

    mask: BoolArray | None = None
    notes: tuple[str, ...] = ()


ALL = Allowed()


def allow(items: Vocab, among: Sequence[Id] | None = None, without: Sequence[Id] | None = None) -> Allowed:
    """Only the items of `among`, and none of `without`; None restricts nothing.

    Ids that no item has are counted in the notes. Raises MatineeError if nothing is left to list.
    """
    if among is None and without is None:
        return ALL
    mask, notes = np.ones(len(items), dtype=bool), []
    if among is not None:
        rows = items.rows(among)
        if not (rows != UNKNOWN).any():
            raise MatineeError(f"nothing can be listed: {_nothing_known(among)}; leave out among to list all items")
        mask[:] = False
        mask[rows[rows != UNKNOWN]] = True
        notes += unknown_ids("among", among, rows == UNKNOWN)
    if without is not None:
        rows = items.rows(without)
        mask[rows[rows != UNKNOWN]] = False
        notes += unknown_ids("without", without, rows == UNKNOWN)
    if not mask.any():
        raise MatineeError("nothing can be listed: without leaves out every item" + (" of among" if among else ""))
    return Allowed(mask, tuple(notes))


def both(first: BoolArray | None, second: BoolArray | None) -> BoolArray | None:
    """What two masks both allow; None allows all."""
    if first is None or second is None:
        return second if first is None else first
    both_allow: BoolArray = first & second
    return both_allow


def unknown_ids(what: str, ids: Sequence[Id], is_unknown: BoolArray) -> list[str]:
    """A sentence on the ids that are unknown, with examples; none if all are known. is_unknown: [n]."""
    unknown = [str(ids[index]) for index in np.flatnonzero(is_unknown)[:N_EXAMPLES]]
    if not unknown:
        return []
    count = int(is_unknown.sum())
    examples = ", ".join(unknown) + (", ..." if count > len(unknown) else "")
    return [f"{what}: {count:,} of {len(ids):,} ids are unknown and skipped ({examples})"]


def _nothing_known(among: Sequence[Id]) -> str:
    return f"none of the {len(among):,} ids of among is an item ({among[0]}, ...)" if len(among) else "among has no ids"

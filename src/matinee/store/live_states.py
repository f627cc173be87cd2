"""The state of one user from the rows of their newest events: read once, and then only what is new.

A row is (item_id, kind, value, at, seq). States are made from the newest MOST_LIVE_EVENTS rows of a user, clicks
included, so that one who has sent 60,000 costs no more than one with so many.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Select, bindparam, func, select

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, last_of_each
from matinee.store.prepared import PARAMETER, PreparedQuery
from matinee.store.protocols import FLAG_PAIRS, FLAGS, Activity, Kind, LiveEvent
from matinee.store.tables import events_table
from matinee.vocab import UNKNOWN, Vocab

MOST_LIVE_EVENTS = 3_000
"""The longest history of MovieLens 1M has 2,314."""
LATEST = 64
"""Events that are read where a known user did something since; if all of them are new, everything is read again."""

Row = tuple[str, Kind, float, int, int]
Values = Callable[[Sequence[Kind], Sequence[float]], FloatArray]
_event = events_table.c


def _newest(n: int, *columns: Any) -> Select[Any]:  # noqa: ANN401 - SQLAlchemy's columns
    query = select(*columns).where(_event.user_id == bindparam(PARAMETER))
    return query.order_by(_event.at.desc(), _event.seq.desc()).limit(n)


_COLUMNS = (_event.item_id, _event.kind, _event.value, _event.at, _event.seq)
_seqs = _newest(MOST_LIVE_EVENTS, _event.seq).subquery().c
MARK = PreparedQuery(select(func.count(_seqs.seq), func.max(_seqs.seq), func.sum(_seqs.seq)))
"""Tells whether the rows of a user changed, read from the index alone: their number, the highest and the sum of their
sequence numbers. A number is never given twice, so events that are added, deleted or moved change it."""
NEWEST_ROWS, LATEST_ROWS = (PreparedQuery(_newest(n, *_COLUMNS)) for n in (MOST_LIVE_EVENTS, LATEST))
"""The newest rows of a user, newest first."""


def with_latest(known: Sequence[Row], latest: Sequence[Row], mark: tuple[Any, ...]) -> list[Row] | None:
    """The rows of a user, oldest first, from those known before and the latest ones; None if more than that changed.

    mark: of all rows now. latest: newest first.
    """
    newest_known = max((row[4] for row in known), default=0)
    fresh = [row for row in latest if row[4] > newest_known]
    rows = sorted([*known, *fresh], key=lambda row: row[3:])[-MOST_LIVE_EVENTS:]
    seqs = [row[4] for row in rows]
    return rows if (len(seqs), max(seqs, default=None), sum(seqs)) == tuple(mark) else None


class StateMaker:
    """Makes states. history_kinds: the kinds of events that are history; values: of events, from kinds and stars."""

    def __init__(self, items: Vocab, users: Vocab | None, history_kinds: Sequence[Kind], values: Values) -> None:
        self._items, self._users, self._values = items, users, values
        self._history_kinds = frozenset(history_kinds)
        self._row_of = {str(item_id): row for row, item_id in enumerate(items.ids.tolist())}

    def make(self, user_id: str, rows: Sequence[Row]) -> Activity:
        """The state of a user from their rows, oldest first."""
        past = [row for row in rows if row[1] in self._history_kinds]
        indices = {row[0]: index for index, row in enumerate(past)}  # of the last event with each item
        chosen = [past[index] for index in sorted(indices.values())]
        item_rows = self._rows_of([row[0] for row in chosen])
        known = item_rows != UNKNOWN
        whole = Histories(
            np.array([0, int(known.sum())]),
            item_rows[known],
            self._values([row[1] for row in chosen], [row[2] for row in chosen])[known],
            np.array([row[3] for row in chosen], dtype=np.int64)[known],
            np.full(1, UNKNOWN, dtype=np.int32) if self._users is None else self._users.rows([user_id]),
        )
        is_unique = len(set(whole.items.tolist())) == len(whole.items)  # not where two texts name an item: 7 and 07
        flags = [row for row in rows if row[1] in FLAGS]
        dismissed, saved = (self._flagged(flags, *pair) for pair in FLAG_PAIRS)
        return Activity(
            whole if is_unique else last_of_each(whole),
            item_rows[::-1],
            dismissed,
            lambda: tuple(LiveEvent(user_id, *row[:4]) for row in reversed(chosen)),
            saved[::-1],
        )

    def _flagged(self, rows: Sequence[Row], flag: Kind, undo: Kind) -> IntArray:
        """The rows of the items whose last event of two kinds is the flag, in the order in which they got it. [F]."""
        flags: dict[str, Kind] = {}
        for item_id, kind, *_ in rows:
            if kind in (flag, undo) and flags.get(item_id) != kind:
                flags.pop(item_id, None)
                flags[item_id] = kind
        found = self._rows_of([item_id for item_id, kind in flags.items() if kind == flag])
        known: IntArray = found[found != UNKNOWN]
        return known

    def _rows_of(self, item_ids: Sequence[str]) -> IntArray:
        try:
            return np.array([self._row_of[item_id] for item_id in item_ids], dtype=np.int32)
        except KeyError:  # an item that the log does not know, or another way to write its id
            return self._items.rows(item_ids)

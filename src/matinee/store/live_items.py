"""Items that are added, changed or withdrawn while the site runs, in a SQL database.

A row is never deleted, and each change adds one to its count of changes: their sum is a version that grows with every
commit, whichever of several processes makes it. An item's arrival is above that of all that were there before it, and
stays when the item changes.
"""

from collections.abc import Collection

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveItem
from matinee.store.tables import live_items_table

MAX_IDS = 500
"""Ids of one statement."""
_item = live_items_table.c
_LIVE_ITEMS = select(_item.item_id, _item.about, _item.fingerprint, _item.at, _item.withdrawn)
_IN_ORDER = (_item.arrival, _item.item_id)


class SqlLiveItems:
    """A LiveItemBook in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def put(self, item: LiveItem) -> bool:
        """See LiveItemBook."""
        try:
            return self._put(item)
        except IntegrityError:  # another process inserted it between the two statements
            return self._put(item)

    def version(self) -> int:
        """See LiveItemBook."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(_item.changes), 0))).scalar_one())

    def all(self) -> list[LiveItem]:
        """See LiveItemBook."""
        with self._database.read() as connection:
            return [LiveItem(*row) for row in connection.execute(_LIVE_ITEMS.order_by(*_IN_ORDER))]

    def changes(self) -> dict[str, int]:
        """See LiveItemBook."""
        with self._database.read() as connection:
            rows = connection.execute(select(_item.item_id, _item.changes).order_by(*_IN_ORDER))
            return {item_id: changes for item_id, changes in rows}

    def some(self, item_ids: Collection[str]) -> list[LiveItem]:
        """See LiveItemBook."""
        ids = list(item_ids)
        with self._database.read() as connection:
            return [
                LiveItem(*row)
                for start in range(0, len(ids), MAX_IDS)
                for row in connection.execute(_LIVE_ITEMS.where(_item.item_id.in_(ids[start : start + MAX_IDS])))
            ]

    def get(self, item_id: str) -> LiveItem | None:
        """See LiveItemBook."""
        return next(iter(self.some([item_id])), None)

    def _put(self, item: LiveItem) -> bool:
        values = {
            "withdrawn": item.withdrawn,
            "about": dict(item.about),
            "fingerprint": item.fingerprint,
            "at": item.at,
        }
        is_it = _item.item_id == item.item_id
        with self._database.write() as connection:
            was_withdrawn = connection.execute(select(_item.withdrawn).where(is_it).with_for_update()).scalar()
            if was_withdrawn is None:
                last = connection.execute(select(func.coalesce(func.max(_item.arrival), 0))).scalar_one()
                values |= {"item_id": item.item_id, "changes": 1, "arrival": last + 1}
                connection.execute(insert(live_items_table).values(values))
            else:
                connection.execute(update(live_items_table).where(is_it).values(changes=_item.changes + 1, **values))
        return was_withdrawn is None or bool(was_withdrawn)

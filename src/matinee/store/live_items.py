"""Items that are added, changed or withdrawn while the site runs, in a SQL database.

A row is never deleted, and each change adds one to its count of changes: their sum is a version that grows with every
commit, whichever of several processes makes it.
"""

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveItem
from matinee.store.tables import live_items_table

_item = live_items_table.c


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
        columns = (_item.item_id, _item.about, _item.fingerprint, _item.at, _item.withdrawn)
        with self._database.read() as connection:
            return [LiveItem(*row) for row in connection.execute(select(*columns).order_by(_item.item_id))]

    def get(self, item_id: str) -> LiveItem | None:
        """See LiveItemBook."""
        columns = (_item.item_id, _item.about, _item.fingerprint, _item.at, _item.withdrawn)
        with self._database.read() as connection:
            row = connection.execute(select(*columns).where(_item.item_id == item_id)).one_or_none()
        return LiveItem(*row) if row else None

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
                connection.execute(insert(live_items_table).values(item_id=item.item_id, changes=1, **values))
            else:
                connection.execute(update(live_items_table).where(is_it).values(changes=_item.changes + 1, **values))
        return was_withdrawn is None or bool(was_withdrawn)

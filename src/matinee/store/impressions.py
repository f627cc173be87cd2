"""The lists that were shown, in a SQL database: one row for each, written before the page is sent."""

from collections.abc import Sequence

from sqlalchemy import insert, select

from matinee.store.protocols import ShownList
from matinee.store.sql import SqlDatabase, lists_table

_list = lists_table.c


class SqlLists:
    """A ListLog in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def write(self, lists: Sequence[ShownList]) -> None:
        """See ListLog."""
        if not lists:
            return
        with self._database.write() as connection:
            connection.execute(insert(lists_table), [_values(shown) for shown in lists])

    def find(self, list_id: str) -> ShownList | None:
        """See ListLog."""
        with self._database.read() as connection:
            row = connection.execute(select(lists_table).where(_list.list_id == list_id)).first()
        if row is None:
            return None
        return ShownList(row.list_id, row.user_id, row.name, row.model, row.version, row.at, tuple(row.items))


def _values(shown: ShownList) -> dict[str, object]:
    return {
        "list_id": shown.list_id,
        "user_id": str(shown.user_id),
        "name": shown.name,
        "model": shown.model,
        "version": shown.version,
        "at": shown.at,
        "items": list(shown.item_ids),
    }

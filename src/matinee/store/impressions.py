"""The impression log in a SQL database: one row for each list shown, written before the page is sent."""

from collections.abc import Sequence

from sqlalchemy import insert, select

from matinee.store.database import SqlDatabase
from matinee.store.protocols import ListImpression
from matinee.store.tables import lists_table

_list = lists_table.c


class SqlImpressions:
    """An ImpressionLog in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def write(self, lists: Sequence[ListImpression]) -> None:
        """See ImpressionLog."""
        if not lists:
            return
        with self._database.write() as connection:
            connection.execute(insert(lists_table), [_values(impression) for impression in lists])

    def find(self, list_id: str) -> ListImpression | None:
        """See ImpressionLog."""
        with self._database.read() as connection:
            row = connection.execute(select(lists_table).where(_list.list_id == list_id)).first()
        if row is None:
            return None
        return ListImpression(row.list_id, row.user_id, row.name, row.model, row.version, row.at, tuple(row.items))


def _values(impression: ListImpression) -> dict[str, object]:
    return {
        "list_id": impression.list_id,
        "user_id": str(impression.user_id),
        "name": impression.name,
        "model": impression.model,
        "version": impression.version,
        "at": impression.at,
        "items": list(impression.item_ids),
    }

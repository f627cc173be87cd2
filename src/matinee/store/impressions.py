"""The impression log in a SQL database: one row for each list shown, written after the page is sent."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select

from matinee.store.database import SqlDatabase
from matinee.store.protocols import ListImpression
from matinee.store.tables import lists_table
from matinee.vocab import Id

_list = lists_table.c
_INSERT = insert(lists_table)


class SqlImpressions:
    """An ImpressionLog in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def write(self, lists: Sequence[ListImpression]) -> None:
        """See ImpressionLog."""
        self._database.later.add(_INSERT, [_values(impression) for impression in lists])

    def find(self, list_id: str) -> ListImpression | None:
        """See ImpressionLog."""
        waiting = self._database.later.find("list_id", list_id)
        if waiting is not None:
            return _impression(**waiting)
        with self._database.read() as connection:
            row = connection.execute(select(lists_table).where(_list.list_id == list_id)).first()
        return None if row is None else _impression(**row._mapping)


def _impression(*, items: Sequence[Id], **columns: Any) -> ListImpression:  # noqa: ANN401 - as in the table
    return ListImpression(**columns, item_ids=tuple(items))


def _values(impression: ListImpression) -> dict[str, Any]:
    return {
        "list_id": impression.list_id,
        "user_id": str(impression.user_id),
        "name": impression.name,
        "model": impression.model,
        "version": impression.version,
        "at": impression.at,
        "items": list(impression.item_ids),
        "experiment": impression.experiment,
        "arm": impression.arm,
    }

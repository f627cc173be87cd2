"""Lists that are kept for a while as they were made, to be read page by page."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from matinee.histories import Instant
from matinee.store.database import SqlDatabase
from matinee.store.tables import kept_lists_table

REMEMBERED = 86_400
"""Seconds for which an expired list is still known to have been one."""
_kept = kept_lists_table.c


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list as it was made. user_id: whose it is, empty for nobody's; about: as the API answers it, ready for JSON."""

    list_id: str
    user_id: str
    expires: Instant
    about: dict[str, Any]


class SqlKeptLists:
    """Kept lists in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def keep(self, one: KeptList, now: Instant) -> None:
        """Keep a list; a power cut may lose it. Raises NotKept if the database refuses it."""
        with self._database.write(synced=False) as connection:
            connection.execute(delete(kept_lists_table).where(_kept.expires < now - REMEMBERED))
            row = {"list_id": one.list_id, "user_id": one.user_id, "expires": one.expires, "about": one.about}
            connection.execute(insert(kept_lists_table).values(row))

    def find(self, list_id: str) -> KeptList | None:
        """The list of an id, expired or not; None for an unknown one."""
        with self._database.read() as connection:
            row = connection.execute(select(kept_lists_table).where(_kept.list_id == list_id)).first()
        return None if row is None else KeptList(**row._mapping)

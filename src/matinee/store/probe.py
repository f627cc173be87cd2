"""A row that is written to see whether a database can be written again."""

from sqlalchemy import Connection, delete, insert

from matinee.store.tables import lists_table

NAME = "write probe"
SIZE = 100_000
"""Characters: more than what the first events after a full disk need."""


def try_to_write(connection: Connection) -> None:
    """Replace the probe, one row of `lists` that belongs to nobody. Fails where the database cannot be written."""
    connection.execute(delete(lists_table).where(lists_table.c.list_id == NAME))
    row = {"list_id": NAME, "user_id": "", "name": NAME, "model": "", "version": "", "at": 0, "items": ["x" * SIZE]}
    connection.execute(insert(lists_table).values(row))

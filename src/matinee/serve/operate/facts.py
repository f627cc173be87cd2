"""What the database says of the log: how new it is, and how far its consumers are."""

from sqlalchemy import select

from matinee.serve.metrics import StoreFacts
from matinee.store.database import SqlDatabase
from matinee.store.tables import events_table

_event = events_table.c


def facts_of(database: SqlDatabase) -> StoreFacts:
    """The facts now, in queries that do not grow with the log."""
    newest = select(_event.at).order_by(_event.seq.desc()).limit(1)
    with database.read() as connection:
        at = connection.execute(newest).scalar()
    return StoreFacts(at, {})

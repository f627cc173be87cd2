"""What the database says of the log: how new it is, and how far its consumers are."""

from sqlalchemy import select

from matinee.serve.metrics import StoreFacts
from matinee.store.database import SqlDatabase
from matinee.store.streams.sql import consumer_states
from matinee.store.tables import events_table

_event = events_table.c


def facts_of(database: SqlDatabase) -> StoreFacts:
    """The facts now. The queries grow with what consumers have not read yet, and with nothing else of the log.

    Raises MatineeError or SQLAlchemyError if the database cannot be read.
    """
    newest = select(_event.at).order_by(_event.seq.desc()).limit(1)
    with database.read() as connection:
        at = connection.execute(newest).scalar()
    return StoreFacts(at, {state.consumer: state.lag for state in consumer_states(database)})

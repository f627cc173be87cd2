"""The version of a database's tables, and the steps from an older one.

A new table needs no step: it is made where it is missing. A change to a table that is there does: add its function to
STEPS, which runs once in each database, in the transaction that notes the new version.
"""

from collections.abc import Callable

from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, inspect, select, text, update

from matinee.errors import MatineeError
from matinee.renamed import EVENT_KINDS


def _events_have_a_version(connection: Connection) -> None:
    """1 to 2: which fit of its model an event's list came from."""
    connection.execute(text("ALTER TABLE events ADD COLUMN version VARCHAR(40)"))


def _events_say_dismissed(connection: Connection) -> None:
    """2 to 3: new names for the kinds of "not interested" and its undo."""
    for old, new in EVENT_KINDS.items():
        connection.execute(text("UPDATE events SET kind = :new WHERE kind = :old"), {"old": old, "new": new})


STEPS: tuple[Callable[[Connection], None], ...] = (_events_have_a_version, _events_say_dismissed)
"""From version 1 to 2, from 2 to 3, and so on."""
CURRENT = 1 + len(STEPS)

_version_table = Table("schema_version", MetaData(), Column("version", Integer, nullable=False))


def bring_up_to_date(connection: Connection, metadata: MetaData) -> None:
    """Make the tables that are missing, and lead those that are there to the present version.

    Raises MatineeError for a database that a newer Matinee has written.
    """
    there = set(inspect(connection).get_table_names())
    found = version_of(connection, there)
    if found > CURRENT:
        raise MatineeError(
            f"the database has tables of version {found}, this Matinee reads {CURRENT}: it was written by a newer one; "
            "update Matinee, or give another --db"
        )
    for step in STEPS[found - 1 :]:
        step(connection)
    metadata.create_all(connection)
    _version_table.metadata.create_all(connection)
    if _version_table.name not in there:
        connection.execute(insert(_version_table).values(version=CURRENT))
    elif found < CURRENT:
        connection.execute(update(_version_table).values(version=CURRENT))


def version_of(connection: Connection, tables: set[str]) -> int:
    """The noted version; 1 for the first databases, which noted none; the present one where there is nothing yet."""
    if _version_table.name in tables:
        return int(connection.execute(select(_version_table.c.version)).scalar_one())
    return 1 if "events" in tables else CURRENT

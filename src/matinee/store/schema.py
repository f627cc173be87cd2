"""The schema version of a database, and migrations from older versions.

A new table needs no migration, because missing tables are created. A change to an existing table does: append its
function to MIGRATIONS; it runs once per database, in the transaction that stores the new version.
"""

from collections.abc import Callable

from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, inspect, select, text, update

from matinee.errors import MatineeError
from matinee.renamed import EVENT_KINDS


def _add_version_to_events(connection: Connection) -> None:
    """1 to 2: a column for the version of the artefact behind an event's list."""
    connection.execute(text("ALTER TABLE events ADD COLUMN version VARCHAR(40)"))


def _rename_event_kinds(connection: Connection) -> None:
    """2 to 3: new names for the kinds of "not interested" and its undo."""
    for old, new in EVENT_KINDS.items():
        connection.execute(text("UPDATE events SET kind = :new WHERE kind = :old"), {"old": old, "new": new})


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_add_version_to_events, _rename_event_kinds)
"""From version 1 to 2, from 2 to 3, and so on."""
CURRENT = 1 + len(MIGRATIONS)

_version_table = Table("schema_version", MetaData(), Column("version", Integer, nullable=False))


def upgrade(connection: Connection, metadata: MetaData) -> None:
    """Create missing tables and migrate existing ones to the current version.

    Raises MatineeError if the database was written by a newer Matinee.
    """
    existing = set(inspect(connection).get_table_names())
    version = version_of(connection, existing)
    if version > CURRENT:
        raise MatineeError(
            f"the database has schema version {version}, this Matinee reads {CURRENT}: a newer one has written it; "
            "update Matinee, or give another --db"
        )
    for migrate in MIGRATIONS[version - 1 :]:
        migrate(connection)
    metadata.create_all(connection)
    _version_table.metadata.create_all(connection)
    if _version_table.name not in existing:
        connection.execute(insert(_version_table).values(version=CURRENT))
    elif version < CURRENT:
        connection.execute(update(_version_table).values(version=CURRENT))


def version_of(connection: Connection, tables: set[str]) -> int:
    """The stored version; 1 for the first databases, which stored none; CURRENT for an empty database."""
    if _version_table.name in tables:
        return int(connection.execute(select(_version_table.c.version)).scalar_one())
    return 1 if "events" in tables else CURRENT

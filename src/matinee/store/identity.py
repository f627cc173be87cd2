"""Whose database it is: an id of its own, and a sample of the catalogue of the site that writes to it.

Both are noted when a site first opens a database. A site of another catalogue does not start over it, and a file that
is written over while the site runs no longer has the id.
"""

import secrets
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, delete, insert, select

from matinee.errors import MatineeError
from matinee.store.artefact import Artefact
from matinee.store.compatible import CatalogueSample, difference
from matinee.store.database import SqlDatabase
from matinee.store.protocols import NotKept
from matinee.store.tables import events_table, identity_table
from matinee.vocab import UNKNOWN

SAMPLE = 300
"""Items of a catalogue that are noted with their titles."""
RECENT, FEWEST = 1000, 20
"""Events of a database without a note that are looked at, and how few of them say nothing."""


def settle(database: SqlDatabase, artefact: Artefact) -> None:
    """Note that a database is of the catalogue of an artefact, and from now on watch that it stays this database.

    Sites that start at the same moment note the same id. A database that cannot be written now is noted, and watched,
    from the next start on. A catalogue may grow and shrink: the note follows it from start to start.

    Raises MatineeError if the database is of another catalogue.
    """
    with database.read() as connection:
        found = _checked(connection, database, artefact)
    database_id = found.database_id if found else None
    if found is None or found.catalogue != _noted(artefact):
        database_id = _note(database, artefact) or database_id
    if database_id is not None:
        database.watch(database_id)


def _note(database: SqlDatabase, artefact: Artefact) -> str | None:
    """Write the note of a catalogue. Returns the id of the database, None if it cannot be written now."""
    try:
        with database.write() as connection:
            found = _checked(connection, database, artefact)  # another site may have started meanwhile
            database_id: str = found.database_id if found else secrets.token_hex(16)
            connection.execute(delete(identity_table))
            connection.execute(insert(identity_table).values(database_id=database_id, catalogue=_noted(artefact)))
    except NotKept:
        return None
    return database_id


def _checked(connection: Connection, database: SqlDatabase, artefact: Artefact) -> Row[Any] | None:
    """The note of a database, None without one. Raises MatineeError if it is of another catalogue."""
    found = connection.execute(select(identity_table)).first()
    problem = _problem(found.catalogue, artefact) if found else _problem_of_events(connection, artefact)
    if problem:
        raise MatineeError(
            f"the database {database.name} is of another catalogue than {artefact.path or artefact.name}: {problem}; "
            "give this site a --db of its own"
        )
    return found


def _noted(artefact: Artefact) -> dict[str, Any]:
    """What is noted of a catalogue, ready for JSON: titles by id, evenly over its items."""
    rows = np.unique(np.linspace(0, len(artefact.items) - 1, SAMPLE).astype(np.int64)).tolist()
    titles = {str(artefact.items.id(row)): artefact.catalogue.titles[row][:100] for row in rows}
    kind = artefact.manifest.get("kind", "rating")
    return {"kind": kind, "numeric": bool(artefact.items.numeric), "items": len(artefact.items), "titles": titles}


def _problem(noted: dict[str, Any], artefact: Artefact) -> str:
    """In what an artefact differs from what is noted, empty if in nothing that matters."""
    titles: dict[str, str] = noted["titles"]
    return difference(artefact, CatalogueSample(noted["kind"], noted["numeric"], list(titles), list(titles.values())))


def _problem_of_events(connection: Connection, artefact: Artefact) -> str:
    """Why the newest events of a database without a note cannot be of an artefact's catalogue, empty if they can."""
    newest = select(events_table.c.item_id).order_by(events_table.c.seq.desc()).limit(RECENT)
    items = connection.execute(newest).scalars().all()
    if len(items) < FEWEST or (artefact.items.rows(list(items)) != UNKNOWN).any():
        return ""
    return f"none of its {len(items):,} newest events is of a known item"

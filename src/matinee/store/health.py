"""The health of a database, checked without writing to it."""

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, func, inspect, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from matinee.errors import MatineeError
from matinee.store import servers
from matinee.store.database import reason_of
from matinee.store.migrations import newest, version_of
from matinee.store.sqlite import is_sqlite
from matinee.store.tables import events_table, members_table
from matinee.store.urls import missing_driver, parse_url, without_password


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """ok: whether the site can use the database; found: its state in words; fix: what to do if it is not ok."""

    ok: bool
    found: str
    fix: str = ""


def check_database(url: str) -> DatabaseHealth:
    """Check the database at a URL."""
    try:
        parsed = parse_url(url)
    except MatineeError as error:
        found, _, fix = str(error).partition("; ")
        return DatabaseHealth(False, found, fix)
    name, sqlite = without_password(parsed), is_sqlite(parsed)
    if sqlite and not Path(str(parsed.database)).is_file():
        return _missing_file(Path(str(parsed.database)))
    try:
        engine = create_engine(_read_only(parsed), hide_parameters=True) if sqlite else servers.connect(parsed)
        try:
            with engine.connect() as connection:
                return _inspect(connection, name, sqlite)
        finally:
            engine.dispose()
    except ImportError as error:
        found, _, fix = str(missing_driver(parsed, error)).partition("; ")
        return DatabaseHealth(False, found, fix)
    except (SQLAlchemyError, MatineeError, OSError) as error:
        fix = "move the file away (a new one is created) and restore a backup, or give another --db"
        return DatabaseHealth(
            False, f"{name}: {reason_of(error, parsed)}", fix if sqlite else "start the server, or check --db"
        )


def _missing_file(path: Path) -> DatabaseHealth:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    writable = folder.is_dir() and os.access(folder, os.W_OK)
    found = f"none yet at {path}; the site creates it on start" if writable else f"{folder} is not writable"
    return DatabaseHealth(writable, found, "make the folder writable, or give another --db")


def _inspect(connection: Connection, name: str, sqlite: bool) -> DatabaseHealth:
    if sqlite:
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if verdict != "ok":
            damage = " ".join(str(verdict).split())
            return DatabaseHealth(False, f"{name} is damaged: {damage}", "restore a backup, or give another --db")
    tables = set(inspect(connection).get_table_names())
    version = version_of(connection)
    if version is not None and version > newest():
        found = f"{name} was written by a newer Matinee (schema version {version})"
        return DatabaseHealth(False, found, "update Matinee")
    if events_table.name not in tables:
        return DatabaseHealth(True, f"{name}: empty; the site creates its tables on start")
    counts = [select(func.count()).select_from(events_table)]
    counts += [select(func.count()).select_from(members_table)] if members_table.name in tables else []
    n_events, *n_members = (connection.execute(query).scalar() or 0 for query in counts)
    old = "" if version == newest() else f"; schema version {version}, which the site upgrades to {newest()} on start"
    return DatabaseHealth(True, f"{name}: {n_events:,} events, {n_members[0] if n_members else 0:,} members{old}")


def _read_only(url: URL) -> URL:
    path = Path(str(url.database)).absolute().as_uri()
    return url.set(database=path, query={"mode": "ro", "uri": "true"})

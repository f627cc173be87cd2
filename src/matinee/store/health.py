"""How a database is, found out without writing to it."""

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, func, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from matinee.errors import MatineeError
from matinee.store.accounts import members_table
from matinee.store.schema import CURRENT, version_of
from matinee.store.sql import events_table


@dataclass(frozen=True, slots=True)
class Checkup:
    """well: whether the site can use it; mend: what to do where it cannot."""

    well: bool
    found: str
    mend: str = ""


def check_up(url: str) -> Checkup:
    """The state of the database behind a URL."""
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
        parsed.get_dialect()
        sqlite = parsed.get_backend_name() == "sqlite"
    except (ArgumentError, NoSuchModuleError):
        return Checkup(False, f"{url!r} is no database URL", "for example --db sqlite:///matinee.sqlite3")
    shown = parsed.render_as_string(hide_password=True)
    if sqlite and not Path(str(parsed.database)).is_file():
        return _not_there(Path(str(parsed.database)))
    try:
        engine = create_engine(_read_only(parsed) if sqlite else parsed, hide_parameters=True)
        try:
            with engine.connect() as connection:
                return _look(connection, shown, sqlite)
        finally:
            engine.dispose()
    except ImportError as error:
        return Checkup(False, f"the driver of {parsed.drivername} is not installed: {error}", "pip install it")
    except (SQLAlchemyError, MatineeError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        mend = "move the file away (a new one is made) and bring back a copy of it, or give another --db"
        return Checkup(False, f"{shown}: {reason}", mend if sqlite else "start the server, or check --db")


def _not_there(path: Path) -> Checkup:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    writable = folder.is_dir() and os.access(folder, os.W_OK)
    found = f"none yet at {path}; it is made when the site starts" if writable else f"{folder} cannot be written to"
    return Checkup(writable, found, "make the folder writable, or give another --db")


def _look(connection: Connection, shown: str, sqlite: bool) -> Checkup:
    if sqlite:
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if verdict != "ok":
            told = " ".join(str(verdict).split())
            return Checkup(False, f"{shown} is damaged: {told}", "bring back a copy of it, or give another --db")
    tables = set(inspect(connection).get_table_names())
    version = version_of(connection, tables)
    if version > CURRENT:
        return Checkup(False, f"{shown} was written by a newer Matinee (tables of version {version})", "update Matinee")
    if events_table.name not in tables:
        return Checkup(True, f"{shown}: empty; its tables are made when the site starts")
    counted = [select(func.count()).select_from(events_table)]
    counted += [select(func.count()).select_from(members_table)] if members_table.name in tables else []
    n_events, *n_members = (connection.execute(query).scalar() or 0 for query in counted)
    old = "" if version == CURRENT else f"; tables of version {version}, brought to {CURRENT} when the site starts"
    return Checkup(True, f"{shown}: {n_events:,} events, {n_members[0] if n_members else 0:,} members{old}")


def _read_only(url: URL) -> URL:
    path = Path(str(url.database)).absolute().as_uri()
    return url.set(database=path, query={"mode": "ro", "uri": "true"})

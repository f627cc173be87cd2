"""Bringing a database to another version of the schema, by Alembic's steps in `versions/`, one process at a time.

An empty database gets the newest tables at once and the newest number; a test holds that the steps lead to the same.
A database from before Alembic, which had its number in a table of its own or none, starts from that number.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Inspector, Integer, MetaData, Table, inspect, select, text

from matinee.errors import MatineeError
from matinee.store.tables import metadata

FOLDER = Path(__file__).parent
LOCK_SECONDS = 60
"""How long a process waits for another one that migrates the same database."""
FIRST_BY_ALEMBIC = 4
"""The first version whose number Alembic keeps."""
number_before_alembic = Table("schema_version", MetaData(), Column("version", Integer, nullable=False))
"""Read by older versions of Matinee, which refuse a database with a higher number than theirs."""


@cache
def newest() -> int:
    """The version to which the last step leads."""
    return max(int(path.stem.removeprefix("step_")) for path in (FOLDER / "versions").glob("step_*.py"))


def upgrade(connection: Connection) -> None:
    """Bring a database to the newest version, in the connection's transaction. One that has it is only read.

    Raises MatineeError if the database was written by a newer Matinee, or another process migrates it for too long.
    """
    version = require_readable(connection)
    if version == newest():
        return
    _lock(connection)
    try:
        version = version_of(connection)  # again: another process may have done it in the meantime
        if version is None:
            metadata.create_all(connection)
            command.stamp(_config(connection), str(newest()))
            _number_for_older(connection)
        elif version < newest():
            _adopt(connection, version)
            command.upgrade(_config(connection), "head")
    finally:
        _unlock(connection)


def downgrade(connection: Connection, version: int) -> None:
    """Bring a database back to a version of an older Matinee, with its data. Raises MatineeError as `upgrade`."""
    if not 1 <= version <= newest():
        raise MatineeError(f"there is no schema version {version}; they are 1 to {newest()}")
    _lock(connection)
    try:
        command.downgrade(_config(connection), str(version))
    finally:
        _unlock(connection)


def require_readable(connection: Connection) -> int | None:
    """The version of a database, None for an empty one. Raises MatineeError if a newer Matinee has written it."""
    version = version_of(connection)
    if version is not None and version > newest():
        raise MatineeError(
            f"the database has schema version {version}, this Matinee reads {newest()}: a newer one has written it; "
            "update Matinee, or give another --db"
        )
    return version


def version_of(connection: Connection) -> int | None:
    """The version of a database; 1 for the first ones, which stored none; None for an empty one."""
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if "alembic_version" in tables:
        by_alembic = MigrationContext.configure(connection).get_current_revision()
        if by_alembic is not None:
            return _as_number(by_alembic)
    return _before_alembic(connection, inspector, tables)


def _as_number(revision: str) -> int:
    if not revision.isdecimal():
        raise MatineeError(f"the database belongs to another application (Alembic's {revision!r}); give another --db")
    return int(revision)


def _before_alembic(connection: Connection, inspector: Inspector, tables: set[str]) -> int | None:
    if number_before_alembic.name in tables:
        number = connection.execute(select(number_before_alembic.c.version)).scalar()
        if number is not None:
            return int(number)
    is_first = "events" in tables and all(column["name"] != "version" for column in inspector.get_columns("events"))
    return 1 if is_first else None  # tables of today without a number: MariaDB was killed while it made them


def _adopt(connection: Connection, version: int) -> None:
    """Let Alembic keep the number of a database that has it in a table of its own, or none."""
    if version < FIRST_BY_ALEMBIC and MigrationContext.configure(connection).get_current_revision() is None:
        command.stamp(_config(connection), str(version))


def _number_for_older(connection: Connection) -> None:
    """Let a Matinee from before Alembic refuse this database, instead of migrating it again."""
    number_before_alembic.create(connection, checkfirst=True)
    connection.execute(number_before_alembic.delete())
    connection.execute(number_before_alembic.insert().values(version=FIRST_BY_ALEMBIC))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _lock(connection: Connection) -> None:
    """Keep other processes from migrating. SQLite's writer has its lock; MariaDB commits at each change of a table.

    Raises MatineeError if another process holds the lock for too long.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('matinee schema'))"))
    elif connection.dialect.name in ("mysql", "mariadb"):
        name = {"wait": LOCK_SECONDS}
        locked = connection.execute(text(f"SELECT GET_LOCK({_MYSQL_LOCK}, :wait)"), name).scalar()
        if locked != 1:
            raise MatineeError(f"another process has been migrating the database for {LOCK_SECONDS} s; try again later")


def _unlock(connection: Connection) -> None:
    """Let other processes migrate; PostgreSQL and SQLite do at the end of the transaction."""
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.execute(text(f"SELECT RELEASE_LOCK({_MYSQL_LOCK})"))


_MYSQL_LOCK = "CONCAT('matinee ', MD5(DATABASE()))"
"""Names are the server's, not the database's."""

"""What is particular to SQLite: its file, its settings, and how a transaction that writes begins."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

from matinee.errors import MatineeError

BUSY_SECONDS = 5
"""How long a writer waits for the transaction of another process."""


def is_sqlite(url: URL) -> bool:
    """Whether a URL names a SQLite database."""
    return url.get_backend_name() == "sqlite"


def prepare_file(url: URL) -> None:
    """Create the file of a database, and its folder, if they are missing. Only the owner may read it.

    Raises MatineeError for a database in memory and for a folder that cannot be created.
    """
    if url.database in (None, "", ":memory:"):
        raise MatineeError("a SQLite database in memory cannot be shared; name a file: --db sqlite:///matinee.sqlite3")
    path = Path(str(url.database))
    folder = path.absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MatineeError(f"the folder {folder} cannot be created ({error.strerror}); check --db") from None
    _make_private(path)


def configure(engine: Engine, *, writes: bool) -> None:
    """Set up the connections of an engine. writes: whether its transactions take the write lock as they begin."""
    event.listen(engine, "connect", _set_pragmas)
    if writes:
        event.listen(engine, "connect", _disable_autobegin)
        event.listen(engine, "begin", _begin_immediate)


def _make_private(path: Path) -> None:
    """Let only the owner read a database: SQLite gives its log and its index the mode of the file.

    One that exists is never opened for this: closing it would drop the locks that this process holds on it.
    """
    with suppress(OSError):  # said when the database is opened
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            if (file := path.with_name(name)).is_file():
                file.chmod(0o600)


def _set_pragmas(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # safe with WAL: a power failure may lose the last transactions but never corrupts the file
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _disable_autobegin(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # wait for the write lock now, not in mid-transaction

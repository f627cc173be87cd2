"""What is particular to SQLite: its file, its settings, and how a transaction that writes begins."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

from matinee.errors import MatineeError

BUSY_SECONDS = 5
"""How long a writer waits for the transaction of another process."""
SYNCED, WAITS = "matinee_synced", "matinee_waits"
"""Execution options of a transaction: whether its commit waits until the disk has it (without, a power cut may lose it,
but nothing is damaged), and whether it waits for other processes."""


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
        _make_folder(folder)
    except OSError as error:
        raise MatineeError(f"the folder {folder} cannot be created ({error.strerror}); check --db") from None
    _make_private(path)


def configure(engine: Engine, *, writes: bool) -> None:
    """Set up the connections of an engine. writes: whether its transactions take the write lock as they begin."""
    event.listen(engine, "connect", _set_pragmas)
    if writes:
        event.listen(engine, "connect", _disable_autobegin)
        event.listen(engine, "begin", _begin_immediate)


class DatabaseFile:
    """The file of an open database, to notice when it is deleted, or another one stands in its place.

    It is noticed at once, by what the file system says. A file that another database was written over looks as
    before: `watch` says which id it has, and `look` asks for it. An older copy of itself has the id, too, and a lower
    number of its last event, which SQLite never gives back.
    """

    def __init__(self, url: URL) -> None:
        self._path = Path(str(url.database)).absolute()
        self._identity = self._look()
        self._database_id: str | None = None
        self._newest = 0
        self._written_over: str | None = None

    def watch(self, database_id: str) -> None:
        """Expect this id in `look` from now on; it moves from the log beside the file into the file, if it can now."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path, timeout=0)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._database_id = database_id

    def problem(self) -> str | None:
        """What became of the file, None if it is as it was."""
        found = self._look()
        if found == self._identity:
            return self._written_over
        return "the database file was deleted" if found is None else "another file was put in the database's place"

    def look(self) -> None:
        """Read the id as a new process would: connections that are open may have it in their memory."""
        if self._database_id is None or self._look() != self._identity:
            return
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
                found = connection.execute("SELECT database_id FROM site_identity").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # locked or busy says nothing
                return
            found = None
        except sqlite3.DatabaseError:
            found = None
        is_same = found is not None and found[0] == self._database_id
        newest = self._newest_in_file() if is_same else self._newest
        self._newest = max(self._newest, newest)
        self._written_over = (
            "the database file was written over with other data"
            if not is_same
            else "the database file was written over with an older copy of itself"
            if newest < self._newest
            else None
        )

    def _newest_in_file(self) -> int:
        """The number of the last event as the file alone has it, without what the log beside it still holds.

        The highest that is known where it cannot be read now, as while the log is moved into the file.
        """
        with (
            suppress(sqlite3.Error, TypeError),
            closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection,
        ):
            return int(connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()[0])
        return self._newest

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _make_folder(folder: Path) -> None:
    """Make a folder with its parents so that a power cut does not take it away."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        parent = os.open(each.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


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
    try:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()
    except sqlite3.Error:
        connection.close()  # SQLAlchemy 2.0 leaves it to the garbage collector
        raise


def _disable_autobegin(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    """Wait for the write lock now, not in mid-transaction. Whether the commit is synced is set before."""
    options = connection.get_execution_options()
    wanted = options.get(SYNCED, True), options.get(WAITS, True)
    if connection.info.get("write settings") != wanted:
        is_synced, waits = wanted
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if is_synced else 'NORMAL'}")
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000 if waits else 0}")
        connection.info["write settings"] = wanted
    connection.exec_driver_sql("BEGIN IMMEDIATE")

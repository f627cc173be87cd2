"""Backup and restore of a site's SQLite database, also while the site runs."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from matinee.destinations import require_file, require_room
from matinee.errors import MatineeError
from matinee.store.health import check_database
from matinee.store.urls import parse_url, without_password
from matinee.writing import new_file

BUSY_SECONDS = 30
"""How long a backup waits for the transactions of a running site."""
OTHERS = {
    "postgresql": "`pg_dump` and `pg_restore`",
    "mysql": "`mariadb-dump --single-transaction` and `mariadb`",
    "mariadb": "`mariadb-dump --single-transaction` and `mariadb`",
}
"""Databases that are backed up by their own tools."""


def backup(url: str, out: Path, *, force: bool = False) -> int:
    """Copy the database at a URL to a file of its own, and check the copy. Returns its bytes.

    The site may run: SQLite's backup copies one state of the database. force: write over a file that is there. Raises
    MatineeError if there is no database, it is damaged, or the copy cannot be written; then `out` is as it was.
    """
    source = database_file(url)
    _require_database(source)
    _require_target(out, "OUT", force)
    if out.exists() and os.path.samefile(out, source):
        raise MatineeError(f"{out} is the database itself; name another file")
    require_room(out.parent, source.stat().st_size, f"backup {out}")
    return _copy(source, out, "backup")


def restore(url: str, backup_file: Path, *, force: bool = False) -> int:
    """Put a backup in the place of the database at a URL, which no site may have open. Returns its bytes.

    force: replace a database that is there. Raises MatineeError if the backup is damaged or was written by a newer
    Matinee, if a site has the database open, or if it cannot be written; then the database is as it was.
    """
    target = database_file(url)
    _require_database(backup_file)
    _require_target(target, "--db", force)
    if target.exists() and os.path.samefile(target, backup_file):
        raise MatineeError(f"{backup_file} is the database itself; name a backup of it")
    require_room(target.parent, backup_file.stat().st_size, f"database {target}")
    holder = _hold(target)
    try:
        _remove_logs(target)
        return _copy(backup_file, target, "database")
    finally:
        if holder is not None:
            holder.close()


def database_file(url: str) -> Path:
    """The file of a SQLite URL. Raises MatineeError, naming the tools to use, for another database."""
    parsed = parse_url(url)
    name = parsed.get_backend_name()
    if name in OTHERS:
        raise MatineeError(f"a {name} database is backed up and restored by its own tools: {OTHERS[name]}")
    if name != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise MatineeError(
            f"{without_password(url)!r} has no file to back up; for example --db sqlite:///matinee.sqlite3"
        )
    return Path(str(parsed.database))


def _require_database(path: Path) -> None:
    """Raises MatineeError unless a file is a whole SQLite database of a Matinee that is not newer than this one."""
    if not path.is_file():
        raise MatineeError(f"there is no database at {path}")
    state = check_database(f"sqlite:///{path}")
    if not state.ok:
        raise MatineeError(f"{state.found}; {state.fix}" if state.fix else state.found)
    if ": empty" in state.found:
        raise MatineeError(f"{path} holds no site: none of its tables is there")


def _require_target(path: Path, option: str, force: bool) -> None:
    require_file(path, option, any_file=True)
    if path.exists() and not force:
        raise MatineeError(f"{path} exists; --force replaces it")


def _hold(path: Path) -> sqlite3.Connection | None:
    """A connection that keeps everybody else out of a database, whose write-ahead log is in its file then.

    None where no database stands. Raises MatineeError if another process has it open.
    """
    if not path.exists():
        return None
    connection = sqlite3.connect(path, timeout=1, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")  # fails while another process has the database open
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise MatineeError(f"{path} cannot be replaced: {error}; stop the site that has it open") from None
    except sqlite3.DatabaseError:  # no database: nobody has it open as one
        connection.close()
        return None
    return connection


def _remove_logs(path: Path) -> None:
    """Remove what SQLite would apply to the new database: the logs of one that is gone."""
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, target: Path, what: str) -> int:
    """Copy a database by SQLite's backup, check the copy, and put it in place. Returns its bytes."""
    with new_file(target, what, private=True) as part:
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
        try:
            with (
                closing(
                    sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
                ) as old,
                closing(sqlite3.connect(part)) as new,
            ):
                old.backup(new)  # in one step, so that a busy site does not make it start again
                new.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
                verdict = new.execute("PRAGMA integrity_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise MatineeError(f"{what} {target} cannot be written: {error}") from None
        if verdict != "ok":
            raise MatineeError(f"{source} is damaged: {' '.join(str(verdict).split())}; nothing is written")
        n_bytes = part.stat().st_size
    return n_bytes

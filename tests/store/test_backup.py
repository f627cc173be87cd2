"""A backup is one whole database, taken while the site writes; a restore takes nobody's place unasked."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from matinee.cli.running import run
from matinee.errors import MatineeError
from matinee.store.backup import backup, restore
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab

ITEMS = Vocab.of(list(range(50)))


def write(database: SqlDatabase, n: int, first: int = 0) -> None:
    events = [LiveEvent(f"u{number}", number % 50, "rating", 4.0, 1000 + number) for number in range(first, first + n)]
    SqlEvents(database, ITEMS).append(events)


def n_events(path: Path) -> int:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM events").fetchone()[0])
    finally:
        connection.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A database that a running site has open, with 10 events, all of them still in its log."""
    path = tmp_path / "site.db"
    database = SqlDatabase(f"sqlite:///{path}")
    write(database, 10)
    yield path
    database.close()


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    path = tmp_path / "stopped.db"
    database = SqlDatabase(f"sqlite:///{path}")
    write(database, 3)
    database.close()
    return path


def test_a_backup_of_a_running_site_is_one_private_file(site: Path, tmp_path: Path) -> None:
    assert site.with_name("site.db-wal").stat().st_size > 0
    n_bytes = backup(f"sqlite:///{site}", tmp_path / "copies" / "backup.db")
    copy = tmp_path / "copies" / "backup.db"
    assert copy.stat().st_size == n_bytes
    assert n_events(copy) == 10
    assert os.listdir(tmp_path / "copies") == ["backup.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_backup_while_the_site_writes_has_whole_transactions(site: Path, tmp_path: Path) -> None:
    database, stop = SqlDatabase(f"sqlite:///{site}"), threading.Event()

    def keep_writing() -> None:
        first = 10
        while not stop.is_set():
            write(database, 10, first)
            first += 10

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for number in range(10):
            backup(f"sqlite:///{site}", tmp_path / f"{number}.db")
            assert n_events(tmp_path / f"{number}.db") % 10 == 0
    finally:
        stop.set()
        writer.join()
        database.close()


def test_a_restored_site_has_what_the_backup_had(stopped: Path, tmp_path: Path) -> None:
    backup(f"sqlite:///{stopped}", tmp_path / "backup.db")
    database = SqlDatabase(f"sqlite:///{stopped}")
    write(database, 5, 100)
    database.close()
    assert n_events(stopped) == 8
    restore(f"sqlite:///{stopped}", tmp_path / "backup.db", force=True)
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "stopped.db"]
    assert n_events(stopped) == 3
    restore(str(tmp_path / "new" / "site.db"), tmp_path / "backup.db")
    reopened = SqlDatabase(f"sqlite:///{tmp_path / 'new' / 'site.db'}")
    write(reopened, 1, 200)
    reopened.close()
    assert n_events(tmp_path / "new" / "site.db") == 4


def test_nothing_is_replaced_unasked(stopped: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(MatineeError, match=r"mine exists; --force replaces it"):
        backup(str(stopped), tmp_path / "mine")
    backup(str(stopped), tmp_path / "backup.db")
    with pytest.raises(MatineeError, match=r"stopped\.db exists; --force replaces it"):
        restore(str(stopped), tmp_path / "backup.db")
    assert (tmp_path / "mine").read_text() == "mine"
    for force in (False, True):
        with pytest.raises(MatineeError, match=r"is the database itself|exists; --force"):
            backup(str(stopped), stopped, force=force)
        with pytest.raises(MatineeError, match=r"is the database itself|exists; --force"):
            restore(str(stopped), stopped, force=force)


OPEN = """
import sys
from matinee.store.database import SqlDatabase
database = SqlDatabase(sys.argv[1])
print("open", flush=True)
input()
"""


@pytest.mark.slow
def test_a_database_that_a_site_has_open_is_not_replaced(stopped: Path, tmp_path: Path) -> None:
    backup(str(stopped), tmp_path / "backup.db")
    code = (
        "import sys; from matinee.store.database import SqlDatabase; "
        "database = SqlDatabase(sys.argv[1]); print(1, flush=True); input()"
    )
    arguments = [sys.executable, "-c", code, f"sqlite:///{stopped}"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(MatineeError, match="database is locked; stop the site that has it open"):
            restore(str(stopped), tmp_path / "backup.db", force=True)
        child.communicate(b"\n")
    restore(str(stopped), tmp_path / "backup.db", force=True)


def test_a_log_of_a_database_that_is_gone_is_not_applied_to_the_new_one(site: Path, tmp_path: Path) -> None:
    backup(str(site), tmp_path / "backup.db")
    database = SqlDatabase(f"sqlite:///{tmp_path / 'other.db'}")
    write(database, 7)
    log = (tmp_path / "other.db-wal").read_bytes()
    database.close()
    (tmp_path / "fresh.db-wal").write_bytes(log)
    restore(str(tmp_path / "fresh.db"), tmp_path / "backup.db")
    assert n_events(tmp_path / "fresh.db") == 10


DAMAGED = {
    "nothing": b"",
    "text": b"this is no database, but long enough to be taken for one" * 100,
    "half": None,
    "zeros": bytes(8192),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_whole_database_is_not_restored(stopped: Path, tmp_path: Path, name: str) -> None:
    backup(str(stopped), tmp_path / "backup.db")
    whole = (tmp_path / "backup.db").read_bytes()
    content = DAMAGED[name]
    (tmp_path / "backup.db").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(MatineeError) as error:
        restore(str(stopped), tmp_path / "backup.db", force=True)
    assert "\n" not in str(error.value)
    assert n_events(stopped) == 3
    with pytest.raises(MatineeError):
        backup(str(tmp_path / "backup.db"), tmp_path / "second.db")
    assert not (tmp_path / "second.db").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://m:pw@localhost/m", "`pg_dump`"),
        ("mysql+pymysql://m:pw@localhost/m", "`mariadb-dump"),
        ("sqlite://", "has no file to back up"),
        ("nonsense://x", "is not a database URL"),
        ("sqlite:////nowhere/at/all.db", "there is no database at /nowhere/at/all.db"),
    ],
)
def test_other_databases_name_their_own_tools(url: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=words):
        backup(url, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_the_commands_say_what_they_wrote(stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backup", str(tmp_path / "b.db"), "--db", f"sqlite:///{stopped}"]) == 0
    assert f"matinee restore {tmp_path / 'b.db'} --db sqlite:///{stopped} --force" in capsys.readouterr().out
    assert run(["backup", str(tmp_path / "b.db"), "--db", f"sqlite:///{stopped}"]) == 1
    assert run(["restore", str(tmp_path / "b.db"), "--db", f"sqlite:///{tmp_path / 'n.db'}", "--json"]) == 0
    assert n_events(tmp_path / "n.db") == 3


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_a_database_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        old = tmp_path / "old.db"
        sqlite3.connect(old).close()
        old.touch()
        old.chmod(0o644)
        for name in ("new.db", "old.db"):
            database = SqlDatabase(f"sqlite:///{tmp_path / name}")
            write(database, 1)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(f"{name}*")}
            assert modes == {name: 0o600, f"{name}-wal": 0o600, f"{name}-shm": 0o600}
            database.close()
    finally:
        os.umask(before)

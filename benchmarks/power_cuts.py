"""Power cuts while events are appended to a SQLite database, for faults_site.py: what is there afterwards.

    python benchmarks/power_cuts.py DATABASE full|normal SECONDS

appends events and writes the id of each to standard output once it is acknowledged: the process whose power is cut.

cuts: the writes and syncs of such a process are recorded (needs strace); the state after a power cut has all that was
synced before a random moment, and of each later write nothing, some sectors of 512 bytes, or all.
disks: ext4 itself, in an image behind a loop device (needs root), as in faults_artefact.py.
"""

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from faults_artefact import mounted
from matinee.store.database import Durability, SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab

WRITERS, ITEM, USERS = 4, 1, 20
SECTOR = 512
CHECKPOINT_PAGES = "40"
"""So that the short record of a power cut holds checkpoints too."""


def outcome(db: Path, acknowledged: set[str]) -> dict[str, int]:
    """What became of acknowledged events."""
    with closing(sqlite3.connect(db)) as connection:
        names = [row[0].rpartition(":")[2] for row in connection.execute("SELECT event_id FROM events")]
        is_whole = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    return {
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - set(names)),
        "doubled": len(names) - len(set(names)),
        "damaged": 0 if is_whole else 1,
    }


def append_for_ever(db: str, durability: Durability, seconds: float) -> None:
    """Append events from several threads, and write the id of each to standard output once it is acknowledged."""
    pages = f"PRAGMA wal_autocheckpoint = {os.environ.get('CHECKPOINT_PAGES', 1000)}"
    event.listen(Engine, "connect", lambda raw, _: raw.execute(pages))
    log = SqlEvents(SqlDatabase(f"sqlite:///{db}", durability), Vocab.of([ITEM]))
    end = time.monotonic() + seconds

    def write(number: int) -> None:
        count = 0
        while time.monotonic() < end:
            name = f"{number}-{count}"
            log.append([LiveEvent(f"u{count % USERS}", ITEM, "click", 1, 5, name)])
            os.write(1, f"ack {name}\n".encode())
            count += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)  # without closing the database, which would sync it


def writer(db: Path, durability: Durability, seconds: float) -> list[str]:
    return [sys.executable, __file__, str(db), durability, str(seconds)]


Operation = tuple[str, str, int, bytes]
"""Name (write, truncate, sync, unlink, ack), file name or event id, offset or size, content."""
_CALL = re.compile(r"^\d+\s+(pwrite64|write|ftruncate|fsync|fdatasync|unlink)\((?:\d+<([^>]*)>|\"([^\"]*)\")(.*)$")
_CONTENT = re.compile(r', "((?:\\x[0-9a-f]{2})*)", \d+(?:, (\d+))?')
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (fsync|fdatasync) resumed>")


def record(db: Path, durability: Durability, seconds: float) -> list[Operation]:
    """What a process that appends does to the files of a database, in order, with its acknowledgements."""
    trace = db.with_name("trace.txt")
    calls = "trace=pwrite64,write,ftruncate,fsync,fdatasync,unlink"
    command = ["strace", "-f", "-qq", "-y", "-xx", "-s", "70000", "-e", calls, "-o", str(trace)]
    environment = os.environ | {"CHECKPOINT_PAGES": CHECKPOINT_PAGES}
    command += writer(db, durability, seconds)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    with trace.open() as lines:
        return list(parse(lines, db.name))


def parse(lines: Iterable[str], name: str) -> Iterator[Operation]:
    """The operations in a trace on the files of a database. A sync counts once it has returned."""
    syncing: dict[str, str] = {}
    for line in lines:
        resumed, found = _RESUMED.match(line), _CALL.match(line)
        if resumed and resumed[1] in syncing:
            yield "sync", syncing.pop(resumed[1]), 0, b""
        if not found:
            continue
        call, path, unlinked, rest = found.groups()
        file = Path(_plain(unlinked or path)).name
        if "sync" in call and "unfinished" in rest:
            syncing[line.split()[0]] = file
        else:
            operation = _operation(call, file, rest)
            if operation[0] == "ack" or (file.startswith(name) and not file.endswith("-shm")):
                yield operation


def _operation(call: str, file: str, rest: str) -> Operation:
    if "sync" in call:
        return "sync", file, 0, b""
    if call == "unlink":
        return "unlink", file, 0, b""
    if call == "ftruncate":
        return "truncate", file, int(re.findall(r"\d+", rest)[0]), b""
    found = _CONTENT.match(rest)
    content, at = (_bytes(found[1]), int(found[2] or 0)) if found else (b"", 0)
    if call == "write" and content.startswith(b"ack "):
        return "ack", content.decode().split()[1], 0, b""
    return "write", file, at, content


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _plain(path: str) -> str:
    return _bytes(path).decode() if path.startswith("\\x") else path


class Disk:
    """The files of a database: what is synced, and what is not yet."""

    def __init__(self, folder: Path, name: str) -> None:
        self.synced = {path.name: bytearray(path.read_bytes()) for path in folder.glob(f"{name}*") if path.is_file()}
        self.synced = {file: content for file, content in self.synced.items() if not file.endswith("-shm")}
        self.unsynced: dict[str, list[Operation]] = {}

    def apply(self, operation: Operation) -> None:
        """Do what the process did."""
        name, file, *_ = operation
        if name == "sync":
            for each in self.unsynced.pop(file, []):
                change(self.synced.setdefault(file, bytearray()), each)
        else:
            self.unsynced.setdefault(file, []).append(operation)

    def after_cut(self, rng: random.Random) -> dict[str, bytes]:
        """One of the states that a power cut may leave."""
        state = {file: bytearray(content) for file, content in self.synced.items()}
        kept_share = rng.choice((0.0, 0.3, 0.7, 1.0))
        for file, operations in self.unsynced.items():
            for operation in operations:
                if rng.random() < kept_share:
                    change(state.setdefault(file, bytearray()), operation, rng if rng.random() < 0.3 else None)
        return {file: bytes(content) for file, content in state.items()}


def change(content: bytearray, operation: Operation, tear: random.Random | None = None) -> None:
    """Apply an operation to a file; tear: write some of its sectors only."""
    name, _, at, new = operation
    if name in ("truncate", "unlink"):
        del content[at:]
        return
    content.extend(bytes(max(0, at + len(new) - len(content))))
    for start in range(0, len(new), SECTOR):
        if tear is None or tear.random() < 0.5:
            part = new[start : start + SECTOR]
            content[at + start : at + start + len(part)] = part


def cuts(n: int, rng: random.Random, durability: Durability, seconds: float) -> dict[str, Any]:
    """Power cuts at random moments of a recorded load."""
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "site.db"
        SqlDatabase(f"sqlite:///{db}").close()
        before = Disk(Path(folder), db.name).synced
        operations = record(db, durability, seconds)
        for _ in range(n):
            end = rng.randrange(len(operations))
            disk = Disk(Path(folder) / "nothing", db.name)
            disk.synced = {file: bytearray(content) for file, content in before.items()}
            acknowledged = set()
            for operation in operations[:end]:
                if operation[0] == "ack":
                    acknowledged.add(operation[1])
                else:
                    disk.apply(operation)
            with tempfile.TemporaryDirectory() as cut:
                for file, content in disk.after_cut(rng).items():
                    (Path(cut) / file).write_bytes(content)
                total.update(reopened(Path(cut) / db.name, acknowledged))
    n_syncs = sum(operation[0] == "sync" for operation in operations)
    return {"cuts": n, "operations": len(operations), "syncs": n_syncs} | dict(total)


def reopened(db: Path, acknowledged: set[str]) -> dict[str, int]:
    """What became of acknowledged events, once the site's own code has opened the database again."""
    SqlDatabase(f"sqlite:///{db}").close()
    found = outcome(db, acknowledged)
    return found | {"cuts_with_a_loss": int(found["lost"] > 0)}


def disks(n: int, rng: random.Random, durability: Durability) -> dict[str, Any]:
    """Power cuts of an ext4 file system: what the kernel has not given to the device is lost."""
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        image, copy, mount = (Path(folder) / name for name in ("disk.img", "cut.img", "mount"))
        for _ in range(n):
            image.write_bytes(b"")
            os.truncate(image, 32 * 2**20)
            subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
            with mounted(image, mount):
                command = writer(mount / "site.db", durability, 60)
                with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
                    assert child.stdout is not None
                    first = child.stdout.readline()
                    time.sleep(rng.uniform(0, 1))
                    child.kill()
                    acknowledged = {line.split()[1].decode() for line in [first, *child.stdout] if line.endswith(b"\n")}
                shutil.copyfile(image, copy)
            with mounted(copy, mount):
                found = {"lost": len(acknowledged), "acknowledged": len(acknowledged), "doubled": 0, "damaged": 0}
                db = mount / "site.db"
                total.update(reopened(db, acknowledged) if db.exists() and db.stat().st_size else found)
    return {"cuts": n} | dict(total)


if __name__ == "__main__":
    append_for_ever(sys.argv[1], sys.argv[2], float(sys.argv[3]))  # type: ignore[arg-type]

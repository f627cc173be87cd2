"""Faults while people write to the site: kills, power cuts, a full disk, a lock, a clock that is set back.

    python benchmarks/faults_site.py [PART...] [--out benchmarks/faults_site.json]

With `--out` each part is stored as soon as it ends, beside what the file holds of others; kills are added to those that
are there, every 50, so that 1,000 can be made in several runs. Without, one JSON object is printed at the end.

kills: SIGKILL of the server at random moments while clients write; what was not answered is sent again under its id.
cuts: the writes and syncs of a process that appends events are recorded (needs strace); the state after a power cut has
all that was synced before a random moment, and of each later write nothing, some sectors of 512 bytes, or all.
disks: ext4 itself, in an image behind a loop device (needs root), as in faults_artefact.py.
full, lock, clock: the site with a limit on the size of its files, with a database that another process has locked, and
with a clock that is set back.
Counted are acknowledged events that are lost, and events that are there twice. `normal` is the other durability, which
may lose some in a power cut: it shows that the cuts would be noticed.
"""

import argparse
import http.client
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from starlette.testclient import TestClient

from faults_artefact import mounted
from matinee.serve.accounts.api_keys import ApiKeys
from matinee.serve.app import create_app, serve
from matinee.serve.http.server import ServerSettings
from matinee.store.api_keys import SqlApiKeys
from matinee.store.database import Durability, SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab

CLIENTS, ITEM, USERS = 4, 1, 20
KILLS_AT_ONCE = 50
"""Kills on one database, before its events are counted."""
SECTOR = 512
CHECKPOINT_PAGES = "40"
"""So that the short record of a power cut holds checkpoints too."""


def artefact(folder: Path) -> Path:
    """A small model to serve, made by a process of its own: a fork would lose the threads of polars."""
    code = (
        "import sys; from pathlib import Path; from matinee import workflow; from matinee.store.artefact import save; "
    )
    code += "from matinee.data.synthetic import two_groups; "
    code += "save(workflow.fit('popularity', two_groups(40, 60)), Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(folder / "model")], check=True)
    return folder / "model"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Load:
    """Clients that write one event after another to a server, and remember what was acknowledged."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self.again: list[list[str]] = [[] for _ in range(CLIENTS)]
        self.statuses: Counter[int] = Counter()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to write."""
        self._stop.clear()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End once all that was sent is acknowledged, or the server is gone."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        waiting = self.again[number]
        try:
            while not self._stop.is_set() or waiting:
                if not waiting:
                    waiting.append(f"{number}-{len(self.sent)}-{random.getrandbits(40)}")
                name = waiting[0]
                self.sent.add(name)
                sent = {
                    "item_id": ITEM,
                    "kind": "click",
                    "event_id": name,
                    "user_id": f"u{hash(name) % USERS}",
                }
                connection.request("POST", "/api/v1/events", json.dumps(sent), self.headers)
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
                if answer.status == 201:
                    self.acknowledged.add(name)
                    waiting.pop(0)
                elif answer.status != 503:
                    raise SystemExit(f"an event was answered by {answer.status}")
        except (OSError, http.client.HTTPException):  # killed: what is unanswered stays in `waiting`
            pass
        finally:
            connection.close()


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


def new_key(db: Path) -> str:
    """A database with an API key that may write."""
    database = SqlDatabase(f"sqlite:///{db}")
    _, text = ApiKeys(SqlApiKeys(database), time.time).create("load", ("write",))
    database.close()
    return text


def fork_server(model: Path, db: Path, port: int) -> int:
    """A process that serves; returns once it answers."""
    pid = os.fork()
    if pid == 0:
        try:
            serve([model], ServerSettings(port=port), f"sqlite:///{db}")
        finally:
            os._exit(1)
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        try:
            if get(port, "/health/live")[0] == 200:
                return pid
        except OSError:
            time.sleep(0.005)
    raise SystemExit("the server did not start")


def kills(n: int, rng: random.Random) -> dict[str, Any]:
    """SIGKILL of the server under load, n times on one database."""
    with tempfile.TemporaryDirectory() as folder:
        model, db, port = artefact(Path(folder)), Path(folder) / "site.db", free_port()
        load, slowest = Load(port, new_key(db)), 0.0
        for _ in range(n):
            begun = time.monotonic()
            pid = fork_server(model, db, port)
            state = json.loads(get(port, "/health")[1])["status"]
            if state != "ready":
                raise SystemExit(f"after a kill the site is {state}")
            slowest = max(slowest, round(time.monotonic() - begun, 2))
            load.start()
            time.sleep(rng.uniform(0, 0.25))
            os.kill(pid, signal.SIGKILL)
            load.stop()
            os.waitpid(pid, 0)
        pid = fork_server(model, db, port)
        load.start()
        load.stop()  # sends what is left
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        about = {"kills": n, "slowest_seconds_until_ready": slowest, "sent": len(load.sent)}
        return about | outcome(db, load.acknowledged)


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

    threads = [threading.Thread(target=write, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)  # without closing the database, which would sync it


def writer(db: Path, durability: Durability, seconds: float) -> list[str]:
    return [sys.executable, __file__, "--append", str(db), durability, str(seconds)]


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


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size; Python ignores the signal, and the write fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def full() -> dict[str, Any]:
    """A disk that is full for a while: pages stay, writes are refused and say so, and it ends by itself."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "site.db"
        model = artefact(Path(folder))
        key = new_key(db)
        app = create_app([model], db_url=f"sqlite:///{db}")
        client, acknowledged, statuses = TestClient(app), set(), Counter[int]()
        headers = {"Authorization": f"Bearer {key}"}

        def write(name: str) -> None:
            sent = {"item_id": ITEM, "kind": "click", "event_id": name, "user_id": f"u{len(statuses)}"}
            answer = client.post("/api/v1/events", json=sent, headers=headers)
            statuses[answer.status_code] += 1
            if answer.status_code == 201:
                acknowledged.add(name)

        write("before")
        with limited_files(db.with_name("site.db-wal").stat().st_size + 20_000):
            for number in range(200):
                write(f"full-{number}")
            pages = {client.get(path).status_code for path in ("/", "/models", "/api/v1/recommendations")}
            degraded = client.get("/health").json()["status"]
        healed = client.get("/health").json()["status"]
        write("after")
        app.state.site.database.close()
        about = {"pages": sorted(pages), "health_while_full": degraded, "health_after": healed}
        return about | {"statuses": dict(statuses)} | outcome(db, acknowledged)


def lock(seconds: float) -> dict[str, Any]:
    """Another process holds the database's lock while clients write and read."""
    with tempfile.TemporaryDirectory() as folder:
        model, db, port = artefact(Path(folder)), Path(folder) / "site.db", free_port()
        load = Load(port, new_key(db))
        pid = fork_server(model, db, port)
        load.start()
        time.sleep(0.3)
        slowest: dict[str, float] = {}
        states: Counter[str] = Counter()
        with closing(sqlite3.connect(db, timeout=10, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for path in ("/", "/health/live", "/health"):
                    begun = time.monotonic()
                    status, body = get(port, path)
                    slowest[path] = max(slowest.get(path, 0.0), round(time.monotonic() - begun, 3))
                    states[f"{path} {status}"] += 1
                time.sleep(0.05)
            states[f"at the end {json.loads(body)['status']}"] += 1
            other.execute("ROLLBACK")
        time.sleep(1)
        after = json.loads(get(port, "/health")[1])["status"]
        load.stop()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = {"seconds": seconds, "slowest_seconds": slowest, "states": dict(states), "health_after": after}
        return found | {"statuses": dict(load.statuses)} | outcome(db, load.acknowledged)


def get(port: int, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def clock(n: int, rng: random.Random) -> dict[str, Any]:
    """Ratings of a few films while the clock jumps back and forth: the last one given counts, also after a restart."""
    wrong, now = 0, [1_750_000_000.0]
    with tempfile.TemporaryDirectory() as folder:
        db, model = Path(folder) / "site.db", artefact(Path(folder))
        last: dict[int, float] = {}
        for number in range(n):
            if number % 20 == 0:
                app = create_app([model], db_url=f"sqlite:///{db}", clock=lambda: now[0])
            site = app.state.site
            now[0] += rng.choice((1, 10, -3600, 3600, -10, -86_400, 86_400))
            row, value = rng.randrange(5), float(rng.randint(1, 5))
            site.record("somebody", row, "rating", value)
            last[row] = value
            state = site.state_of("somebody")
            wrong += any(state.watched[each].value != value for each, value in last.items())
            if number % 20 == 19:
                site.database.close()
    return {"ratings": n, "wrong": wrong}


def main() -> None:
    if "--append" in sys.argv:
        db, durability, seconds = sys.argv[2:]
        append_for_ever(db, durability, float(seconds))  # type: ignore[arg-type]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    can_mount = os.geteuid() == 0 and all(map(shutil.which, ("losetup", "mkfs.ext4")))
    can_trace = shutil.which("strace") is not None
    numbers = {"kills": 1000, "cuts": 50 if can_trace else 0, "disks": 20 if can_mount else 0, "clock": 400, "full": 1}
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="kills, lock, cuts, disks, full or clock; default: all"
    )
    for name, n in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=n, help=f"default: {n}")
    parser.add_argument("--lock", type=float, default=30, help="seconds")
    parser.add_argument("--record", type=float, default=4, help="seconds of load that are recorded for the cuts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a JSON file to add to")
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    for name, result in results(options, random.Random(options.seed)):
        if options.out and name == "kills":
            before = found.get(name, {})
            added = {key: before.get(key, 0) + value for key, value in result.items()}
            slowest = {key: max(before.get(key, 0), value) for key, value in result.items() if "slowest" in key}
            result = added | slowest
        found[name] = result | {"seed": options.seed}
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text(json.dumps(found, indent=2) + "\n")
    if not options.out:
        print(json.dumps(found, indent=2))


def results(options: argparse.Namespace, rng: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each part that is asked for, with its result; kills in parts of KILLS_AT_ONCE."""

    def n_of(name: str) -> Any:
        return getattr(options, name) if not options.parts or name in options.parts else 0

    for start in range(0, n_of("kills"), KILLS_AT_ONCE):
        yield "kills", kills(min(KILLS_AT_ONCE, options.kills - start), rng)
    if seconds := n_of("lock"):
        yield "lock", lock(seconds)
    durabilities: tuple[Durability, ...] = ("full", "normal")
    for durability in durabilities:
        if n := n_of("cuts"):
            yield f"cuts, {durability}", cuts(n, rng, durability, options.record)
        if n := n_of("disks"):
            yield f"disks, {durability}", disks(n, rng, durability)
    if n_of("full"):
        yield "full", full()
    if n := n_of("clock"):
        yield "clock", clock(n, rng)


if __name__ == "__main__":
    main()

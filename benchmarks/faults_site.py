"""Faults while people write to the site: kills, power cuts, a full disk, a lock, a clock that is set back.

    python benchmarks/faults_site.py [PART...] [--out benchmarks/faults_site.json]

With `--out` each part is stored as soon as it ends, beside what the file holds of others. Kills are stored by seed,
every 50, and a run goes on where the one before it was stopped, so that 1,000 can be made in several. Without, one JSON
object is printed at the end.

kills: SIGKILL of the server at random moments while clients write; what was not answered is sent again under its id.
cuts, disks: power cuts, replayed from a record (needs strace) or of an ext4 of their own (needs root): power_cuts.py.
full, lock, clock: the site with a limit on the size of its files, with a database that another process has locked, and
with a clock that is set back.
Counted are acknowledged events that are lost, events that are there twice, and starts after which the site was not
ready within a minute (stuck). `normal` is the other durability, which may lose some in a power cut: it shows that the
cuts would be noticed.
"""

import argparse
import http.client
import json
import os
import random
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
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from matinee.serve.accounts.api_keys import ApiKeys
from matinee.serve.app import create_app, serve
from matinee.serve.http.server import ServerSettings
from matinee.store.api_keys import SqlApiKeys
from matinee.store.database import Durability, SqlDatabase
from power_cuts import cuts, disks, outcome

CLIENTS, ITEM, USERS = 4, 1, 20
KILLS_AT_ONCE = 50
"""Kills on one database, before its events are counted."""
PATIENCE = 60
"""Seconds after which a site that is not ready again counts as stuck."""


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


def is_ready_in_time(port: int) -> bool:
    """Wait for the site to be ready; False if it is not within PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if json.loads(get(port, "/health")[1])["status"] == "ready":
            return True
        time.sleep(0.01)
    return False


def kills(n: int, rng: random.Random) -> dict[str, Any]:
    """SIGKILL of the server under load, n times on one database."""
    with tempfile.TemporaryDirectory() as folder:
        model, db, port = artefact(Path(folder)), Path(folder) / "site.db", free_port()
        load, slowest, stuck = Load(port, new_key(db)), 0.0, 0
        for _ in range(n):
            begun = time.monotonic()
            pid = fork_server(model, db, port)
            stuck += not is_ready_in_time(port)
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
        about = {"kills": n, "stuck": stuck, "slowest_seconds_until_ready": slowest, "sent": len(load.sent)}
        return about | outcome(db, load.acknowledged)


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
        found = {"locked_seconds": seconds, "slowest_seconds": slowest, "states": dict(states), "health_after": after}
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
    for name, work in parts(options, random.Random(options.seed), found):
        begun = time.monotonic()
        result = work() | {"date": datetime.now(UTC).date().isoformat(), "seed": options.seed}
        result["seconds"] = round(time.monotonic() - begun, 1)
        found[name] = added(found[name], result) if name in found and name == kills_of(options) else result
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text(json.dumps(found, indent=2) + "\n")
    if not options.out:
        print(json.dumps(found, indent=2))


def kills_of(options: argparse.Namespace) -> str:
    """Under which name kills are stored."""
    return f"kills, seed {options.seed}"


def added(before: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Two results of kills as one."""
    sums = {key: round(before[key] + value, 1) for key, value in result.items() if not isinstance(value, str)}
    slowest = {key: max(before[key], value) for key, value in result.items() if key.startswith("slowest")}
    return result | sums | slowest | {"seed": result["seed"]}


def parts(
    options: argparse.Namespace, rng: random.Random, found: dict[str, Any]
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Each part that is asked for, by name; kills in parts of KILLS_AT_ONCE, without those that are there."""

    def n_of(name: str) -> Any:
        return getattr(options, name) if not options.parts or name in options.parts else 0

    name = kills_of(options)
    done = int(found.get(name, {}).get("kills", 0))
    for start in range(done, n_of("kills"), KILLS_AT_ONCE):
        n, of_part = min(KILLS_AT_ONCE, options.kills - start), random.Random(f"{options.seed} {start}")
        yield name, partial(kills, n, of_part)
    if seconds := n_of("lock"):
        yield "lock", partial(lock, seconds)
    durabilities: tuple[Durability, ...] = ("full", "normal")
    for durability in durabilities:
        if n := n_of("cuts"):
            yield f"cuts, {durability}", partial(cuts, n, rng, durability, options.record)
        if n := n_of("disks"):
            yield f"disks, {durability}", partial(disks, n, rng, durability)
    if n_of("full"):
        yield "full", full
    if n := n_of("clock"):
        yield "clock", partial(clock, n, rng)


if __name__ == "__main__":
    main()

"""A database killed and started again while a site writes to it: what was acknowledged is there, once.

    python benchmarks/faults_database.py --kills 100 [--out benchmarks/faults_database.json]
    python benchmarks/faults_database.py --lock 30 [--databases postgresql]

A site (`matinee serve`, a process of its own) takes events from several clients. At random moments its database is
killed with SIGKILL and started again: PostgreSQL and MariaDB with every process of theirs, while the site goes on;
SQLite is part of the site, so that the site is killed. A client, which names itself by a secret client id, sends an
event, with an id of its own, until it gets 201; what it does not get an answer to, it sends again. At the end the log
is read:

lost: events that were acknowledged and are not there; doubled: ids that are there more than once; users: who wrote
them, as many as there are clients.
recovery: from the moment when the database answers (SQLite: when the site is started) to the first 200 of
/health/ready. slowest_refusal: of the answers while the database was down. --out: a JSON file to add the run to.

--lock: in place of kills, another session has the writers' turn for so many seconds, on PostgreSQL and MariaDB (SQLite:
faults_site.py lock), while clients write and read. slowest_seconds: of a page and of two of the site's own reports.
"""

import argparse
import json
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import create_engine, text

from matinee import workflow
from matinee.data.synthetic import two_groups
from matinee.store.artefact import save
from matinee.store.servers import connect_patiently, take_turn
from matinee.store.urls import parse_url

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from database_servers import SERVERS, DatabaseServer, free_port

PATIENCE = 60
"""Seconds after which a site that is not ready again counts as stuck."""


@dataclass
class Site:
    """A site in a process of its own."""

    artefact: Path
    db: str
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, without waiting."""
        command = [sys.executable, "-m", "matinee", "serve", str(self.artefact)]
        command += ["--db", self.db, "--port", str(self.port), "--visitor-rate", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait_until_ready(self) -> float:
        """Seconds until the site is ready; infinite if it is stuck."""
        begin = time.monotonic()
        while (waited := time.monotonic() - begin) < PATIENCE:
            try:
                if httpx2.get(f"{self.address}/health/ready", timeout=10).status_code == 200:
                    return time.monotonic() - begin
            except httpx2.HTTPError:
                pass
            time.sleep(0.02)
        return float("inf") if waited else waited


class Client(threading.Thread):
    """A guest who sends events one after another, each until it is acknowledged."""

    def __init__(self, site: Site, number: int) -> None:
        super().__init__(daemon=True)
        # a cookie would come with the first answer, and that one may be lost
        headers = {"X-Client-Id": f"client {number} {secrets.token_urlsafe(16)}"}
        self.http = httpx2.Client(base_url=site.address, timeout=30, headers=headers)
        self.number, self.sent = number, 0
        self.acknowledged: list[str] = []
        self.answers: Counter[str] = Counter()
        self.slowest_refusal = 0.0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Send until stopped."""
        while not self.stopped.is_set():
            self.send_one()

    def send_one(self) -> None:
        """Send an event until it is acknowledged, or the run is over."""
        event_id = f"client {self.number} event {self.sent}"
        event = {"item_id": self.sent % 400, "kind": "click", "event_id": event_id}
        self.sent += 1
        while not self.stopped.is_set():
            begin = time.monotonic()
            try:
                answer = self.http.post("/api/v1/events", json=event)
            except httpx2.HTTPError as error:
                self.answers[type(error).__name__] += 1
                time.sleep(0.05)
                continue
            self.answers[str(answer.status_code)] += 1
            if answer.status_code == 201:
                self.acknowledged.append(event_id)
                return
            if answer.status_code not in (429, 503):
                raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")  # the event is wrong, or the site
            self.slowest_refusal = max(self.slowest_refusal, time.monotonic() - begin)
            time.sleep(0.05)


def try_database(
    name: str, artefact: Path, folder: Path, n_kills: int, n_clients: int, rng: random.Random
) -> dict[str, Any]:
    """Kill a database of a kind n_kills times under load."""
    server = SERVERS[name]().start() if name in SERVERS else None
    try:
        db = server.create("site") if server else f"sqlite:///{folder}/site.db"
        site = Site(artefact, db)
        site.start()
        try:
            return _under_load(site, server, n_kills, n_clients, rng)
        finally:
            site.kill()
    finally:
        if server:
            server.stop()


def _under_load(
    site: Site, server: DatabaseServer | None, n_kills: int, n_clients: int, rng: random.Random
) -> dict[str, Any]:
    begin = time.monotonic()
    clients = _started_clients(site, n_clients)
    recoveries = []
    for _ in range(n_kills):
        time.sleep(rng.uniform(0.05, 0.6))
        if server:
            server.kill()
            time.sleep(rng.uniform(0, 0.5))
            server.start()
        else:
            site.kill()
            site.start()
        recoveries.append(site.wait_until_ready())
    _stop(clients)
    return _count(site.db, clients) | {
        "kills": n_kills,
        "clients": n_clients,
        "stuck": sum(seconds == float("inf") for seconds in recoveries),
        "median_recovery_s": round(sorted(recoveries)[len(recoveries) // 2], 3),
        "slowest_recovery_s": round(max(recoveries), 3),
        "slowest_refusal_s": round(max(client.slowest_refusal for client in clients), 3),
        "seconds": round(time.monotonic() - begin, 1),
    }


def try_lock(name: str, artefact: Path, seconds: float, n_clients: int) -> dict[str, Any]:
    """Hold the writers' turn of a server for a while under load."""
    with SERVERS[name]() as server:
        site = Site(artefact, server.create("site"))
        site.start()
        try:
            return _while_locked(site, seconds, n_clients)
        finally:
            site.kill()


def _while_locked(site: Site, seconds: float, n_clients: int) -> dict[str, Any]:
    clients = _started_clients(site, n_clients)
    slowest: dict[str, float] = {}
    answers: Counter[str] = Counter()
    engine = connect_patiently(parse_url(site.db))
    with engine.begin() as connection, httpx2.Client(base_url=site.address, timeout=60) as http:
        take_turn(connection)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for path in ("/", "/health/live", "/health"):
                begin = time.monotonic()
                answer = http.get(path)
                slowest[path] = max(slowest.get(path, 0.0), round(time.monotonic() - begin, 3))
                answers[f"{path} {answer.status_code}"] += 1
            time.sleep(0.05)
        health = answer.json()["status"]
    engine.dispose()
    recovery = site.wait_until_ready()
    _stop(clients)
    return _count(site.db, clients) | {
        "locked_seconds": seconds,
        "slowest_seconds": slowest,
        "reads": dict(answers),
        "health_at_the_end": health,
        "slowest_refusal_s": round(max(client.slowest_refusal for client in clients), 3),
        "recovery_s": round(recovery, 3),
        "stuck": int(recovery == float("inf")),
    }


def _started_clients(site: Site, n_clients: int) -> list[Client]:
    site.wait_until_ready()
    clients = [Client(site, number) for number in range(n_clients)]
    for client in clients:
        client.send_one()  # who it is, is known before the first fault
        client.start()
    return clients


def _stop(clients: list[Client]) -> None:
    for client in clients:
        client.stopped.set()
    for client in clients:
        client.join()


def _count(db: str, clients: list[Client]) -> dict[str, Any]:
    engine = create_engine(parse_url(db))
    with engine.connect() as connection:
        stored = Counter(connection.execute(text("SELECT event_id FROM events")).scalars())
        n_users = connection.execute(text("SELECT count(DISTINCT user_id) FROM events")).scalar_one()
    engine.dispose()
    acknowledged = {event_id for client in clients for event_id in client.acknowledged}
    return {
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - stored.keys()),
        "doubled": sum(n > 1 for n in stored.values()),
        "users": n_users,
        "answers": dict(sorted(sum((client.answers for client in clients), Counter()).items())),
    }


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="of each database")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--databases", nargs="+", default=["sqlite", *SERVERS], choices=["sqlite", *SERVERS])
    parser.add_argument("--out", type=Path, help="a JSON file to add to")
    parser.add_argument("--lock", type=float, default=0, help="seconds, in place of kills")
    options = parser.parse_args()
    if options.lock:
        options.databases = [name for name in options.databases if name in SERVERS]
    runs = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(workflow.fit("ease", two_groups(200, 400)), folder / "ease")
        for database in options.databases:
            if options.lock:
                run, found = "lock", try_lock(database, folder / "ease", options.lock, options.clients)
            else:
                rng = random.Random(f"{options.seed} {database}")  # so that each can be run by itself
                run = f"seed {options.seed}"
                found = try_database(database, folder / "ease", folder, options.kills, options.clients, rng)
            runs[f"{database}, {run}"] = {"date": datetime.now(UTC).date().isoformat()} | found
            print(database, found, file=sys.stderr, flush=True)
            if options.out:
                stored = json.loads(options.out.read_text()) if options.out.exists() else {}
                options.out.write_text(json.dumps(stored | runs, indent=2) + "\n")
    print(json.dumps(runs, indent=2))


if __name__ == "__main__":
    main()

"""Promote and roll back under load: how many requests fail, and how many lists are not those of the version they name.

    python benchmarks/swap.py --seconds 60 --workers 4 [--out benchmarks/swap.json]

Two EASE models of the bundled data in a registry, `matinee serve --registry`, and clients that ask for lists as fast as
they are answered, one more that opens pages, and a version that changes every two seconds. failed: answers other than
200, and connections that broke; mixed: lists that are not those of the version they name.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from faults_database import free_port
from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.store.artefact import Artefact
from matinee.store.versions import Registry

PAUSE, K, PATIENCE = 2.0, 10, 180
PAGES = ("/", "/models", "/models/ease", "/search?q=alien", "/movie/1214")


def expected(artefact: Artefact, histories: list[list[Any]]) -> list[list[Any]]:
    rows = [artefact.items.rows(one).tolist() for one in histories]
    return [
        [artefact.items.id(row) for row in each] for each in rank(artefact.model, Histories.of(rows), K).items.tolist()
    ]


class Load:
    """Clients that count what they are answered. wanted: by version, the list of each history."""

    def __init__(self, port: int, histories: list[list[Any]], wanted: dict[str, list[list[Any]]]) -> None:
        self.port, self.histories, self.wanted, self.ends = port, histories, wanted, threading.Event()
        self.counts = {"requests": 0, "failed": 0, "mixed": 0, "pages": 0}
        self.milliseconds: list[float] = []
        self.versions: set[str] = set()
        self._lock = threading.Lock()

    def ask_for_lists(self, worker: int) -> None:
        """Ask for one list after another until the end."""
        connection, n = self.connect(), worker
        while not self.ends.is_set():
            n = (n + 1) % len(self.histories)
            started = time.perf_counter()
            history = ",".join(map(str, self.histories[n]))
            body = self._ask(connection, f"/api/v1/recommendations?k={K}&history={history}", "requests")
            took = 1000 * (time.perf_counter() - started)
            if body is None:
                continue
            found = json.loads(body)
            mixed = [one["item_id"] for one in found["items"]] != self.wanted[found["version"]][n]
            with self._lock:
                self.counts["mixed"] += mixed
                self.milliseconds.append(took)
                self.versions.add(found["version"])
        connection.close()

    def open_pages(self) -> None:
        """Open one page after another until the end."""
        connection, n = self.connect(), 0
        while not self.ends.is_set():
            n = (n + 1) % len(PAGES)
            self._ask(connection, PAGES[n], "pages")
        connection.close()

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the site."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def _ask(self, connection: http.client.HTTPConnection, path: str, kind: str) -> bytes | None:
        """An answer, counted; None if it failed."""
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read() if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            body = None
        if body is None:
            connection.close()
        with self._lock:
            self.counts[kind] += 1
            self.counts["failed"] += body is None
        return body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--out", type=Path, help="a JSON file to write")
    options = parser.parse_args()
    data = mt.load("bundled")
    artefacts = [mt.fit("ease", data, l2=l2) for l2 in (50.0, 2000.0)]
    rng = np.random.default_rng(0)
    histories = [
        [data.items.id(int(row)) for row in rng.choice(len(data.items), 10, replace=False)] for _ in range(100)
    ]
    load = Load(free_port(), histories, {each.version: expected(each, histories) for each in artefacts})
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry.create(Path(folder) / "registry")
        for artefact in artefacts:
            registry.add([artefact])
        registry.promote(1)
        unlimited = ["--address-rate", "0", "--visitor-rate", "0"]
        serve = ["serve", "--registry", str(registry.path), "--db", f"sqlite:///{folder}/site.sqlite3"]
        server = subprocess.Popen([sys.executable, "-m", "matinee", *serve, "--port", str(load.port), *unlimited])
        try:
            changes = run(load, registry, options.seconds, options.workers)
        finally:
            server.terminate()
            server.wait()
    times = np.percentile(load.milliseconds, [50, 95, 99, 100]).round(1).tolist()
    result = load.counts | {"changes": changes, "versions_seen": len(load.versions), "seconds": options.seconds}
    result |= {"workers": options.workers, "milliseconds_p50_p95_p99_max": times}
    result |= {"date": datetime.now(UTC).date().isoformat()}
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result))


def run(load: Load, registry: Registry, seconds: float, workers: int) -> int:
    """Load the server, changing the version every PAUSE seconds. Returns the number of changes."""
    wait_for_server(load)
    threads = [threading.Thread(target=load.ask_for_lists, args=(worker * 7,)) for worker in range(workers)]
    threads.append(threading.Thread(target=load.open_pages))
    for thread in threads:
        thread.start()
    changes, until = 0, time.monotonic() + seconds
    registry.promote(2)
    while time.monotonic() < until:
        time.sleep(PAUSE)
        registry.rollback()
        changes += 1
    load.ends.set()
    for thread in threads:
        thread.join()
    return changes + 1


def wait_for_server(load: Load) -> None:
    """Wait until the site is ready."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        connection = load.connect()
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise SystemExit("the server does not start")


if __name__ == "__main__":
    main()

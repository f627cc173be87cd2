"""Promote and roll back under load: how many requests fail, and how many lists are not those of the version they name.

    python benchmarks/swap.py --seconds 60 --workers 4

Two EASE models of the bundled data in a registry, `matinee serve --registry`, and clients that ask for lists as fast as
they are answered, while the version changes every two seconds. Results: swap.json.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.store.artefact import Artefact
from matinee.store.versions import Registry

PAUSE, K, PORT = 2.0, 10, 8765


def expected(artefact: Artefact, histories: list[list[Any]]) -> list[list[Any]]:
    rows = [artefact.items.rows(one).tolist() for one in histories]
    return [
        [artefact.items.id(row) for row in each] for each in rank(artefact.model, Histories.of(rows), K).items.tolist()
    ]


class Load:
    """Clients that count what they are answered. wanted: by version, the list of each history."""

    def __init__(self, histories: list[list[Any]], wanted: dict[str, list[list[Any]]]) -> None:
        self.histories, self.wanted, self.ends = histories, wanted, threading.Event()
        self.counts = {"requests": 0, "failed": 0, "mixed": 0}
        self.milliseconds: list[float] = []
        self.versions: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, worker: int) -> None:
        """Ask one list after another until the end."""
        connection, n = http.client.HTTPConnection("127.0.0.1", PORT), worker
        while not self.ends.is_set():
            n = (n + 1) % len(self.histories)
            started = time.perf_counter()
            connection.request("GET", f"/api/v1/recommendations?k={K}&history={','.join(map(str, self.histories[n]))}")
            answer = connection.getresponse()
            body = answer.read()
            took = 1000 * (time.perf_counter() - started)
            found = json.loads(body) if answer.status == 200 else {}
            mixed = bool(found) and [one["item_id"] for one in found["items"]] != self.wanted[found["version"]][n]
            with self._lock:
                self.counts["requests"] += 1
                self.counts["failed"] += answer.status != 200
                self.counts["mixed"] += mixed
                self.milliseconds.append(took)
                self.versions.add(found.get("version", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    data = mt.load("bundled")
    artefacts = [mt.fit("ease", data, l2=l2) for l2 in (50.0, 2000.0)]
    rng = np.random.default_rng(0)
    histories = [
        [data.items.id(int(row)) for row in rng.choice(len(data.items), 10, replace=False)] for _ in range(100)
    ]
    load = Load(histories, {each.version: expected(each, histories) for each in artefacts})
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry.create(Path(folder) / "registry")
        for artefact in artefacts:
            registry.add([artefact])
        registry.promote(1)
        unlimited = ["--address-rate", "0", "--visitor-rate", "0"]
        serve = ["serve", "--registry", str(registry.path), "--db", f"sqlite:///{folder}/site.sqlite3"]
        server = subprocess.Popen([sys.executable, "-m", "matinee", *serve, "--port", str(PORT), *unlimited])
        try:
            changes = run(load, registry, options.seconds, options.workers)
        finally:
            server.terminate()
            server.wait()
    times = np.percentile(load.milliseconds, [50, 95, 99, 100]).round(1).tolist()
    result = load.counts | {"changes": changes, "versions_seen": len(load.versions), "seconds": options.seconds}
    result |= {"workers": options.workers, "milliseconds_p50_p95_p99_max": times}
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result))


def run(load: Load, registry: Registry, seconds: float, workers: int) -> int:
    """Load the server, changing the version every PAUSE seconds. Returns the number of changes."""
    wait_for_server()
    threads = [threading.Thread(target=load.ask, args=(worker * 7,)) for worker in range(workers)]
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


def wait_for_server() -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("the server does not start")


if __name__ == "__main__":
    main()

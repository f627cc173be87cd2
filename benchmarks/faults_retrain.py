"""Learning from the log end to end, and retrainings that are killed: what serves stays whole, and the next one learns.

    python benchmarks/faults_retrain.py [--kills 25] [--seed 1] [--db mariadb] [--out benchmarks/faults_retrain.json]

A site (`matinee serve --registry`, EASE and ItemKNN on a synthetic log of 200 people, over SQLite or --db
postgresql|mariadb) gets a new film and 30 new people through its API. `matinee retrain` then learns them: learned says
whether the new film is in lists for those who like what its people liked, and whether a new person gets a list of their
own, without what they have seen.
Then, each time after more events, `matinee retrain` gets SIGKILL at a random moment of its run, while clients ask for
lists. After each kill the registry is opened again: broken counts kills after which a version that it lists, or the one
that serves, does not load with its self-test; failed and mixed count the clients' answers that were no list, and
lists of a version that the registry did not have. At the end a retraining runs through.
"""

import argparse
import http.client
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faults_database import SERVERS, free_port
from matinee import workflow
from matinee.data.synthetic import two_tastes
from matinee.errors import MatineeError
from matinee.serve.accounts.api_keys import ApiKeys
from matinee.store.api_keys import SqlApiKeys
from matinee.store.database import SqlDatabase
from matinee.store.versions import Registry

NEW_FILM, NEW_PEOPLE, GROUP = 900_001, 30, 8
PATIENCE = 180


class Site:
    """`matinee serve --registry`, asked with a key of all scopes."""

    def __init__(self, registry: Path, db: str) -> None:
        self.registry, self.db, self.port = registry, db, free_port()
        with closing(SqlDatabase(self.db)) as database:
            _, self.key = ApiKeys(SqlApiKeys(database), time.time).create("all", ("read", "write", "admin"))
        command = [sys.executable, "-m", "matinee", "serve", "--registry", str(self.registry), "--db", self.db]
        command += ["--visitor-rate", "0", "--address-rate", "0", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")

    def wait_for(self, version: int) -> None:
        """Wait until a version serves."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if self.ask("GET", "/health")[1].get("version") == version:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"version {version} does not serve")

    def write(self, events: list[dict[str, Any]]) -> None:
        """Write events."""
        status, said = self.ask("POST", "/api/v1/events", events)
        if status != 201:
            raise SystemExit(str(said))

    def start_retraining(self) -> "subprocess.Popen[bytes]":
        """`matinee retrain`."""
        command = [
            sys.executable,
            "-m",
            "matinee",
            "retrain",
            "--registry",
            str(self.registry),
            "--db",
            self.db,
            "--json",
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def list_of(self, query: str) -> tuple[int, list[str], str]:
        """Status, items and version of a list."""
        status, found = self.ask("GET", f"/api/v1/recommendations?k=20&{query}")
        return status, [str(item["item_id"]) for item in found.get("items", ())], found.get("version", "")


def rating(user: str, item: object, value: float = 5.0) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "kind": "rating", "value": value}


def learn(site: Site, liked: list[Any], rng: random.Random) -> dict[str, Any]:
    """A new film and new people come, and are learned."""
    query = "history=" + ",".join(map(str, liked))
    before = str(NEW_FILM) in site.list_of(query)[1]
    status, said = site.ask(
        "PUT", f"/api/v1/items/{NEW_FILM}", {"title": "A New Film", "year": 2026, "genres": ["New"]}
    )
    if status not in (200, 201):
        raise SystemExit(str(said))
    people = {f"new person {n}": rng.sample(liked, GROUP) for n in range(NEW_PEOPLE)}
    for person, seen in people.items():
        site.write([rating(person, item) for item in (*seen, NEW_FILM)])
    begin = time.monotonic()
    done = json.loads(site.start_retraining().communicate(timeout=600)[0])
    seconds = time.monotonic() - begin
    site.wait_for(2)
    _, items, version = site.list_of(query)
    _, own, own_version = site.list_of("user_id=new%20person%203")
    return {
        "promoted": done["promoted"],
        "new_events": done["new_events"],
        "new_users": done["new_users"],
        "new_items": done["new_items"],
        "film_in_lists": {"before": before, "after": str(NEW_FILM) in items},
        "list_for_a_new_person": len(own),
        "of_it_seen": len({*own} & {*map(str, people["new person 3"]), str(NEW_FILM)}),
        "version_is_the_new_one": version == own_version == Registry(site.registry).version(2).models["ease"],
        "seconds": round(seconds, 1),
    }


def kill(site: Site, liked: list[Any], n_kills: int, seconds: float, rng: random.Random) -> dict[str, Any]:
    """Kill n_kills retrainings while clients ask for lists."""
    ends, lock = threading.Event(), threading.Lock()
    counts = {"lists": 0, "failed": 0, "mixed": 0}
    seen: set[str] = set()

    def ask_for_lists() -> None:
        while not ends.wait(0.02):
            try:
                status, items, version = site.list_of("history=" + ",".join(map(str, rng.sample(liked, 4))))
            except (OSError, http.client.HTTPException):
                status, items, version = 0, [], ""
            with lock:
                counts["lists"] += 1
                counts["failed"] += status != 200 or not items
                seen.update({version} - {""})

    clients = [threading.Thread(target=ask_for_lists) for _ in range(2)]
    for client in clients:
        client.start()
    broken, ended, known = 0, 0, set[str]()
    for n in range(n_kills):
        site.write([rating(f"later person {n} {m}", rng.choice(liked), 4.0) for m in range(40)])
        process = site.start_retraining()
        try:
            process.communicate(timeout=rng.uniform(0.2, 1.1) * seconds)
            ended += 1
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        try:
            registry = Registry(site.registry)
            for number in {*registry.numbers(), registry.pointer().current}:
                known |= {artefact.version for artefact in registry.load(number)}
        except MatineeError as error:
            print(error, file=sys.stderr)
            broken += 1
    site.write([rating("last person", item) for item in liked[:5]])
    last = json.loads(site.start_retraining().communicate(timeout=600)[0])
    site.wait_for(Registry(site.registry).pointer().current)
    ends.set()
    for client in clients:
        client.join()
    counts["mixed"] = len(seen - known - set(Registry(site.registry).version(last["version"]).models.values()))
    health = site.ask("GET", "/health")[1]["status"]
    return counts | {
        "kills": n_kills - ended, "came_after_the_end": ended, "broken": broken, "last_promoted": last["promoted"],
        "versions": len(Registry(site.registry).numbers()), "health": health,
    }  # fmt: skip


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--db", default="sqlite", choices=["sqlite", *SERVERS])
    parser.add_argument("--out", type=Path, help="a JSON file to add to")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), two_tastes(200, 120)
        registry = Registry.create(folder / "registry")
        registry.add([workflow.fit("ease", data, l2=20.0), workflow.fit("item-knn", data)])
        registry.promote(1)
        events = data.events
        liked = [
            data.items.id(row) for row in events.item_rows[(events.user_rows == 0) & (events.values == 5)].tolist()
        ]
        server = SERVERS[options.db]().start() if options.db in SERVERS else None
        site = Site(folder / "registry", server.create("site") if server else f"sqlite:///{folder}/site.db")
        try:
            site.wait_for(1)
            learned = learn(site, liked, rng)
            print(learned, file=sys.stderr, flush=True)
            found = {"learned": learned, "killed": kill(site, liked, options.kills, learned["seconds"], rng)}
        finally:
            site.process.kill()
            site.process.wait()
            if server:
                server.stop()
    found = {f"{options.db}, seed {options.seed}": {"date": datetime.now(UTC).date().isoformat()} | found}
    if options.out:
        stored = json.loads(options.out.read_text()) if options.out.exists() else {}
        options.out.write_text(json.dumps(stored | found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

"""What a list costs: MovieLens 1M, visitors with a history of 30, one server on one core. Prints one JSON object.

    OMP_NUM_THREADS=1 python benchmarks/serve_speed.py ARTEFACT... [--source DIR] [--seconds 8]

ARTEFACT: folders made by `matinee train ease --data ml-1m --out DIR`. --source: the sources to serve with, this one's
by default. Lists have 10 items with their reasons, and are logged for a visitor with a session. A list is asked for by
200 visitors again and again, whose states and lists are kept; a first list by one after the other of more visitors
than states are kept of; a given history is a new one each time. Each kind of request is sent for some seconds on 8
connections; on one where a visitor of many events sends one before each list. The figure is the processor time of the
server, from /proc, by request, beside which other work on the machine does not count. Events are acknowledged after
their sync, one in each request of 32 senders, and 100 in each request of 8.
"""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import cycle
from pathlib import Path
from random import Random

from matinee.serve.accounts.api_keys import ApiKeys
from matinee.serve.accounts.sessions import COOKIE, hash_token
from matinee.store import artefact
from matinee.store.accounts import SqlAccounts
from matinee.store.api_keys import SqlApiKeys
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from site_client import Processor, exchange

PORT, VISITORS, HISTORY = 8767, 200, 30
LONG = (1000, 60_000)
"""Events of visitors who send one more before each list."""
STRANGERS = 1500
"""More visitors than a server keeps states of (1,300): each list of theirs is a first one."""
Request = tuple[str, str, dict[str, str], object]
"""Method, path, headers, and a body that is sent as JSON, None for none."""


def prepare(
    database: str, folder: Path, n_visitors: int = VISITORS + STRANGERS, long: tuple[int, ...] = LONG
) -> tuple[list[str], str, list[int]]:
    """A database of visitors with a session and HISTORY ratings each. Returns tokens, an API key, ids of items."""
    found = artefact.load(folder)
    ids, rng, now = found.items.ids.tolist(), Random(1), int(time.time())
    popular = sorted(range(len(ids)), key=lambda row: -found.popularity[row])[:1500]
    with closing(SqlDatabase(database)) as opened:
        tokens = [secrets.token_urlsafe(32) for _ in range(n_visitors)]
        book, log = SqlAccounts(opened), SqlEvents(opened, found.items)
        for number, token in enumerate(tokens):
            book.open_guest(hash_token(token), f"visitor-{number}", now)
        log.append(
            [
                LiveEvent(f"visitor-{number}", ids[row], "rating", float(rng.randint(3, 5)), now - 1000)
                for number in range(len(tokens))
                for row in rng.sample(popular, HISTORY)
            ]
        )
        for n_events in long:
            log.append(
                [
                    LiveEvent(f"long-{n_events}", rng.choice(ids), "rating", float(rng.randint(3, 5)), now - 10**6 + n)
                    for n in range(n_events)
                ]
            )
        _, key = ApiKeys(SqlApiKeys(opened), time.time).create("load", ("read", "write"))
    return tokens, key, [ids[row] for row in popular]


def kinds(
    models: list[str], tokens: list[str], key: str, ids: list[int]
) -> dict[str, tuple[int, Callable[[], Request]]]:
    """By name: how many senders, and a function that makes a request."""
    rng, strangers, tokens = Random(2), cycle(tokens[VISITORS:]), tokens[:VISITORS]

    def first_list(model: str) -> Callable[[], Request]:
        path = f"/api/v1/recommendations?k=10&explain=true&model={model}"
        return lambda: ("GET", path, {"Cookie": f"{COOKIE}={next(strangers)}"}, None)

    def list_for_history(model: str) -> Callable[[], Request]:
        path = f"/api/v1/recommendations?k=10&explain=true&model={model}&history="
        return lambda: ("GET", path + ",".join(map(str, rng.sample(ids, HISTORY))), {}, None)

    def list_of(model: str, explain: str = "true") -> Callable[[], Request]:
        path = f"/api/v1/recommendations?k=10&explain={explain}&model={model}"
        return lambda: ("GET", path, {"Cookie": f"{COOKIE}={rng.choice(tokens)}"}, None)

    def events(n: int) -> Callable[[], Request]:
        def make() -> Request:
            sent = [
                {"item_id": rng.choice(ids), "kind": "click", "user_id": f"u{rng.randrange(1000)}",
                 "event_id": f"{rng.getrandbits(60)}"}
                for _ in range(n)
            ]  # fmt: skip
            return "POST", "/api/v1/events", {"Authorization": f"Bearer {key}"}, sent

        return make

    found: dict[str, tuple[int, Callable[[], Request]]] = {
        "health/live": (8, lambda: ("GET", "/health/live", {}, None)),
        "home": (8, lambda: ("GET", "/", {"Cookie": f"{COOKIE}={rng.choice(tokens)}"}, None)),
    }
    for model in models:
        found[f"list, {model}"] = (8, list_of(model))
        found[f"first list, {model}"] = (8, first_list(model))
        found[f"list for a given history, {model}"] = (8, list_for_history(model))
        found[f"list without reasons, {model}"] = (8, list_of(model, "false"))
        for n_events in LONG:
            name = f"an event and a list in turn, of a visitor of {n_events:,} events, {model}"
            found[name] = (1, event_then_list(model, n_events, key, ids))
    return found | {"1 event in a request": (32, events(1)), "100 events in a request": (8, events(100))}


def event_then_list(model: str, n_events: int, key: str, ids: list[int]) -> Callable[[], Request]:
    """An event and a list in turn, of a visitor of many events."""
    rng = Random(3)
    user, asked = f"long-{n_events}", {"Authorization": f"Bearer {key}"}
    path = f"/api/v1/recommendations?k=10&explain=true&model={model}&user_id={user}"
    in_turn = cycle((True, False))

    def make() -> Request:
        if next(in_turn):
            sent = {"item_id": rng.choice(ids), "kind": "rating", "value": 4, "user_id": user}
            return "POST", "/api/v1/events", asked, sent
        return "GET", path, asked, None

    return make


async def load(pid: int, senders: int, make: Callable[[], Request], seconds: float) -> dict[str, float]:
    """Requests one after another on each of some connections."""
    done, bad, processor = 0, 0, Processor(pid)

    async def sender(end: float) -> None:
        nonlocal done, bad
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        while time.perf_counter() < end:
            status, _ = await exchange(reader, writer, make())
            done, bad = done + 1, bad + (status not in (200, 201))
        writer.close()

    await asyncio.gather(*(sender(time.perf_counter() + 1) for _ in range(senders)))  # warms up
    done, before, begun = 0, processor.seconds(), time.perf_counter()
    await asyncio.gather(*(sender(begun + seconds) for _ in range(senders)))
    busy, wall = processor.seconds() - before, time.perf_counter() - begun
    return {
        "requests": done,
        "failed": bad,
        "processor_ms": round(1000 * busy / done, 3),
        "per_processor_second": round(done / busy),
        "per_second": round(done / wall),
    }


async def open_loop(make: Callable[[], Request], rate: float, seconds: float) -> dict[str, float]:
    """Requests at even times on 64 connections; latency counts from the time at which a request is due."""
    pairs: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(64):
        pairs.put_nowait(await asyncio.open_connection("127.0.0.1", PORT))
    begun, found = time.perf_counter() + 0.1, []

    async def send(at: float) -> None:
        pair = await pairs.get()
        await exchange(*pair, make())
        pairs.put_nowait(pair)
        found.append(time.perf_counter() - at)

    tasks = []
    for number in range(int(rate * seconds)):
        at = begun + number / rate
        await asyncio.sleep(max(0, at - time.perf_counter()))
        tasks.append(asyncio.create_task(send(at)))
    await asyncio.gather(*tasks)
    while not pairs.empty():
        pairs.get_nowait()[1].close()
    found.sort()
    return {"asked_a_second": round(rate)} | {
        f"p{p}_ms": round(1000 * found[int(p / 100 * (len(found) - 1))], 2) for p in (50, 95, 99)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artefacts", type=Path, nargs="+")
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1] / "src")
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    models = [folder.name for folder in options.artefacts]
    with tempfile.TemporaryDirectory() as temporary:
        database = f"sqlite:///{temporary}/site.db"
        tokens, key, ids = prepare(database, options.artefacts[0])
        pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
        command = [*pin, sys.executable, "-c", "from matinee.cli import main; main()", "serve"]
        command += [*map(str, options.artefacts), "--port", str(PORT), "--db", database, "--key-rate", "0"]
        command += ["--visitor-rate", "0"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(options.source)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                if "http://" not in process.stdout.readline():
                    sys.exit("the server did not start")
                os.sched_setaffinity(0, set(range(1, os.cpu_count() or 1)) or os.sched_getaffinity(0))
                found: dict[str, object] = {"load_average": round(os.getloadavg()[0], 1)}
                for name, (senders, make) in kinds(models, tokens, key, ids).items():
                    found[name] = one = asyncio.run(load(process.pid, senders, make, options.seconds))
                    if name.startswith(("list, ", "first list, ")):
                        rate = one["per_processor_second"] / 2
                        found[name] = one | {"half_rate": asyncio.run(open_loop(make, rate, options.seconds))}
                    print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
            finally:
                process.terminate()
        with closing(sqlite3.connect(f"{temporary}/site.db")) as connection:
            found["lists_logged"] = connection.execute("SELECT count(*) FROM lists").fetchone()[0]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

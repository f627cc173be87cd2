"""The live site under load: MovieLens 1M, 6,040 members in SQLite, one real server on one core. Prints one JSON object.

    OMP_NUM_THREADS=1 python benchmarks/site.py [--seconds 10] > benchmarks/site.json

Trains ease and item-knn on all of MovieLens 1M, imports the whole log with a session for each of its users, and starts
`matinee serve` pinned to one core. First it compares the lists of 50 members with rank() on the histories in memory.
Then it requests each kind of page as random members, for a number of seconds:

    one at a time     wall time at the client, and processor time of the server (from /proc), per request; with other
                      work on the machine, only the second is the cost of a page
    eight at a time   requests per second, by wall time and by processor time of the server
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import quote, urlencode

import numpy as np
from sqlalchemy import insert

import matinee as mt
from matinee.dataset import Dataset
from matinee.histories import EventSource
from matinee.ranking.rank import rank
from matinee.serve.accounts.sessions import COOKIE, hash_token
from matinee.serve.http.csrf import FIELD, form_token
from matinee.store import artefact
from matinee.store.accounts import SqlAccounts
from matinee.store.artefact import Artefact
from matinee.store.database import SqlDatabase
from matinee.store.sql import SqlEvents
from matinee.store.tables import members_table, sessions_table
from site_client import Processor

MODELS: dict[str, dict[str, object]] = {"ease": {"l2": 500.0}, "item-knn": {}}
SAMPLED, K = 50, 24
WORDS = ("star", "the god", "matrx", "alien", "love", "1995", "toy st", "godfather, the", "wars", "city of")
WARM = 30
LEAST, MOST, LONGEST = 200, 2000, 40
"""Requests of each kind, at least and at most, and the most seconds for them."""


@dataclass(frozen=True)
class PageRequest:
    """One request of a member."""

    path: str
    token: str
    form: dict[str, str] | None = None


def data_path(name: str) -> Path:
    """The path of a data set outside the project."""
    root = os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data"
    return Path(root) / name


def prepare(folder: Path, data: Dataset) -> tuple[list[Artefact], list[str]]:
    """Make artefacts, and a database with all events and a member for each user. Returns artefacts and tokens."""
    artefacts = [artefact.save(mt.fit(name, data, **some), folder / name) for name, some in MODELS.items()]
    database = SqlDatabase(f"sqlite:///{folder}/site.db")
    SqlAccounts(database)  # creates its tables
    events = data.events
    columns = (data.users.ids[events.user_rows], data.items.ids[events.item_rows], events.values, events.times)
    SqlEvents(database, data.items, data.users).bulk_import(columns)
    now = int(time.time())
    tokens = [secrets.token_urlsafe(32) for _ in data.users.ids]
    members = [
        {
            "user_id": str(user),
            "name": f"m{user}",
            "name_key": f"m{user}",
            "password": "-",
            "created": now,
            "changed": now,
        }
        for user in data.users.ids.tolist()
    ]
    sessions = [
        {"token_hash": hash_token(token), "session_id": f"s{user}", "user_id": str(user), "device": "", "created": now,
         "seen": now}
        for token, user in zip(tokens, data.users.ids.tolist(), strict=True)
    ]  # fmt: skip
    with database.write() as connection:
        connection.execute(insert(members_table), members)
        connection.execute(insert(sessions_table), sessions)
    database.close()
    return artefacts, tokens


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, int]]:
    """`matinee serve` on one core: its process and port."""
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    command = [
        *pin,
        sys.executable,
        "-c",
        "from matinee.cli import main; main()",
        "serve",
        *(str(folder / name) for name in MODELS),
    ]
    port = 8765
    command += ["--port", str(port), "--db", f"sqlite:///{folder}/site.db"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if "http://" not in process.stdout.readline():
                sys.exit("the server did not start")
            yield process.pid, port
        finally:
            process.terminate()


class Connection:
    """A persistent connection that sends requests and reads whole answers."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> "Connection":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def send(self, request: PageRequest) -> tuple[int, bytes]:
        """Status and body, still compressed if the answer is."""
        body = urlencode(request.form).encode() if request.form is not None else b""
        head = [
            f"{'POST' if request.form is not None else 'GET'} {request.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Cookie: {COOKIE}={request.token}",
            "Sec-Fetch-Site: same-origin",
            f"Content-Length: {len(body)}",
        ]
        if request.form is not None:
            head.append("Content-Type: application/x-www-form-urlencoded")
        if not request.path.startswith("/api/"):
            head.append("Accept-Encoding: gzip")
        self.writer.write("\r\n".join([*head, "", ""]).encode() + body)
        header = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(header.split(" ", 2)[1])
        if (length := re.search(r"content-length: (\d+)", header)) is not None:
            return status, await self.reader.readexactly(int(length.group(1)))
        chunks = []
        while size := int((await self.reader.readline()).strip() or b"0", 16):
            chunks.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return status, b"".join(chunks)


def kinds(data: Dataset, tokens: list[str]) -> dict[str, Callable[[Random], PageRequest]]:
    """A function that makes one random request for each kind of page, by name."""
    known = np.argsort(-np.bincount(data.events.item_rows), kind="stable")[:2000]
    ids = data.items.ids[known].tolist()

    def get(path: Callable[[Random], str]) -> Callable[[Random], PageRequest]:
        return lambda rng: PageRequest(path(rng), rng.choice(tokens))

    def rate(rng: Random) -> PageRequest:
        token = rng.choice(tokens)
        form = {"item_id": str(rng.choice(ids)), "mark": str(rng.randint(1, 5)), FIELD: form_token(token)}
        return PageRequest("/mark", token, form)

    return {
        "home": get(lambda _: "/"),
        "home, reranked": get(lambda _: "/?novelty=0.5&diversity=0.5"),
        "model page, ease": get(lambda _: "/models/ease"),
        "model page, item-knn": get(lambda _: "/models/item-knn"),
        "compare": get(lambda _: "/compare?models=ease,item-knn"),
        "movie": get(lambda rng: f"/movie/{rng.choice(ids)}"),
        "why": get(lambda rng: f"/why/{rng.choice(ids)}"),
        "search": get(lambda rng: f"/search?q={quote(rng.choice(WORDS))}"),
        "suggest": get(lambda rng: f"/search/suggest?q={quote(rng.choice(WORDS))}"),
        "rate": rate,
        "my movies": get(lambda _: "/my"),
        "list as JSON": get(lambda _: f"/api/v1/recommendations?k={K}"),
    }


async def compare_lists(port: int, data: Dataset, artefacts: list[Artefact], tokens: list[str]) -> dict[str, int]:
    """Compare members' lists from the site with rank() in memory; exit if one differs."""
    rows = np.random.default_rng(0).permutation(len(data.users))[:SAMPLED]
    histories = EventSource(data.events, data.users).histories(data.users.ids[rows].tolist())
    compared = 0
    async with Connection(port) as connection:
        for found in artefacts:
            wanted = rank(found.model, histories, K)
            for place, row in enumerate(rows.tolist()):
                path = f"/api/v1/recommendations?k={K}&model={found.name}"
                status, body = await connection.send(PageRequest(path, tokens[row]))
                items = json.loads(body)["items"]
                same = [item["item_id"] for item in items] == data.items.ids[wanted.items[place]].tolist()
                scores = np.array([item["score"] for item in items])
                if status != 200 or not same or np.abs(scores - wanted.scores[place]).max() > 1e-6:
                    sys.exit(f"the list of member {data.users.ids[row]} by {found.name} is not that of rank()")
                compared += 1
    return {"lists": compared, "k": K, "equal": compared}


async def one_at_a_time(port: int, pid: int, make: Callable[[Random], PageRequest], seconds: float) -> dict[str, float]:
    rng, wall, busy, processor = Random(1), [], [], Processor(pid)
    async with Connection(port) as connection:
        for _ in range(WARM):
            await connection.send(make(rng))
        begun = time.perf_counter()
        while len(wall) < LEAST or (time.perf_counter() < begun + seconds and len(wall) < MOST):
            if time.perf_counter() > begun + LONGEST:
                break
            request, before = make(rng), processor.seconds()
            started = time.perf_counter()
            status, _ = await connection.send(request)
            wall.append(time.perf_counter() - started)
            busy.append(processor.seconds() - before)
            if status not in (200, 303):
                sys.exit(f"{request.path} was answered with {status}")
    return {"requests": len(wall), **percentiles("wall_ms", wall), **percentiles("processor_ms", busy)}


async def many_at_a_time(
    port: int, pid: int, make: Callable[[Random], PageRequest], seconds: float
) -> dict[str, float]:
    done, processor = 0, Processor(pid)
    before, started = processor.seconds(), time.perf_counter()

    async def client(seed: int) -> None:
        nonlocal done
        rng = Random(seed)
        async with Connection(port) as connection:
            while time.perf_counter() < started + seconds and done < MOST:
                status, _ = await connection.send(make(rng))
                if status not in (200, 303):
                    sys.exit(f"answered with {status}")
                done += 1

    await asyncio.gather(*(client(seed) for seed in range(8)))
    taken, busy = time.perf_counter() - started, processor.seconds() - before
    return {"per_second": round(done / taken, 1), "per_processor_second": round(done / busy, 1)}


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {f"{name}_p{p}": round(1000 * cuts[p - 1], 2) for p in (50, 95, 99)}


async def measure(
    port: int, pid: int, data: Dataset, artefacts: list[Artefact], tokens: list[str], seconds: float
) -> dict[str, object]:
    lists = await compare_lists(port, data, artefacts, tokens)
    pages = {}
    for name, make in kinds(data, tokens).items():
        print(name, file=sys.stderr, flush=True)
        pages[name] = await one_at_a_time(port, pid, make, seconds)
        pages[name] |= await many_at_a_time(port, pid, make, seconds / 2)
    return {"lists_equal_rank": lists, "pages": pages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="for each kind of page")
    parser.add_argument("--keep", type=Path, help="a folder to keep artefacts and database in, and take them from")
    options = parser.parse_args()
    data = mt.load(data_path("ml-1m"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / "tokens.json"
        if known.exists():
            artefacts, tokens = [artefact.load(folder / name) for name in MODELS], json.loads(known.read_text())
        else:
            artefacts, tokens = prepare(folder, data)
            known.write_text(json.dumps(tokens))
        with server(folder) as (pid, port):
            beside = set(range(1, os.cpu_count() or 1))  # not the server's core, if there is another
            os.sched_setaffinity(0, beside or os.sched_getaffinity(0))
            found = asyncio.run(measure(port, pid, data, artefacts, tokens, options.seconds))
    load = os.getloadavg()[0]
    print(json.dumps({"members": len(data.users), "events": len(data.events), "load_average": round(load, 1)} | found))


if __name__ == "__main__":
    main()

"""A site under load, and what `serving_tier.py` says of the same requests. Writes parts of capacity.json.

    OMP_NUM_THREADS=1 python benchmarks/serving_load.py ARTEFACT [--seconds 20] [--times 0.3 0.6 ...] [--tries 3]

ARTEFACT: a folder made by `matinee train ease --data ml-1m --out DIR`. `matinee serve` runs in one process, with 400
visitors of 30 ratings each. In this order, on the same server:

1.  Requests one after another on one connection: the processor time of the server for each, from /proc, by its kind.
2.  The mix by 8 callers, one request after another each: what a request costs where several are under way, since
    their events are synced and their lists logged together. The samples of 1. are scaled to it, all by one factor.
3.  200 connections that ask without a pause, most of which are refused: what a 503 costs.
4.  Poisson arrivals of pages, lists with reasons and events, at shares of what 8 callers were answered just before.
    A request is sent at its time, whatever became of those before; its latency counts from that time.

The simulation gets the arrivals of 4., the samples of 1. and nothing of what became of them. Other work on the machine
takes the core away. So each step waits a while for a core that is free, each rate is tried several times, and the try
before which 8 callers were answered most is kept. It is simulated twice: as if the core were the site's own, and with
all work so much longer that the capacity is what it was just before.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import uvloop

from matinee.serve.accounts.sessions import COOKIE
from matinee.store import artefact
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from serve_speed import prepare
from serving_scenarios import outside_ms, samples_of, worker_of
from serving_tier import (
    ANSWERED,
    COSTS,
    EVENT,
    LIST,
    PAGE,
    Requests,
    Result,
    Tier,
    costs_of,
    poisson,
    simulate,
    visits,
)
from site_client import Processor, exchange

PORT, VISITORS = 8768, 400
OUT = Path(__file__).with_name("capacity.json")
SHARES = (0.25, 0.5, 0.25)
"""Of pages, lists and events: a page, two lists and something done, as in docs/operating.md."""
TIMES = (0.5, 0.9, 1.5, 3.0)
N_SAMPLES, TIMEOUT, N_SIMULATED, CALLERS, WAIT = 100, 20, 20, 8, 15
FREE = 0.9
"""Share of a core that is free enough."""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A running site: its process, and the requests of its visitors."""

    def __init__(self, pid: int, tokens: list[str], key: str, ids: list[int]) -> None:
        self.pid = pid
        self._tokens, self._key, self._ids, self._rng = tokens, key, ids, Random(4)

    def request(self, visitor: int, kind: int) -> tuple[str, str, dict[str, str], object]:
        """A request of a kind of serving_tier.py: the home page, ten items with reasons, a rating."""
        if kind == PAGE:
            return "GET", "/", {"Cookie": f"{COOKIE}={self._tokens[visitor]}"}, None
        user, asked = f"visitor-{visitor}", {"Authorization": f"Bearer {self._key}"}
        if kind == LIST:
            return "GET", f"/api/v1/recommendations?k=10&explain=true&user_id={user}", asked, None
        rating = {"item_id": self._rng.choice(self._ids), "kind": "rating", "value": 4, "user_id": user}
        return "POST", "/api/v1/events", asked, rating


@contextmanager
def serving(artefact: Path, folder: Path) -> Iterator[Site]:
    """`matinee serve` in one process, with no limits of rates."""
    database = f"sqlite:///{folder}/site.db"
    tokens, key, ids = prepare(database, artefact, VISITORS, ())
    command = [sys.executable, "-c", "from matinee.cli import main; main()", "serve", str(artefact)]
    command += ["--port", str(PORT), "--db", database, "--key-rate", "0", "--visitor-rate", "0", "--address-rate", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if "http://" not in process.stdout.readline():
                sys.exit("the server did not start")
            yield Site(process.pid, tokens, key, ids)
        finally:
            process.terminate()


async def samples(site: Site) -> dict[str, list[float]]:
    """Processor milliseconds of requests one after another, by kind."""
    found: dict[str, list[float]] = {name: [] for name in COSTS}
    connection, processor = await asyncio.open_connection("127.0.0.1", PORT), Processor(site.pid)
    steps = ((EVENT, 4), (LIST, 3), (LIST, 2), (PAGE, 1), (PAGE, 0), (EVENT, 4), (PAGE, 1), (LIST, 3))
    for visitor in cycle(range(VISITORS)):
        for kind, cost in steps:
            busy = processor.seconds()
            status, _ = await exchange(*connection, site.request(visitor, kind))
            assert status in (200, 201), status
            await asyncio.sleep(0.002)  # what follows the answer, such as the log of lists, belongs to it
            found[COSTS[cost]].append(1000 * (processor.seconds() - busy))
        if min(map(len, found.values())) >= N_SAMPLES + 20:
            break
    connection[1].close()
    return {name: [round(each, 3) for each in values[20 : 20 + N_SAMPLES]] for name, values in found.items()}


async def quiet(limit: float) -> float:
    """Wait for a moment in which a core is mostly free, at most so many seconds. Returns the share that was free."""
    end = time.perf_counter() + limit
    while True:
        begun, busy = time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < 0.25:
            pass
        share = (time.process_time() - busy) / (time.perf_counter() - begun)
        if share > FREE or time.perf_counter() > end:
            return share
        await asyncio.sleep(2)


async def together(site: Site, requests: Requests, seconds: float) -> tuple[float, float]:
    """Processor milliseconds of a request of the mix by callers that ask one after another, and requests a second."""
    made = cycle(zip(requests.visitors.tolist(), requests.kinds.tolist(), strict=True))
    processor, done = Processor(site.pid), 0

    async def caller(end: float) -> None:
        nonlocal done
        connection = await asyncio.open_connection("127.0.0.1", PORT)
        while time.perf_counter() < end:
            status, _ = await exchange(*connection, site.request(*next(made)))
            done += status in (200, 201)
        connection[1].close()

    before, begun = processor.seconds(), time.perf_counter()
    await asyncio.gather(*(caller(begun + seconds) for _ in range(CALLERS)))
    return 1000 * (processor.seconds() - before) / done, done / (time.perf_counter() - begun)


async def refusal(site: Site, page_ms: float, seconds: float) -> float:
    """Processor milliseconds of a 503: what is left after the answers, of a core that mostly refuses."""
    processor, counts = Processor(site.pid), Counter[int]()

    async def caller(visitor: int, end: float) -> None:
        connection = await asyncio.open_connection("127.0.0.1", PORT)
        while time.perf_counter() < end:
            counts[(await exchange(*connection, site.request(visitor, PAGE)))[0]] += 1
        connection[1].close()

    before = processor.seconds()
    await asyncio.gather(*(caller(visitor, time.perf_counter() + seconds) for visitor in range(200)))
    return max(0.0, (1000 * (processor.seconds() - before) - counts[200] * page_ms) / counts[503])


async def load(site: Site, requests: Requests) -> tuple[Result, dict[str, float]]:
    """Send each request at its time, on as many kept connections as are needed."""
    free: list[Connection] = [await asyncio.open_connection("127.0.0.1", PORT) for _ in range(100)]
    n = len(requests.at)
    seconds, outcomes, late = np.zeros(n), np.zeros(n, np.int64), np.zeros(n)
    made = [site.request(*each) for each in zip(requests.visitors.tolist(), requests.kinds.tolist(), strict=True)]
    processor, own = Processor(site.pid), time.process_time()
    before, begun = processor.seconds(), time.perf_counter() + 0.1

    async def send(index: int, at: float) -> None:
        late[index] = time.perf_counter() - at
        connection = free.pop() if free else await asyncio.open_connection("127.0.0.1", PORT)
        try:
            async with asyncio.timeout(TIMEOUT):
                status, _ = await exchange(*connection, made[index])
            outcomes[index] = ANSWERED if status in (200, 201) else status
            free.append(connection)
        except (TimeoutError, OSError, RuntimeError, asyncio.IncompleteReadError):  # RuntimeError: closed meanwhile
            connection[1].close()
        seconds[index] = time.perf_counter() - at

    tasks = []
    for index, at in enumerate((begun + requests.at).tolist()):
        if (pause := at - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(send(index, at)))
    await asyncio.gather(*tasks)
    wall, busy = time.perf_counter() - begun, processor.seconds() - before
    for _, writer in free:
        writer.close()
    about = {
        "server_busy": round(busy / wall, 3),
        "client_busy": round((time.process_time() - own) / wall, 3),
        "sent_late_ms_p95": round(1000 * float(np.percentile(late, 95)), 2),
    }
    return Result(seconds, outcomes), about


def predicted(found: dict[str, Any], requests: Requests, slower: float = 1) -> dict[str, float]:
    """Means over simulations of the same arrivals, each of which draws other service times. slower: a factor."""
    tier, outside = Tier(worker_of(found, slower)), outside_ms() / 1000
    samples = {name: slower * values for name, values in samples_of(found).items()}
    runs = []
    for seed in range(N_SIMULATED):
        result = simulate(tier, requests, samples, np.random.default_rng(seed))
        runs.append(Result(result.seconds + outside, result.outcomes).summary())
    return {name: round(statistics.fmean(run[name] for run in runs), 4) for name in runs[0]}


def mixed_ms(times: dict[str, list[float]], requests: Requests) -> float:
    """Processor milliseconds of a request of the mix, on average, by samples of each kind."""
    return float(np.mean([statistics.fmean(times[COSTS[cost]]) for cost in costs_of(requests).tolist()]))


async def measure(site: Site, seconds: float, rates: list[float], tries: int) -> dict[str, Any]:
    """All four steps on one server, with what the simulation says of the last."""
    await quiet(WAIT)
    times = await samples(site)
    rng = np.random.default_rng(7)
    mix = visits(poisson(1000, 20, rng), VISITORS, SHARES, rng)
    await together(site, mix, 1)
    found: dict[str, Any] = {
        "visitors": VISITORS,
        "shares": dict(zip(("page", "list", "event"), SHARES, strict=True)),
        "mean_ms": {name: round(statistics.fmean(values), 3) for name, values in times.items()},
        "alone_ms": round(mixed_ms(times, mix), 3),
        "together_ms": round((await together(site, mix, 6))[0], 3),
        "samples_ms": times,
        "memory": memory(site.pid),
        "rows": [],
    }
    factor = found["together_ms"] / found["alone_ms"]
    found["refusal_ms"] = round(await refusal(site, factor * found["mean_ms"]["page"], 4), 3)
    found["capacity_per_second"] = round(1000 / found["together_ms"], 1)
    for share in rates:
        rows = []
        for _ in range(tries):
            await quiet(WAIT)
            _, now = await together(site, mix, 3)
            requests = visits(poisson(share * now, seconds, rng), VISITORS, SHARES, rng)
            result, about = await load(site, requests)
            slower = found["capacity_per_second"] / now
            row = {"times_capacity": share, "slower": round(slower, 2), "requests": len(requests.at)}
            row |= about | {"load_average": round(os.getloadavg()[0], 1), "measured": result.summary()}
            row |= {"simulated": predicted(found, requests), "slowed": predicted(found, requests, slower)}
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            store("load", found | {"rows": [*found["rows"], min(rows, key=lambda row: row["slower"])]})
        found["rows"].append(min(rows, key=lambda row: row["slower"]))
    return found


def store(part: str, found: dict[str, Any]) -> None:
    """Put what was measured beside the other parts of the file."""
    stored = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    OUT.write_text(json.dumps(stored | {part: found}, indent=1) + "\n", "utf-8")


def memory(pid: int) -> dict[str, float]:
    """Megabytes of a process: what each worker has of its own, and the files that all of them map."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"own_mb": round(kb["Anonymous"] / 1000, 1), "mapped_mb": round((kb["Pss"] - kb["Anonymous"]) / 1000, 1)}


def bytes_per_event(artefact_folder: Path, folder: Path, n: int = 50_000) -> float:
    """How much a stored event with an id of its sender adds to the file of a database."""
    items, path = artefact.load(artefact_folder).items, folder / "events.db"
    sizes = []
    for size in (0, n):
        with closing(SqlDatabase(f"sqlite:///{path}")) as opened:
            log, ids = SqlEvents(opened, items), items.ids.tolist()
            log.append(
                [
                    LiveEvent(f"visitor-{i % 1000}", ids[i % len(ids)], "click", 1.0, i, event_id=f"{i:019d}")
                    for i in range(size)
                ]
            )
        sizes.append(path.stat().st_size)
    return (sizes[1] - sizes[0]) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artefact", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--times", type=float, nargs="+", default=TIMES, help="rates, as shares of the capacity")
    parser.add_argument("--tries", type=int, default=3, help="of each rate; that of the least waiting is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store("database", {"bytes_per_event": bytes_per_event(options.artefact, Path(temporary))})
        with serving(options.artefact, Path(temporary)) as site:
            store("load", uvloop.run(measure(site, options.seconds, options.times, options.tries)))


if __name__ == "__main__":
    main()
